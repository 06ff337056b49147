"""Effects of a registry table by subgroup, with a test of interaction for each grouping."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tasks.analysis.table_asked import EFFECTS, AskedOfTable, Row
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.terms import Term
from tasks.stats.multiplicity import Heterogeneity, benjamini_hochberg, heterogeneity, holm

Estimated = Callable[[AskedOfTable], list[Row]]
ADJUSTED = {"interaction_holm": holm, "interaction_bh": benjamini_hochberg}
ROLE = "exploratory"
Found = tuple[Row, Heterogeneity]


def subgroup_rows(asked: AskedOfTable, estimated: Estimated) -> list[Row]:
    """Return the effect of treatment in each level of each subgroup, and the tests of interaction.

    Each level is analysed by itself, with the terms of the analysis but those of the column. The
    test is of heterogeneity between the levels; its p-values are adjusted over all columns and
    effects of the analysis, by Holm and by Benjamini and Hochberg.
    """
    rows: list[Row] = []
    tests: list[Found] = []
    for column in asked.analysis.subgroups:
        made = [
            (level, _effects(asked, column, level, part, estimated))
            for level, part in _levels(asked.rows, column)
        ]
        rows += [row for _, effects in made for row in effects]
        tests += _interactions(column, [effects for _, effects in made])
    return rows + _tested(asked, tests)


def _levels(rows: TableRows, column: str) -> Iterator[tuple[str, TableRows]]:
    kind, member = rows.source.columns[column], rows.values[f"x_{column}"]
    is_named = isinstance(kind, Category)
    levels = kind.category if isinstance(kind, Category) else ("0", "1")
    for level in levels:
        chosen = member == (level if is_named else int(level))
        values = {name: values[chosen] for name, values in rows.values.items()}
        n = int(np.count_nonzero(chosen))
        analysis = without_column(rows.analysis, column)
        yield level, replace(rows, analysis=analysis, values=values, delivered=n, losses=())


def without_column(analysis: Analysis, column: str) -> Analysis:
    """Return an analysis without the terms that hold a column, and without subgroups."""
    left = [t for t in analysis.parsed_terms if all(f.column != column for f in t)]
    terms = " + ".join(_written(term) for term in left) if left else None
    strata = tuple(name for name in analysis.strata if name != column)
    return analysis.model_copy(update={"terms": terms, "strata": strata, "subgroups": ()})


def _written(term: Term) -> str:
    return ":".join(factor.written(f"`{factor.column}`") for factor in term)


def _effects(
    asked: AskedOfTable, column: str, level: str, part: TableRows, estimated: Estimated
) -> list[Row]:
    named: Row = {
        "stratum_name": column,
        "stratum_level": level,
        "scenario": "subgroup",
        "role": ROLE,
    }
    made = estimated(AskedOfTable(asked.con, part))
    effects = [row | named for row in made if _is_effect(asked, row)]
    if effects:
        return effects
    failed = next((row for row in made if row["status"] == "not_estimable"), None)
    note = failed["note"] if failed else "the method gives no effect of treatment here"
    name = asked.analysis.rule.estimate
    of_part = AskedOfTable(asked.con, part)
    return [of_part.row(name, status="not_estimable", note=note) | named]


def _is_effect(asked: AskedOfTable, row: Row) -> bool:
    """Whether a row compares the levels of treatment: by its term, or as groups."""
    if row["estimate_name"] not in EFFECTS or row["status"] != "ok" or not row.get("std_error"):
        return False
    if row.get("se_method") == "profile_likelihood":
        return False
    source, term = asked.rows.source, row.get("term")
    treatment = source.roles.treatment if isinstance(source, AnalysisTable) else None
    if term is None:
        return row.get("target") is not None
    return str(term) == treatment or str(term).startswith(f"{treatment}=")


def _key(row: Row) -> tuple[object, ...]:
    named = ("estimate_name", "term", "target", "comparator", "at", "se_method")
    return tuple(row.get(name) for name in named)


def _interactions(column: str, levels: list[list[Row]]) -> list[Found]:
    """Test each effect that every level has."""
    found: list[Found] = []
    for first in levels[0] if levels else []:
        same = [row for level in levels for row in level if _key(row) == _key(first)]
        if len(same) != len(levels) or any(row["status"] != "ok" for row in same):
            continue
        errors = [float(str(row["std_error"])) for row in same]
        try:
            test = heterogeneity([_on_scale(row) for row in same], errors)
        except EstimationError:
            continue
        sizes = {
            "n": sum(int(str(row["n"])) for row in same),
            "n_events": None,
            "stratum_name": column,
        }
        found.append((first | sizes, test))
    return found


def _on_scale(row: Row) -> float:
    estimate = float(str(row["estimate"]))
    return math.log(estimate) if row.get("se_scale") == "log" else estimate


def _tested(asked: AskedOfTable, tests: list[Found]) -> list[Row]:
    p_values = [test.p_value for _, test in tests]
    named = {"interaction": p_values} | {
        name: adjust(p_values).tolist() for name, adjust in ADJUSTED.items() if p_values
    }
    return [
        asked.test(
            name,
            test.statistic,
            test.df,
            p,
            term=row.get("term"),
            at=row.get("at"),
            at_kind=row.get("at_kind"),
            method=row["method"],
            stratum_name=row["stratum_name"],
            scenario=str(row["estimate_name"]),
            note=f"of {row['estimate_name']}; {len(tests)} tests of interaction in this analysis",
            n=row["n"],
        )
        | {"role": ROLE}
        for name, values in named.items()
        for (row, test), p in zip(tests, values, strict=True)
    ]
