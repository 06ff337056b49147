"""Whether ROC curves and operating points can be made of a table of readings as a study asks."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import ReadingTable, type_of
from tasks.core.spec.whole import StudySpec

_METHODS = ("roc", "operating_point")
_IDLE = ("gates", "missing_data", "e_value", "by")


def _curves_can_be_drawn(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if not isinstance(source, ReadingTable) or analysis.method not in _METHODS:
            continue
        yield from _has_what_it_needs(source, analysis, path)
        if analysis.method == "roc":
            yield from _can_be_resampled(analysis, path)
            yield from _has_subgroups(source, analysis, path)
        else:
            yield from _has_two_sets(source, analysis, path)


def _has_what_it_needs(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.roles.score is None:
        what = f"{analysis.method} needs the role score of source {source.id}"
        yield Fault((*path, "method"), what, "name the column of the score under its roles.")
    for key in (key for key in _IDLE if getattr(analysis, key)):
        yield Fault((*path, key), f"{analysis.method} has no {key}", "remove it.")
    test = analysis.index_test
    if test is not None and test.prevalences and analysis.method == "roc":
        what, fix = "roc has no predictive values", "remove them; accuracy has."
        yield Fault((*path, "index_test", "prevalences"), what, fix)


def _can_be_resampled(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    asked = analysis.roc
    fixed = asked is not None and (asked.at_specificity or asked.at_sensitivity)
    if fixed and analysis.seed is None:
        what = "values at a fixed one have intervals by the bootstrap, and no seed is given"
        yield Fault((*path, "seed"), what, "add seed: 1, or another number.")
    for key in ("replicates", "bootstrap_interval"):
        if getattr(analysis, key) is not None and analysis.seed is None:
            yield Fault((*path, key), f"{key} is of the bootstrap, which needs a seed", "add seed.")
    if analysis.bootstrap_interval == "bca":
        what = "curves have normal and percentile intervals by the bootstrap, not bca"
        yield Fault((*path, "bootstrap_interval"), what, "write percentile.")


def _has_subgroups(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    for name in analysis.subgroups:
        if type_of(source.columns, name) not in ("category", "boolean"):
            what = f"column {name} is not declared as category or boolean of source {source.id}"
            fix = f"declare it: columns: {{{name}: {{category: [levels]}}}}."
            yield Fault((*path, "subgroups"), what, fix)


def _has_two_sets(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.subgroups:
        what = "operating_point has no subgroups"
        yield Fault((*path, "subgroups"), what, "remove them; roc and accuracy have subgroups.")
    if analysis.index_test is not None and analysis.index_test.threshold is not None:
        what = "operating_point chooses the threshold itself"
        yield Fault((*path, "index_test", "threshold"), what, "remove it.")
    asked = analysis.operating_point
    if asked is None:
        return
    kind = source.columns.get(asked.set)
    where: KeyPath = (*path, "operating_point", "set")
    if not isinstance(kind, Category):
        what = f"column {asked.set} is not declared as category of source {source.id}"
        sets = f"[{asked.development}, {asked.validation}]"
        yield Fault(where, what, f"declare it: columns: {{{asked.set}: {{category: {sets}}}}}.")
        return
    for role in ("development", "validation"):
        if (level := getattr(asked, role)) not in kind.category:
            what = f"{level} is no level of column {asked.set} of source {source.id}"
            known = ", ".join(kind.category)
            yield Fault((*path, "operating_point", role), what, f"name one of {known}.")


ROC_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _curves_can_be_drawn),)
