"""Whether effects of sites can be pooled as a study asks: counts or estimates, scale, columns."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import EffectTable, type_of
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

_OF_COUNTS = ("mantel_haenszel", "peto")
_OF_VARYING = ("knapp_hartung", "prediction")
_REFUSED = {
    "fixed": _OF_VARYING,
    **dict.fromkeys(_OF_COUNTS, (*_OF_VARYING, "terms", "cumulative")),
}
_OF_PERSONS = ("e_value", "gates", "subgroups", "missing_data")
_RATIOS = ("risk_ratio", "rate_ratio", "odds_ratio", "hazard_ratio")
_MEASURES_OF_COUNTS = ("odds_ratio", "risk_ratio", "risk_difference")


def _effects_can_be_pooled(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if not isinstance(source, EffectTable):
            continue
        if analysis.method == "meta_analysis":
            check = _suits_counts if source.roles.scale is None else _suits_estimates
            yield from check(source, analysis, path)
            yield from _is_of_sites(analysis, path)
            yield from _has_columns(source, analysis, path)
        elif analysis.method == "bias_analysis" and source.roles.target_events:
            yield from _has_two_arms(source, analysis, path)


def _suits_counts(source: EffectTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    has_two_arms = source.roles.comparator_events is not None
    known = _MEASURES_OF_COUNTS if has_two_arms else ("proportion",)
    if analysis.measure not in known:
        arms = "two arms" if has_two_arms else "one arm"
        what = f"source {source.id} has counts of {arms}, and measure is {analysis.measure}"
        yield Fault((*path, "measure"), what, f"write one of {', '.join(known)}.")
    if analysis.pooling in _OF_COUNTS and not has_two_arms:
        what = f"{analysis.pooling} pools counts of two arms"
        yield Fault((*path, "pooling"), what, "take another pooling, such as reml.")
    elif analysis.pooling == "peto" and analysis.measure != "odds_ratio":
        yield Fault((*path, "measure"), "peto pools odds ratios", "write measure: odds_ratio.")
    if analysis.transformation and analysis.measure != "proportion":
        what = "transformation is of proportions"
        yield Fault((*path, "transformation"), what, "remove it.")


def _suits_estimates(source: EffectTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    is_log = source.roles.scale == "log"
    if analysis.measure and (analysis.measure in _RATIOS) != is_log:
        what = f"measure {analysis.measure} does not go with scale {source.roles.scale}"
        yield Fault((*path, "measure"), what, "ratios are given as logarithms (scale: log).")
    if analysis.pooling in _OF_COUNTS:
        what = f"{analysis.pooling} needs counts; source {source.id} has estimates"
        yield Fault((*path, "pooling"), what, "take another pooling, such as reml.")
    if analysis.transformation:
        what = f"transformation needs counts; source {source.id} has estimates"
        yield Fault((*path, "transformation"), what, "remove it.")


def _is_of_sites(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    refused = _REFUSED.get(str(analysis.pooling), ())
    for key in (key for key in refused if getattr(analysis, key)):
        what = f"pooling {analysis.pooling} takes no {key}"
        yield Fault((*path, key), what, "take another pooling, such as reml.")
    for key in (key for key in ("prediction", "cumulative") if getattr(analysis, key)):
        if analysis.terms:
            yield Fault((*path, key), f"with moderators there is no {key}", "remove it, or terms.")
    for key in (key for key in _OF_PERSONS if getattr(analysis, key)):
        yield Fault((*path, key), f"meta_analysis has no {key}", "remove it.")


def _has_columns(source: EffectTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    for name in columns_in(analysis.parsed_terms):
        kind = type_of(source.columns, name)
        if kind not in ("number", "boolean", "category"):
            what = f"term {name} is {kind or 'not among the columns'} of source {source.id}"
            fix = f"declare {name} under columns as number, boolean or category."
            yield Fault((*path, "terms"), what, fix)
        elif kind != "number" and _is_changed(analysis, name):
            what = f"column {name} is {kind}: it has no log, exp, sqrt or power"
            yield Fault((*path, "terms"), what, f"write {name} as it is, or declare it number.")
    order = analysis.cumulative
    if order is not None and type_of(source.columns, order) != "number":
        what = f"column {order} is not declared as number of source {source.id}"
        yield Fault((*path, "cumulative"), what, f"declare it: columns: {{{order}: number}}.")


def _is_changed(analysis: Analysis, column: str) -> bool:
    return any(f.steps for term in analysis.parsed_terms for f in term if f.column == column)


def _has_two_arms(source: EffectTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.roles.comparator_events is None:
        what = f"{analysis.method} compares two arms; source {source.id} has one"
        yield Fault((*path, "method"), what, "add the counts of the comparator.")


META_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _effects_can_be_pooled),)
