"""One analysis of a registry table, and what all of its rows of results have in common."""

from collections.abc import Iterable, Iterator
from math import exp, isfinite

import duckdb
import numpy as np

from tasks.analysis.people import BoolArray
from tasks.analysis.table_rows import TableRows
from tasks.core.results import BEHIND, LEVELS, UNBOUNDED, result_row
from tasks.core.spec.columns import Category
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.table_fields import group_column, reads_time
from tasks.core.spec.terms import columns_in
from tasks.stats.inference import Contrast

Row = dict[str, object]
TIME = {"at_kind": "time_days"}
"""Columns of a row that is read at a day."""
_LARGEST_LOG = 709.0
EFFECTS = frozenset(
    "hazard_ratio subdistribution_hazard_ratio odds_ratio risk_ratio rate_ratio coefficient "
    "risk_difference rate_difference mean_difference rmst_difference ate att ato".split()
)
"""Estimate names of what compares groups, or belongs to a term of a model."""


def finite(value: float) -> float | None:
    """Return a number, or nothing where it is not finite."""
    return float(value) if isfinite(value) else None


def ratio_of(log_ratio: float) -> float | None:
    """Return a ratio from its logarithm, or nothing where it is more than a number can hold."""
    return exp(log_ratio) if log_ratio < _LARGEST_LOG else None


def as_text(items: Iterable[str]) -> str:
    """Return items in one line."""
    return ", ".join(items)


