"""Risks of an outcome of 0 and 1 by groups, and their contrasts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from tasks.analysis.people import BoolArray, IntArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.stats.binary_contrasts import (
    DifferenceInterval,
    RatioInterval,
    TwoRisks,
    exact_odds_ratio,
    number_needed,
    odds_ratio_of,
    risk_difference_of,
    risk_ratio_of,
)
from tasks.stats.inference import Contrast
from tasks.stats.proportions import proportion
from tasks.stats.stratified_effects import mantel_haenszel
from tasks.stats.stratified_tests import (
    StratifiedTest,
    cochran_mantel_haenszel,
    homogeneous_odds,
)
from tasks.stats.weighted_risks import (
    WeightedRisks,
    risk_contrasts,
    risk_interval,
    weighted_risks,
)

_Group = tuple[str | None, TableRows]
_DIFFERENCES: tuple[DifferenceInterval, ...] = ("wald", "newcombe", "miettinen_nurminen")
_RATIOS: tuple[RatioInterval, ...] = ("log", "koopman")
_LEVEL = 0.95


def risks(asked: AskedOfTable) -> list[Row]:
    """Return the risk of each group, and its contrasts with the first."""
    groups = list(asked.groups())
    return [*_of_groups(asked, groups), *_one_group(asked, groups)]


def _one_group(asked: AskedOfTable, groups: list[_Group]) -> list[Row]:
    """Return why nothing is compared, where groups are asked for and one has rows."""
    if asked.group_column is None or len(groups) > 1:
        return []
    note = f"one level of {asked.group_column} has rows: there is nothing to compare"
    return [asked.row("risk_difference", status="not_estimable", note=note)]


def _of_groups(asked: AskedOfTable, groups: list[_Group]) -> list[Row]:
    if asked.rows.weights is not None or asked.analysis.cluster is not None:
        return _weighted(asked, groups)
    made = [_risk(asked, level, rows) for level, rows in groups]
    for level, rows in groups[1:]:
        named = _named(asked, (level, rows), groups[0])
        (events, n), (others, of) = _counts(rows), _counts(groups[0][1])
        made += _contrasts(asked, TwoRisks(events, n, others, of), named)
        made += _pooled(asked, (rows, groups[0][1]), named)
    return made


def _pooled(
    asked: AskedOfTable, pair: tuple[TableRows, TableRows], named: dict[str, object]
) -> list[Row]:
    """Return contrasts pooled over strata, where the analysis names any."""
    labels = tuple(f"label_{name}" for name in asked.analysis.strata)
    if not labels:
        return []
    names = ("outcome", *labels)
    values = {name: np.concatenate([rows.values[name] for rows in pair]) for name in names}
    both = replace(pair[0], values=values, delivered=pair[0].n + pair[1].n, losses=())
    stratum = both.labels(*labels)
    assert stratum is not None  # noqa: S101 - there are labels
    treated = np.arange(both.n) < pair[0].n
    how = {**named, "se_method": "mantel_haenszel"}
    try:
        found = mantel_haenszel(values["outcome"] == 1, treated, stratum)
    except EstimationError as exc:
        return [asked.row("risk_difference", status="not_estimable", note=exc.what, **how)]
    made = [asked.contrast(name, contrast, **how) for name, contrast in found.items()]
    return made + _tests_of_strata(asked, values["outcome"] == 1, treated, stratum, named)


def _tests_of_strata(
    asked: AskedOfTable,
    event: BoolArray,
    treated: BoolArray,
    stratum: IntArray,
    named: dict[str, object],
) -> list[Row]:
    """Return the tests of no effect in any stratum, and of one odds ratio in all."""
    made: list[Row] = []
    for name, make in _TESTS.items():
        try:
            found = make(event, treated, stratum)
        except EstimationError as exc:
            what = {"statistic_name": name, "status": "not_estimable", "note": exc.what}
            made.append(asked.row("test", **what, **named))
            continue
        made += [asked.test(t.name, t.statistic, t.df, t.p_value, **named) for t in found]
    return made


_TESTS: Mapping[str, Callable[..., tuple[StratifiedTest, ...]]] = {
    "cochran_mantel_haenszel": cochran_mantel_haenszel,
    "breslow_day": homogeneous_odds,
}


def _counts(rows: TableRows) -> tuple[int, int]:
    return int((rows.values["outcome"] == 1).sum()), rows.n


def _risk(asked: AskedOfTable, level: str | None, rows: TableRows) -> Row:
    found = proportion(*_counts(rows))
    return asked.row(
        "risk",
        rows,
        estimate=found.estimate,
        estimate_scale="identity",
        std_error=found.std_error,
        se_scale="identity",
        se_method="binomial",
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=found.level,
        ci_method=found.ci_method,
        **asked.of_group(level),
    )


def _named(asked: AskedOfTable, target: _Group, reference: _Group) -> dict[str, object]:
    (events, n), (others, of) = _counts(target[1]), _counts(reference[1])
    named = asked.of_contrast(target[0], reference[0])
    return {**named, "n": n + of, "n_events": events + others}


def _contrasts(asked: AskedOfTable, counts: TwoRisks, named: dict[str, object]) -> list[Row]:
    made = [
        _tried(asked, name, method, named, make)
        for name, method, make in _estimators(counts)
    ]  # fmt: skip
    for method in _DIFFERENCES:
        made += _number_needed(asked, method, named, partial(risk_difference_of, counts, method))
    return made


def _estimators(counts: TwoRisks) -> Iterator[tuple[str, str, Callable[[], Contrast]]]:
    for method in _DIFFERENCES:
        yield "risk_difference", method, partial(risk_difference_of, counts, method)
    for kind in _RATIOS:
        yield "risk_ratio", kind, partial(risk_ratio_of, counts, kind)
    yield "odds_ratio", "woolf", partial(odds_ratio_of, counts)
    yield "odds_ratio", "exact conditional", partial(exact_odds_ratio, counts)


def _tried(
    asked: AskedOfTable,
    name: str,
    method: str,
    named: dict[str, object],
    make: Callable[[], Contrast],
) -> Row:
    """Return a contrast, or why it cannot be estimated; the others stand without it."""
    try:
        return asked.contrast(name, make(), **named) | {"ci_method": method}
    except EstimationError as exc:
        return asked.row(name, status="not_estimable", ci_method=method, note=exc.what, **named)


def _number_needed(
    asked: AskedOfTable, method: str, named: dict[str, object], make: Callable[[], Contrast]
) -> list[Row]:
    """Return the number needed; a row for each range where the difference may be 0."""
    common = {**named, "ci_method": method}
    try:
        gap = make()
        found = number_needed(gap)
    except EstimationError as exc:
        return [asked.row("nnt", status="not_estimable", note=exc.what, **common)]
    common |= {"estimate_scale": "identity", "ci_level": gap.level}
    limits = {True: (found.ci_low, found.ci_high)}
    if found.fewer_from is not None and found.more_from is not None:
        common["note"] = _TWO_RANGES
        ranges = (found.fewer_from, found.more_from)
        own, other = ranges if found.is_fewer else ranges[::-1]
        limits = {True: (own, None), False: (other, None)}
    return [
        asked.row(
            "nnt",
            term="fewer events" if found.is_fewer == is_own else "more events",
            estimate=found.estimate if is_own else None,
            ci_low=low,
            ci_high=high,
            **common,
        )
        for is_own, (low, high) in limits.items()
    ]


_TWO_RANGES = (
    "the interval of the risk difference holds 0, so the interval is two ranges: one event fewer"
    " in so many persons or more, and one event more in so many persons or more, each from the"
    " limit shown to infinity"
)


def _weighted(asked: AskedOfTable, groups: list[_Group]) -> list[Row]:
    """Return risks under weights or in clusters, with robust intervals."""
    found = _weighted_risks(asked, groups)
    common: dict[str, object] = {"se_method": found.se_method, "n_clusters": found.n_clusters}
    made = [
        _weighted_risk(asked, group, found, place, common) for place, group in enumerate(groups)
    ]
    for place in range(1, len(groups)):
        named = {**_named(asked, groups[place], groups[0]), **common}
        made += _weighted_contrasts(asked, found, place, named)
    return made


def _weighted_risks(asked: AskedOfTable, groups: list[_Group]) -> WeightedRisks:
    rows = asked.rows
    place = np.zeros(rows.n, dtype=np.int64)
    if asked.group_column is not None:
        member = rows.values[f"x_{asked.group_column}"].astype(str)
        for number, (_, of) in enumerate(groups):
            place[member == str(of.values[f"x_{asked.group_column}"][0])] = number
    cluster = asked.analysis.cluster
    labels = rows.labels(f"label_{cluster}") if cluster else None
    return weighted_risks(rows.values["outcome"] == 1, place, rows.weights, labels)


def _weighted_risk(
    asked: AskedOfTable,
    group: _Group,
    found: WeightedRisks,
    place: int,
    common: dict[str, object],
) -> Row:
    named = {**asked.of_group(group[0]), **common, "ci_method": "logit"}
    try:
        low, high = risk_interval(found, place, _LEVEL)
    except EstimationError as exc:
        return asked.row("risk", group[1], status="not_estimable", note=exc.what, **named)
    return asked.row(
        "risk",
        group[1],
        estimate=float(found.risk[place]),
        estimate_scale="identity",
        std_error=float(np.sqrt(found.covariance[place, place])),
        se_scale="identity",
        ci_low=low,
        ci_high=high,
        ci_level=_LEVEL,
        **named,
    )


def _weighted_contrasts(
    asked: AskedOfTable, found: WeightedRisks, place: int, named: dict[str, object]
) -> list[Row]:
    try:
        contrasts = risk_contrasts(found, place, 0, _LEVEL)
    except EstimationError as exc:
        names = ("risk_difference", "risk_ratio", "odds_ratio", "nnt")
        return [asked.row(n, status="not_estimable", note=exc.what, **named) for n in names]
    made = [asked.contrast(name, contrast, **named) for name, contrast in contrasts.items()]
    gap = contrasts["risk_difference"]
    return [*made, *_number_needed(asked, "wald", named, lambda: gap)]
