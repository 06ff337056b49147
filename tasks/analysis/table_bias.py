"""Bias analysis of two-by-two tables, delivered as counts or made from persons."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tasks.analysis.people import FloatArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec.bias import Beta, Bias, UnmeasuredConfounder
from tasks.core.spec.sources import EffectTable
from tasks.stats.bias import (
    NAMES,
    Corrected,
    Counts,
    Name,
    Simulated,
    confounded,
    exposure_misclassified,
    observed,
    outcome_misclassified,
    simulate,
    tipping_prevalence,
    wald,
)
from tasks.stats.bias import draw_trapezoid as trapezoid
from tasks.stats.fragility import fragility_index

LEVEL = 0.95
# Names of the parameters as the estimator knows them, and where each is taken from.
_PARAMETERS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "outcome_misclassification": {
        "sensitivity_target": ("sensitivity", "sensitivity"),
        "specificity_target": ("specificity", "specificity"),
        "sensitivity_comparator": ("sensitivity_comparator", "sensitivity"),
        "specificity_comparator": ("specificity_comparator", "specificity"),
    },
    "exposure_misclassification": {
        "sensitivity_events": ("sensitivity", "sensitivity"),
        "specificity_events": ("specificity", "specificity"),
        "sensitivity_non_events": ("sensitivity_non_events", "sensitivity"),
        "specificity_non_events": ("specificity_non_events", "specificity"),
    },
    "unmeasured_confounder": {
        name: (name, name) for name in ("prevalence_target", "prevalence_comparator", "ratio")
    },
}
_CORRECTIONS: Mapping[str, Callable[[Counts, Mapping[str, FloatArray]], Corrected]] = {
    "outcome_misclassification": outcome_misclassified,
    "exposure_misclassification": exposure_misclassified,
    "unmeasured_confounder": confounded,
}


def bias_analysis(asked: AskedOfTable) -> list[Row]:
    """Return the ratios of each table as observed, and without the bias that is supposed."""
    bias = asked.analysis.bias
    if bias is None:
        raise EstimationError(asked.analysis.id, "no bias is named", "add the key bias.")
    made = [row for counts, named in _tables(asked) for row in _rows(asked, bias, counts, named)]
    return _arms(asked) + made


def _arms(asked: AskedOfTable) -> list[Row]:
    """Return the risk in each arm of persons: by its counts it is judged what a ratio may tell."""
    if isinstance(asked.rows.source, EffectTable):
        return []
    return [
        asked.row("risk", rows, estimate=_events(rows)[0] / rows.n, **asked.of_group(level))
        for level, rows in asked.groups()
    ]


def _rows(asked: AskedOfTable, bias: Bias, counts: Counts, named: Row) -> list[Row]:
    sizes: Row = {
        "n": int(counts.target_total + counts.comparator_total),
        "n_events": int(counts.target_events + counts.comparator_events),
        **named,
    }
    try:
        plain = observed(counts)
        rows = _fixed(asked, plain, "observed", sizes)
        rows += _corrected(asked, bias, counts, plain, sizes)
        return rows + _tipping(asked, bias, counts, plain, sizes)
    except EstimationError as exc:
        note = f"{exc.where}: {exc.what}"
        return [asked.row("risk_ratio", status="not_estimable", note=note, **sizes)]


def _corrected(
    asked: AskedOfTable, bias: Bias, counts: Counts, plain: Corrected, sizes: Row
) -> list[Row]:
    draws = (asked.analysis.draws or 1) if bias.is_drawn else 1
    rng = np.random.default_rng(asked.analysis.seed or 0)
    found = _CORRECTIONS[bias.kind](counts, _drawn(bias, draws, rng))
    if not bias.is_drawn:
        if not np.isfinite(found.log_ratio["odds_ratio"]).all():
            what = "the counts exclude these parameters: a corrected count falls below 0"
            raise EstimationError("bias analysis", what, "take values that the counts allow.")
        return _fixed(asked, found, "corrected", sizes)
    noise = rng.standard_normal(draws)
    rows: list[Row] = []
    for name in NAMES:
        std_error = float(plain.std_error[name][0])
        parts = {
            "systematic_error": simulate(found, name),
            "total_error": simulate(found, name, noise, std_error),
        }
        rows += [_simulated(asked, name, how, part, sizes) for how, part in parts.items()]
    return rows


def _drawn(bias: Bias, draws: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return the draws of each parameter; groups that share one share its draws."""
    values = {
        name: _draw(value, draws, rng)
        for name, value in bias.parameters.items()
        if value is not None
    }
    return {
        name: values.get(own, values[shared])
        for name, (own, shared) in _PARAMETERS[bias.kind].items()
        if own in values or shared in values
    }


def _draw(value: object, draws: int, rng: np.random.Generator) -> FloatArray:
    if isinstance(value, int | float):
        return np.full(draws, float(value))
    if isinstance(value, Beta):
        return rng.beta(value.a, value.b, draws)
    corners: tuple[float, float, float, float] = getattr(value, "corners")  # noqa: B009
    return trapezoid(*corners, rng.random(draws))