class AskedOfTable:
    """An analysis, the rows that it uses, and the workspace that they come from."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rows: TableRows) -> None:
        self.con, self.rows, self.analysis = con, rows, rows.analysis
        self.group_column = group_column(rows.source, rows.analysis)
        self._levels_behind: dict[str, object] | None = None

    def row(self, estimate_name: str, rows: TableRows | None = None, /, **values: object) -> Row:
        """Return a row of results; `rows` are those it is of, all by default."""
        of = rows or self.rows
        common = {
            "method": self.analysis.method,
            "population": of.source.id,
            "outcome": self._outcome(),
            "unit_of_analysis": "person" if self._is_of_persons() else "row",
            "n": of.n,
            "n_events": events_of(of),
        }
        made = result_row(self.analysis.id, self.analysis.role, estimate_name, **common | values)
        return made | self._behind(of)

    def _behind(self, of: TableRows) -> Row:
        """Return the counts that disclosure control needs beside those that a row tells."""
        if self._levels_behind is None:
            self._levels_behind = {"terms": self._of_terms(), "balance": self._of_balance()}
        persons = of.persons if "person_id" in of.values else None
        few = {} if persons is None else {BEHIND: (int(persons.max(initial=-1)) + 1,)}
        return few | {LEVELS: self._levels_behind}

    def _of_terms(self) -> dict[str, tuple[int, ...]]:
        """Return rows, events and rows without, of each level of the columns of the model."""
        n, m = self.rows.n, events_of(self.rows)
        has_event = None if m is None or not 0 < m < n else _event_flags(self.rows)
        terms = self.analysis.parsed_terms
        found = {name: _level_counts(self.rows, (name,), has_event) for name in columns_in(terms)}
        for names in (columns_in((term,)) for term in terms if len(term) > 1):
            joint = tuple(name for name in names if found[name])
            crossed = _level_counts(self.rows, joint, has_event)
            found |= {name: found[name] + crossed for name in joint}
        return found

    def _of_balance(self) -> dict[str, tuple[int, ...]]:
        """Return rows with and without each level of the columns of the score, in each arm."""
        arm = self.rows.values.get(f"x_{self.treatment}")
        if arm is None:
            return {}
        named = columns_in(self.analysis.propensity_terms)
        in_second = np.asarray(arm == self.treatment_levels()[-1][1])
        return {name: _level_counts(self.rows, (name,), in_second) for name in named}

    def test(self, name: str, statistic: float, df: float, p: float, **values: object) -> Row:
        """Return a row for a test."""
        return self.row(
            "test",
            statistic_name=name,
            statistic=float(statistic),
            df1=float(df),
            p_value=float(p),
            **values,
        )

    def contrast(self, name: str, found: Contrast, **values: object) -> Row:
        """Return a row for a contrast of two groups."""
        if not isfinite(found.estimate):
            return self.row(name, **{**values, **UNBOUNDED})
        return self.row(
            name,
            estimate=finite(found.estimate),
            estimate_scale=found.estimate_scale,
            std_error=found.std_error,
            se_scale=found.se_scale,
            ci_low=finite(found.ci_low),
            ci_high=finite(found.ci_high),
            ci_level=found.level,
            ci_method=found.ci_method,
            p_value=found.p_value,
            statistic_name=None if found.z is None else "z",
            statistic=found.z,
            **values,
        )

    def groups(self) -> Iterator[tuple[str | None, TableRows]]:
        """Yield each group that has rows, in the order of its levels; all rows without groups."""
        if self.group_column is None:
            yield None, self.rows
            return
        member = self.rows.values[f"x_{self.group_column}"]
        for level, value in self._levels():
            chosen = member == value
            if chosen.any():
                yield level, self.rows.where(np.asarray(chosen))

    def sizes(self) -> list[int]:
        """Return the rows of each group, 0 where it has none; all rows where no group is read."""
        if f"x_{self.group_column}" not in self.rows.values:
            return [self.rows.n]
        found = {level: group.n for level, group in self.groups()}
        return [found.get(level, 0) for level, _ in self._levels()]

    def of_group(self, level: str | None) -> dict[str, object]:
        """Return the columns of a row that name a group."""
        if level is None:
            return {}
        return {"arm": level, "stratum_name": self.group_column, "stratum_level": level}

    @property
    def treatment(self) -> str:
        """Column of the treatment; empty where the table has none."""
        source = self.rows.source
        return (source.roles.treatment if isinstance(source, AnalysisTable) else None) or ""

    def treatment_levels(self) -> list[tuple[str, object]]:
        """Return the levels of the treatment, reference first, each with its value in a row."""
        return self._levels_of(self.treatment)

    def of_arm(self, level: str) -> dict[str, object]:
        """Return the columns of a row that name an arm."""
        return {"arm": level, "stratum_name": self.treatment, "stratum_level": level}

    def of_arms(self, target: str, reference: str) -> dict[str, object]:
        """Return the columns of a row that name two arms."""
        name = f"{target} - {reference}"
        return {
            "target": target,
            "comparator": reference,
            "stratum_name": self.treatment,
            "stratum_level": name,
        }

    def of_contrast(self, level: str | None, reference: str | None) -> dict[str, object]:
        """Return the columns of a row that name two groups."""
        name = f"{level} - {reference}"
        return {
            "target": level,
            "comparator": reference,
            "stratum_name": self.group_column,
            "stratum_level": name,
        }

    def _levels(self) -> list[tuple[str, object]]:
        return self._levels_of(str(self.group_column))

    def _levels_of(self, column: str) -> list[tuple[str, object]]:
        kind = self.rows.source.columns[column]
        if isinstance(kind, Category):
            return [(level, level) for level in kind.category]
        return [("0", 0), ("1", 1)]

    def _outcome(self) -> str | None:
        source = self.rows.source
        if not isinstance(source, AnalysisTable):
            return None
        roles = source.roles
        coded = roles.event if reads_time(source, self.analysis) else roles.outcome
        return coded.column if coded else None

    def _is_of_persons(self) -> bool:
        source = self.rows.source
        return isinstance(source, AnalysisTable) and not source.has_intervals


def _event_flags(rows: TableRows) -> BoolArray:
    name = "event" if "event" in rows.values else "outcome"
    return np.asarray(rows.values[name] == 1)


def _level_counts(
    rows: TableRows, names: tuple[str, ...], flags: BoolArray | None
) -> tuple[int, ...]:
    """Return the rows of each level, or levels together, and those with and without a flag."""
    has_levels = [_has_levels(rows, name) for name in names]
    if not names or not all(has_levels):
        return ()
    member = rows.labels(*(f"x_{name}" for name in names))
    assert member is not None  # noqa: S101 - there are names
    several = (None,) if flags is None else (None, flags, ~flags)
    counts = [np.bincount(member if f is None else member[f]) for f in several]
    return tuple(int(count) for part in counts for count in part)


def _has_levels(rows: TableRows, name: str) -> bool:
    kind = rows.source.columns.get(name)
    return f"x_{name}" in rows.values and (isinstance(kind, Category) or kind == "boolean")


def events_of(rows: TableRows) -> int | None:
    """Return how many rows have the event, or the outcome; None where the table has neither."""
    source = rows.source
    if isinstance(source, AnalysisTable) and source.outcome_is_number and "outcome" in rows.values:
        return None
    for name in ("event", "outcome"):
        if name in rows.values:
            return int((rows.values[name] == 1).sum())
    return None


def outcome_sd(rows: TableRows) -> float | None:
    """Return the standard deviation of an outcome that is a number; None where it is none."""
    source = rows.source
    if not (isinstance(source, AnalysisTable) and source.outcome_is_number):
        return None
    return float(rows.numbers("outcome").std(ddof=1)) if "outcome" in rows.values else None
