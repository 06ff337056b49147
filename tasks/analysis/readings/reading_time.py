"""Time to read: seconds by modality, and how modalities differ over readers and cases."""

import numpy as np

from tasks.analysis.people import FloatArray
from tasks.analysis.readings.mrmc import FigureRows
from tasks.analysis.readings.reader_design import ReaderDesign, design_of
from tasks.analysis.readings.rows import readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.spec.reader_studies import ReaderStudy
from tasks.stats.diagnostic.reader_figures import figures_of

_QUANTILES = (0.25, 0.5, 0.75)


def reading_times(asked: AskedOfTable) -> list[Row]:
    """Return seconds of a reading: mean, median, geometric mean, their differences and ratios.

    The mean of each reader in each modality is a figure of merit, as in a reader study.
    """
    readings = readings_of(asked)
    chosen = asked.analysis.reader_study or ReaderStudy()
    seconds = readings.rows.numbers("reading_seconds")
    design = design_of(readings, seconds, chosen.incomplete)
    made = _quantiles(asked, design)
    figures = figures_of(design.cells, False, chosen.covariance)
    names = ("reading_time", "reading_time_difference", "mean")
    made += FigureRows(asked, design, figures, *names, takes_claim=False).rows()
    return made + _of_logarithms(asked, design, chosen)


def _of_logarithms(asked: AskedOfTable, design: ReaderDesign, chosen: ReaderStudy) -> list[Row]:
    """Return geometric means and their ratios; the margin of the study is of the ratio."""
    values = [cell.value for cell in design.cells]
    if min(float(value.min()) for value in values) <= 0:
        note = "a reading took 0 seconds: there is no geometric mean"
        named = {"term": "geometric_mean", "status": "not_estimable", "note": note}
        return [asked.row("reading_time_ratio", n_events=None, **named)]
    logged = [cell.with_value(np.log(cell.value)) for cell in design.cells]
    figures = figures_of(logged, False, chosen.covariance)
    names = ("reading_time", "reading_time_ratio", "geometric_mean")
    return FigureRows(asked, design, figures, *names, is_log=True).rows()


def _quantiles(asked: AskedOfTable, design: ReaderDesign) -> list[Row]:
    """Return quartiles of the seconds of all readings of each modality."""
    made = []
    for place, level in enumerate(design.modalities):
        cells = design.of(place)
        seconds: FloatArray = np.concatenate([cell.value for cell in cells])
        cases = np.unique(np.concatenate([cell.case for cell in cells])).size
        made += [
            asked.row(
                "reading_time",
                estimate=float(np.quantile(seconds, share)),
                estimate_scale="identity",
                unit="seconds",
                at=share,
                at_kind="probability",
                term="median" if share == 0.5 else "quartile",
                arm=level,
                n=cases,
                n_events=None,
                unit_of_analysis="case",
                scenario=design.name,
            )
            for share in _QUANTILES
        ]
    return made