def _fixed(asked: AskedOfTable, found: Corrected, scenario: str, sizes: Row) -> list[Row]:
    return [
        _ratio(asked, name, float(found.log_ratio[name][0]), float(found.std_error[name][0]))
        | {"scenario": scenario, **sizes}
        for name in NAMES
    ]


def _ratio(asked: AskedOfTable, name: Name, log_ratio: float, std_error: float) -> Row:
    low, high = wald(log_ratio, std_error, LEVEL)
    return asked.row(
        name,
        estimate=math.exp(log_ratio),
        estimate_scale="ratio",
        std_error=std_error,
        se_scale="log",
        se_method="delta",
        ci_low=low,
        ci_high=high,
        ci_level=LEVEL,
        ci_method="wald",
    )


def _simulated(asked: AskedOfTable, name: Name, scenario: str, found: Simulated, sizes: Row) -> Row:
    left_out = found.draws - found.used
    return asked.row(
        name,
        scenario=scenario,
        estimate=found.estimate,
        estimate_scale="ratio",
        std_error=found.std_error,
        se_scale="log",
        se_method="simulation",
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=found.level,
        ci_method="percentiles",
        note=f"{found.draws} draws; {left_out} excluded by the counts; the estimate is the median",
        **sizes,
    )


def _tipping(
    asked: AskedOfTable, bias: Bias, counts: Counts, plain: Corrected, sizes: Row
) -> list[Row]:
    """Return how far things would have to go for the risk ratio to tell nothing any more."""
    ratio, error = float(plain.log_ratio["risk_ratio"][0]), float(plain.std_error["risk_ratio"][0])
    low, high = wald(ratio, error, LEVEL)
    rows = [_fragility(asked, counts, sizes)]
    if isinstance(bias, UnmeasuredConfounder) and not bias.is_drawn:
        near = low if ratio >= 0 else high
        for scenario, value in (("estimate", math.exp(ratio)), ("limit", near)):
            rows.append(_prevalence(asked, bias, scenario, value, ratio, sizes))
    return rows


def _fragility(asked: AskedOfTable, counts: Counts, sizes: Row) -> Row:
    found = fragility_index(*(int(value) for value in (
        counts.target_events, counts.target_total, counts.comparator_events,
        counts.comparator_total,
    )))  # fmt: skip
    note = "people of the arm with fewer events whose outcome, changed, ends p < 0.05 (Fisher)"
    return asked.row(
        "tipping_point",
        scenario="events",
        unit="persons",
        estimate=float(found),
        note=note,
        **sizes,
    )


def _prevalence(
    asked: AskedOfTable,
    bias: UnmeasuredConfounder,
    scenario: str,
    value: float,
    log_ratio: float,
    sizes: Row,
) -> Row:
    note = f"prevalence of the confounder in the target arm at which the {scenario} is 1"
    what: Row = {"scenario": scenario, "unit": "probability", "note": note, **sizes}
    crosses = value <= 1 if log_ratio >= 0 else value >= 1
    if scenario == "limit" and crosses:
        why = {"note": "the interval holds 1 already", "status": "not_estimable"}
        return asked.row("tipping_point", **what | why)
    comparator, ratio = float(str(bias.prevalence_comparator)), float(str(bias.ratio))
    found = tipping_prevalence(value, comparator, ratio)
    if found is None:
        why = {"note": "no prevalence from 0 to 1 does it", "status": "not_estimable"}
        return asked.row("tipping_point", **what | why)
    return asked.row("tipping_point", estimate=found, **what)


def _tables(asked: AskedOfTable) -> Iterator[tuple[Counts, Row]]:
    """Yield the counts of each study of an effect table, or of each arm against the reference."""
    if isinstance(asked.rows.source, EffectTable):
        yield from _delivered(asked.rows)
        return
    groups = [(level, rows) for level, rows in asked.groups() if level is not None]
    if len(groups) < 2:
        raise EstimationError(asked.rows.source.id, "there is one arm", "name the column of arms.")
    reference, others = groups[0], groups[1:]
    b, n0 = _events(reference[1])
    for level, rows in others:
        a, n1 = _events(rows)
        yield Counts(a, n1, b, n0), asked.of_contrast(level, reference[0])


def _events(rows: TableRows) -> tuple[int, int]:
    return int((rows.values["outcome"] == 1).sum()), rows.n


def _delivered(rows: TableRows) -> Iterator[tuple[Counts, Row]]:
    label = "study" if "study" in rows.values else "site"
    names = rows.values[label].astype(str)
    events, totals = {}, {}
    for arm in ("target", "comparator"):
        events[arm] = rows.numbers(f"{arm}_events")
        has_total = f"{arm}_total" in rows.values
        rest = rows.numbers(f"{arm}_total" if has_total else f"{arm}_non_events")
        totals[arm] = rest if has_total else rest + events[arm]
    for i in np.argsort(names, kind="stable"):
        parts = [float(x[arm][i]) for arm in ("target", "comparator") for x in (events, totals)]
        yield Counts(*parts), {"stratum_name": label, "stratum_level": str(names[i])}
