"""The centres of readings or of two-by-two tables: counts, and how a row of one is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.readings.accuracy import result_of
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND, LEVELS
from tasks.core.spec.sources import ReadingTable
from tasks.stats.diagnostic.bivariate import Counts
from tasks.stats.diagnostic.measures import Cells, cells_of, cells_of_table, measure

_OF_CELLS = ("tp", "fp", "fn", "tn")


@dataclass(frozen=True, slots=True, eq=False)
class Centres:
    """The centres of one modality, in the order of their names.

    `label` says what a centre is (site, study), `order` where its row of a two-by-two table
    stands; `readings` are those of each centre, and there are none of two-by-two tables.
    `no_result` says why readings have no results to count: then all cells are 0.
    """

    asked: AskedOfTable
    arm: str | None
    label: str
    names: tuple[str, ...]
    order: IntArray
    cells: tuple[Cells, ...]
    readings: tuple[Readings, ...]
    no_result: str = ""

    @property
    def counts(self) -> Counts:
        """Two-by-two counts, shape (k,) each."""
        table = np.array([cells.readings for cells in self.cells], np.float64).reshape(-1, 4)
        return Counts(*table.T)

    @property
    def is_simple(self) -> bool:
        """Whether cases are independent everywhere."""
        return all(cells.is_simple for cells in self.cells)

    def row(self, name: str, place: int | None = None, /, **values: object) -> Row:
        """Return a row of results of all centres, or one that tells of a centre."""
        table = np.array([cells.readings for cells in self.cells]).reshape(-1, 4)
        chosen = table.sum(axis=0) if place is None else table[place]
        common: Row = {
            "n": int(chosen.sum()),
            "n_events": int(chosen[0] + chosen[2]),
            "n_sites": len(self.names),
            "arm": self.arm,
            "unit_of_analysis": "case",
        }
        if place is not None:
            common |= {"stratum_name": self.label, "stratum_level": self.names[place]}
        made = self.asked.row(name, **common | values)
        made.pop(LEVELS, None)
        if place is not None:
            made[BEHIND] = tuple(int(count) for count in table[place])
        return made

    def site_rows(self) -> Iterator[Row]:
        """Yield sensitivity and specificity of each centre, with Wilson's interval."""
        for place, cells in enumerate(self.cells):
            for name in ("sensitivity", "specificity"):
                try:
                    found = measure(name, cells)
                except EstimationError as exc:
                    why = self.no_result or exc.what
                    yield self.row(name, place, scenario="site", status="not_estimable", note=why)
                    continue
                yield self.row(
                    name, place, scenario="site", estimate=found.estimate,
                    estimate_scale="identity", std_error=found.std_error, se_scale="identity",
                    se_method=found.se_method, ci_low=found.ci_low, ci_high=found.ci_high,
                    ci_level=found.level, ci_method=found.ci_method, n=found.n,
                    n_events=found.count,
                    n_clusters=None if cells.is_simple else found.units,
                )  # fmt: skip


def centres_of(asked: AskedOfTable) -> Iterator[Centres]:
    """Yield the centres of each modality.

    Raises:
        EstimationError: The table names no centres.
    """
    if isinstance(asked.rows.source, ReadingTable):
        readings = readings_of(asked)
        verified = readings.only(readings.is_verified)
        yield from (_of_readings(asked, level, part) for level, part in verified.by("modality"))
        return
    values = asked.rows.values
    label = "study" if "study" in values else "site"
    if label not in values:
        raise EstimationError(asked.rows.source.id, "the table names no centres", "name the site.")
    order = in_order(values[label].astype(str))
    table = np.column_stack([values[name] for name in _OF_CELLS]).astype(np.int64)[order]
    cells = tuple(cells_of_table(*(int(count) for count in counts)) for counts in table)
    names = tuple(str(name) for name in values[label][order])
    yield Centres(asked, None, label, names, order, cells, ())


def _of_readings(asked: AskedOfTable, level: str | None, readings: Readings) -> Centres:
    if not readings.has("site"):
        raise EstimationError(asked.rows.source.id, "the readings name no site", "name the site.")
    names = readings.rows.values["site"].astype(str)
    found = np.unique(names)
    found = found[in_order(found)]
    parts = tuple(readings.only(np.asarray(names == name)) for name in found)
    cells, why = [], ""
    for part in parts:
        try:
            cells.append(cells_of_readings(part))
        except EstimationError as exc:
            why = exc.what
            cells.append(cells_of_table(0, 0, 0, 0))
    shown = tuple(str(name) for name in found)
    return Centres(asked, level, "site", shown, np.arange(found.size), tuple(cells), parts, why)


def cells_of_readings(readings: Readings, groups: IntArray | None = None) -> Cells:
    """Return the cells of readings, of each group by itself; without results as the study says."""
    positive, used = result_of(readings, readings.index_test.without_result)
    part = readings.only(used)
    group = np.zeros(readings.n, np.int64) if groups is None else groups
    return cells_of(positive[used], part.truth, units_of(part), group[used])


def units_of(readings: Readings) -> IntArray:
    """Return who readings are of: the person, else the case."""
    return readings.cases if readings.persons is None else readings.persons


def in_order(names: Iterable[object]) -> IntArray:
    """Return the places of names in their order: by number where all are whole numbers."""
    texts = [str(name) for name in names]
    by_number = all(text.isdecimal() for text in texts)
    key = [(int(text) if by_number else 0, text) for text in texts]
    return np.array(sorted(range(len(texts)), key=key.__getitem__), dtype=np.int64)


def moderators_of(centres: Centres, columns: FloatArray) -> FloatArray:
    """Return the columns of a model in the order of the centres."""
    return np.asarray(columns[centres.order])
