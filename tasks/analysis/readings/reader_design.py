"""Who read what: the cells of a reader study, and whether they make a design."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.readings.rows import Readings
from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.reader_figures import CellReadings

_ALL = "crossed"
_BY_READER = "cases_in_readers"
_BY_GROUP = "cases_in_reader_groups"
_BY_MODALITY = "cases_in_modalities"
_NESTED = "readers_in_modalities"


@dataclass(frozen=True, slots=True, eq=False)
class ReaderDesign:
    """The cells of a study, modality by modality, and the names of what they are of.

    Args:
        cells: The readings of each cell: all readers of the first modality, then of the next.
        modalities: Names of the modalities, the reference first.
        readers: Names of the readers of each modality.
        name: Which design it is.
        left_out: Cases that not all who share cases have read.
        cases: How many cases there were with them.
    """

    cells: list[CellReadings]
    modalities: tuple[str | None, ...]
    readers: tuple[tuple[str | None, ...], ...]
    name: str
    left_out: int
    cases: int

    @property
    def is_nested(self) -> bool:
        """Whether readers are nested in modalities."""
        return self.name == _NESTED

    @property
    def shape(self) -> tuple[int, int]:
        """How many modalities there are, and readers of each."""
        return len(self.modalities), len(self.readers[0])

    def of(self, place: int) -> list[CellReadings]:
        """Return the cells of one modality."""
        r = self.shape[1]
        return self.cells[place * r : (place + 1) * r]

    def has_clusters(self) -> bool:
        """Whether some unit (a person) has several cases in a cell."""
        return any(np.unique(cell.unit).size < cell.unit.size for cell in self.cells)


def design_of(readings: Readings, value: FloatArray, incomplete: str) -> ReaderDesign:
    """Sort readings into cells.

    Args:
        readings: The readings.
        value: What is averaged or ranked of each, shape (n,).
        incomplete: Whether cases that not all have read are `refuse`d or `leave_out`.

    Raises:
        EstimationError: The design is not balanced.
    """
    modality, levels = readings.modality
    names: list[str | None] = list(readings.levels("reader")) if readings.has("reader") else [None]
    reader = _numbered(readings, names)
    there = np.zeros((len(levels), len(names)), dtype=np.int64)
    np.add.at(there, (modality, reader), 1)
    places = _readers_of(there > 0, levels, names)
    units = readings.cases if readings.persons is None else readings.persons
    cells = [
        _cell(readings, value, units, np.asarray((modality == place) & (reader == one)))
        for place, members in enumerate(places)
        for one in members
    ]
    known = tuple(tuple(names[one] for one in members) for members in places)
    kept, left_out = _balanced(cells, known, levels, incomplete)
    is_nested = len(levels) > 1 and places[0] != places[1]
    name = _NESTED if is_nested else _name(kept, len(levels), len(known[0]))
    return ReaderDesign(kept, levels, known, name, left_out, np.unique(readings.cases).size)


def _numbered(readings: Readings, names: list[str | None]) -> IntArray:
    if names == [None]:
        return np.zeros(readings.n, dtype=np.int64)
    place = {name: number for number, name in enumerate(names)}
    labels, member = np.unique(readings.rows.values["reader"].astype(str), return_inverse=True)
    return np.array([place[str(label)] for label in labels], dtype=np.int64)[member]


def has_one_truth(readings: Readings) -> None:
    """Refuse readings where a case is not the same in all of its rows."""
    _, case = np.unique(readings.cases, return_inverse=True)
    read, sick = np.bincount(case), np.bincount(case, readings.truth)
    if ((sick > 0) & (sick < read)).any():
        what = "the truth of a case is not the same in all of its rows"
        raise EstimationError(readings.source.id, what, "give each case one truth.")


def _readers_of(
    there: BoolArray, levels: tuple[str | None, ...], names: list[str | None]
) -> list[list[int]]:
    """Return the readers of each modality: all of each, or each of one modality alone."""
    found = [list(map(int, np.flatnonzero(row))) for row in there]
    if there.all():
        return found
    if (there.sum(axis=0) == 1).all():
        sizes = {str(level): len(members) for level, members in zip(levels, found, strict=True)}
        if len(set(sizes.values())) == 1:
            return found
        said = ", ".join(f"{level}: {size}" for level, size in sizes.items())
        what = f"readers are nested in modalities, and not as many in each ({said})"
        raise EstimationError("reader study", what, "keep as many readers in each modality.")
    lacking, reader = np.argwhere(~there)[0]
    what = f"reader {names[reader]} has not read with modality {levels[lacking]}, and others have"
    fix = "leave that reader out, or let each reader read in all modalities or in one alone."
    raise EstimationError("reader study", f"the design is not balanced: {what}", fix)


def _cell(readings: Readings, value: FloatArray, units: IntArray, here: BoolArray) -> CellReadings:
    rows = np.flatnonzero(here)
    rows = rows[np.argsort(readings.cases[rows], kind="stable")]
    return CellReadings(readings.cases[rows], units[rows], readings.truth[rows], value[rows])


def _balanced(
    cells: list[CellReadings],
    readers: tuple[tuple[str | None, ...], ...],
    levels: tuple[str | None, ...],
    incomplete: str,
) -> tuple[list[CellReadings], int]:
    """Return cells whose cases are the same or all other; how many cases are left out."""
    group = _connected(cells)
    kept, lost = list(cells), 0
    for one in sorted(set(group)):
        members = [place for place, of in enumerate(group) if of == one]
        cases = [cells[place].case for place in members]
        every = np.concatenate(cases)
        seen, times = np.unique(every, return_counts=True)
        shared = seen[times == len(members)]
        lost += seen.size - shared.size
        if incomplete == "leave_out":
            for place in members:
                kept[place] = cells[place].only(np.isin(cells[place].case, shared))
    if lost and incomplete == "refuse":
        what = "the design is not balanced: some cases were not read by all readers who share "
        fix = "write reader_study: {incomplete: leave_out} to leave those cases out, or add them."
        raise EstimationError("reader study", what + "cases, in all modalities", fix)
    _all_have_cases(kept, readers, levels)
    return kept, lost


def _all_have_cases(
    cells: list[CellReadings],
    readers: tuple[tuple[str | None, ...], ...],
    levels: tuple[str | None, ...],
) -> None:
    names = [
        f"{reader}, {level}" for level, of in zip(levels, readers, strict=True) for reader in of
    ]
    empty = [name for name, cell in zip(names, cells, strict=True) if not cell.case.size]
    if empty:
        what = f"no case is left of {empty[0]}"
        raise EstimationError("reader study", what, "let readers who share cases share them all.")


def _connected(cells: list[CellReadings]) -> list[int]:
    """Return the number of the group of each cell: cells that share a case are of one."""
    group = list(range(len(cells)))
    for a, b in combinations(range(len(cells)), 2):
        if group[a] != group[b] and np.isin(cells[a].case, cells[b].case).any():
            old, new = group[b], group[a]
            group = [new if of == old else of for of in group]
    return group


def _name(cells: list[CellReadings], modalities: int, readers: int) -> str:
    """Return which cases the cells share."""
    group = np.array(_connected(cells)).reshape(modalities, readers)
    if (group == group[0, 0]).all():
        return _ALL
    if (group == group[0]).all():
        return _BY_READER if np.unique(group[0]).size == readers else _BY_GROUP
    if (group == group[:, :1]).all():
        return _BY_MODALITY
    return "cases_in_cells"
