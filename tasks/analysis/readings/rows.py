"""The readings that an analysis uses, as arrays: score, result, truth, and whose they are."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.table_asked import AskedOfTable
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec.columns import Category
from tasks.core.spec.index_tests import IndexTest
from tasks.core.spec.sources import ReadingTable

SCORED, INDETERMINATE, FAILED = 0, 1, 2
_SIDES = {
    "at_or_above": np.greater_equal,
    "above": np.greater,
    "at_or_below": np.less_equal,
    "below": np.less,
}


class Readings:
    """The rows of a reading table; all arrays have shape (n,), in the order of the rows."""

    def __init__(self, rows: TableRows) -> None:
        assert isinstance(rows.source, ReadingTable)  # noqa: S101 - methods of readings
        self.rows, self.source, self.analysis = rows, rows.source, rows.analysis

    @property
    def n(self) -> int:
        """How many readings there are."""
        return self.rows.n

    @cached_property
    def truth(self) -> BoolArray:
        """Whether the case has the condition; meaningless where `is_verified` is False."""
        return np.asarray(self.rows.values["truth"] == 1)

    @cached_property
    def is_verified(self) -> BoolArray:
        """Whether the reference standard was done and gave a truth."""
        verified = self.rows.values.get("verified", np.ones(self.n))
        missing = self.rows.values.get("truth__missing", np.zeros(self.n, dtype=bool))
        return np.asarray((verified == 1) & ~missing)

    @cached_property
    def output(self) -> IntArray:
        """SCORED, INDETERMINATE or FAILED."""
        given = self.rows.values.get("output", np.zeros(self.n))
        return np.asarray(given, dtype=np.int64)

    @cached_property
    def has_score(self) -> BoolArray:
        """Whether there is a score."""
        missing = self.rows.values.get("score__missing", np.zeros(self.n, dtype=bool))
        return np.asarray((self.output == SCORED) & ~missing)

    @property
    def score(self) -> FloatArray:
        """The score, higher means more suspicious; 0 where `has_score` is False."""
        if "score" not in self.rows.values:
            what, fix = "the readings have no score", "give the source the role score."
            raise EstimationError(self.source.id, what, fix)
        return self.rows.numbers("score")

    @property
    def index_test(self) -> IndexTest:
        """How a score becomes a result: as the analysis says."""
        return self.analysis.index_test or IndexTest()

    @cached_property
    def is_positive(self) -> BoolArray:
        """Whether the score is on the positive side of the threshold; False without a score."""
        threshold = self.index_test.threshold
        is_result = np.isin(self.score, (0.0, 1.0)) | ~self.has_score
        if threshold is None and not is_result.all():
            what = "no threshold is given, and scores are other than 0 and 1"
            raise EstimationError(self.source.id, what, "give index_test: {threshold: …}.")
        limit = 1.0 if threshold is None else threshold
        side = _SIDES[self.index_test.positive]
        return np.asarray(side(self.score, limit) & self.has_score)

    @cached_property
    def persons(self) -> IntArray | None:
        """One number a person; None where the table names none: then a case is a person."""
        return self.rows.labels(*self._of("site", "person_id")) if self.has("person_id") else None

    @cached_property
    def modality(self) -> tuple[IntArray, tuple[str | None, ...]]:
        """Return the number of each reading's modality, and the modalities; the first is held to.

        Where the table names none, all readings are of one modality without a name.
        """
        if not self.has("modality"):
            return np.zeros(self.n, dtype=np.int64), (None,)
        levels = self.levels("modality")
        place = {level: number for number, level in enumerate(levels)}
        labels, member = np.unique(self.rows.values["modality"].astype(str), return_inverse=True)
        number = np.array([place[str(label)] for label in labels], dtype=np.int64)
        return number[member], tuple(levels)

    @cached_property
    def cases(self) -> IntArray:
        """One number a case."""
        named = self.rows.labels(*self._of("site", "case_id"))
        assert named is not None  # noqa: S101 - a reading table names its cases
        return named

    @property
    def weights(self) -> FloatArray | None:
        """Weights of the readings, if the table has any."""
        return self.rows.weights

    def has(self, field: str) -> bool:
        """Whether the table has a field."""
        return field in self.rows.values

    def levels(self, field: str) -> list[str]:
        """Return the levels of a label that occur: in the order of its category, else sorted.

        The first is the reference, such as the modality that others are compared with.
        """
        there = {str(value) for value in self.rows.values[field]}
        column = getattr(self.source.roles, field)
        kind = self.source.columns.get(column)
        named = kind.category if isinstance(kind, Category) else tuple(sorted(there))
        return [level for level in named if level in there]

    def only(self, keep: BoolArray) -> "Readings":
        """Return the readings where `keep` is True, shape (n,)."""
        return Readings(self.rows.where(keep))

    def by(self, field: str) -> Iterator[tuple[str | None, "Readings"]]:
        """Yield the readings of each level of a label; all under None where there is no label."""
        if not self.has(field):
            yield None, self
            return
        label = self.rows.values[field].astype(str)
        for level in self.levels(field):
            yield level, self.only(np.asarray(label == level))

    def _of(self, *fields: str) -> list[str]:
        return [field for field in fields if self.has(field)]


def readings_of(asked: AskedOfTable) -> Readings:
    """Return the readings that an analysis uses."""
    return Readings(asked.rows)
