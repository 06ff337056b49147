"""What every section needs: the inputs in one language, and numbers that know their row."""

from collections.abc import Callable, Iterable
from functools import cached_property
from math import isnan
from typing import Any
from urllib.parse import urlencode

from tasks.core.spec.methods import BY_MODELS
from tasks.report import numbers
from tasks.report.blocks import Run, Runs, Tone, runs
from tasks.report.model import POPULATION_OF, Language, Record, ReportInputs
from tasks.report.texts import Words

Write = Callable[[float], str]

_LOCATING = (
    "population",
    "arm",
    "method",
    "site_id",
    "term",
    "stratum_name",
    "stratum_level",
    "scenario",
    "at",
    "se_method",
    "statistic_name",
)

_ASIDE = ("population", "negative_control", "negative_control_exposure")
_SIZES = frozenset({"n", "n_events", "person_time"})


def locator(row: Record, column: str) -> str:
    """Name one number of the results: analysis/estimate?what=…&column=…."""
    where = {name: row[name] for name in _LOCATING if row.get(name) is not None}
    return place(f"{row['analysis_id']}/{row['estimate_name']}", column=column, **where)


def place(path: str, **where: object) -> str:
    """Name one number of any input, as a path with a query."""
    query = urlencode({key: _key(value) for key, value in sorted(where.items())})
    return f"{path}?{query}" if query else path


def counted_first(rows: Iterable[Record]) -> list[Record]:
    """Put numbers whose errors count every fitted model before the same with other errors."""
    return sorted(rows, key=lambda row: row["se_method"] != "m_estimation")


def _key(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class Context:
    """The inputs of a report in one language.

    Args:
        inputs: The report inputs.
        language: `en` or `ko`.
    """

    def __init__(self, inputs: ReportInputs, language: Language) -> None:
        self.inputs, self.spec = inputs, inputs.spec
        self.words, self.language = (
            Words(language, self.spec.design.type if self.spec.design else ""),
            language,
        )

    @cached_property
    def rows(self) -> list[Record]:
        """The results, one record an estimate; those of registry tables stand apart."""
        of_tables = {analysis.id for analysis, _ in self.spec.table_analyses}
        found = self.inputs.results.to_dicts()
        return [row for row in found if row["analysis_id"] not in of_tables]

    @cached_property
    def table_rows(self) -> list[Record]:
        """The results of registry tables, in the order of the analyses of the study."""
        order = [analysis.id for analysis, _ in self.spec.table_analyses]
        found = [r for r in self.inputs.results.to_dicts() if r["analysis_id"] in order]
        return sorted(found, key=lambda row: order.index(row["analysis_id"]))

    @cached_property
    def arms(self) -> dict[str, str]:
        """Names of the two arms by id, target first."""
        return {arm.id: arm.name.in_language(self.language) for arm in self.spec.arms}

    @property
    def names(self) -> dict[str, str]:
        """Target, comparator and outcome as fields of a text."""
        target, comparator = self.arms.values()
        outcome = self.spec.trial.outcome.name.in_language(self.language)
        return {"target": target, "comparator": comparator, "outcome": outcome}

    @property
    def primary_population(self) -> str:
        """The population of the pre-specified primary analysis; crude when there is none."""
        primary = (a.adjustment for a in self.spec.analyses if a.role == "primary")
        return POPULATION_OF[next(primary, "none")]

    def find(self, name: str | Iterable[str] = (), **where: object) -> list[Record]:
        """Return the results rows with these estimate names and column values.

        Descriptions of a population within the study, and of negative controls, are left out
        unless they are asked for.
        """
        names = {name} if isinstance(name, str) else set(name)
        return [
            row
            for row in self.rows
            if (not names or row["estimate_name"] in names)
            and ("stratum_level" in where or not self._is_aside(row))
            and all(row[column] == value for column, value in where.items())
        ]

    def population_of(self, row: Record | None) -> str:
        """Name the population of a results row, and that within the study where it is one."""
        if row is None:
            return self.words.term("population", None)
        is_modelled = row["population"] == "crude" and row.get("method") in BY_MODELS
        name = self.words.term("population", row["method"] if is_modelled else row["population"])
        level = row.get("stratum_level")
        if row.get("stratum_name") != "population" or level is None:
            return name
        known = {p.id: p.name for p in self.spec.trial.design.populations}
        within = known[level].in_language(self.language) if level in known else level
        return f"{name} · {within}"

    @staticmethod
    def _is_aside(row: Record) -> bool:
        return row["role"] == "descriptive" and row.get("stratum_name") in _ASIDE

    def first(self, name: str | Iterable[str] = (), **where: object) -> Record | None:
        """Return the first of the rows that `find` returns."""
        return next(iter(self.find(name, **where)), None)

    def number(self, row: Record, column: str, write: Write, tone: Tone = "") -> Run:
        """Return one number of a results row, written out, with its source row."""
        status = "ok" if row["status"] == "not_estimable" and column in _SIZES else row["status"]
        return self.cell(row.get(column), status, write, locator(row, column), tone)

    def cell(self, value: Any, status: str, write: Write, source: str, tone: Tone = "") -> Run:
        """Return a number with its source; withheld and not estimable are said, never 0."""
        if status in {"suppressed", "blinded", "not_estimable"}:
            return Run(self.state(status), source, "withheld")
        if value is None or isnan(value):
            return Run(numbers.DASH, source, "muted")
        return Run(write(value), source, tone, exact=f"{value!r}")

    def state(self, status: str) -> str:
        """Return the sign for a number that is not shown."""
        return self.words(f"state.{status}")

    def interval(self, row: Record, write: Write) -> Runs:
        """Return the confidence interval of a row, `low–high`."""
        low, high = row["ci_low"], row["ci_high"]
        if row["status"] != "ok" or low is None or high is None or low == high:
            return ()
        parts = [self.number(row, column, write) for column in ("ci_low", "ci_high")]
        return runs(parts[0], self._between(parts[0].text, parts[1].text), parts[1])

    def with_interval(self, row: Record, write: Write) -> Runs:
        """Return an estimate with its confidence interval, `1.13 (0.81–1.61)`."""
        interval = self.interval(row, write)
        value = self.number(row, "estimate", write)
        return runs(value, " (", interval, ")") if interval else runs(value)

    def level(self, row: Record) -> str:
        """Return the confidence level of a row as text, `95%`."""
        return numbers.percent(row["ci_level"] or 0.95, 0)

    def arm_name(self, arm: str | None) -> str:
        """Return the name of an arm by its id."""
        return self.arms.get(arm or "", arm or numbers.DASH)

    def _between(self, low: str, high: str) -> str:
        plain = not (low + high).count(numbers.MINUS)
        return numbers.DASH if plain else self.words("interval.to")
