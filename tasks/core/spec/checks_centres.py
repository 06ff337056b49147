"""Whether readings and two-by-two tables have what an analysis of them asks for."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import ReadingTable, TwoByTwoTable, type_of
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

_ACROSS = ("accuracy_meta", "leave_one_centre_out")
_IDLE = ("gates", "missing_data", "e_value")


def _centres_can_be_pooled(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if not isinstance(source, ReadingTable | TwoByTwoTable):
            continue
        if analysis.method == "accuracy":
            yield from _has_columns_of_centres(source, analysis, path)
        if analysis.method in _ACROSS:
            yield from _names_centres(source, analysis, path)
            yield from _has_columns_of_centres(source, analysis, path)


def _names_centres(
    source: ReadingTable | TwoByTwoTable, analysis: Analysis, path: KeyPath
) -> Iterator[Fault]:
    if source.roles.site is None and getattr(source.roles, "study", None) is None:
        what = f"{analysis.method} is across centres; source {source.id} names none"
        yield Fault((*path, "method"), what, "give the source the role site.")
    for key in (key for key in _IDLE if getattr(analysis, key)):
        yield Fault((*path, key), f"{analysis.method} has no {key}", "remove it.")


def _has_columns_of_centres(
    source: ReadingTable | TwoByTwoTable, analysis: Analysis, path: KeyPath
) -> Iterator[Fault]:
    if analysis.subgroups and (
        analysis.method == "accuracy_meta" or isinstance(source, TwoByTwoTable)
    ):
        what = f"{analysis.method} of source {source.id} has no subgroups"
        fix = "remove them; accuracy and leave_one_centre_out of a reading_table have subgroups."
        yield Fault((*path, "subgroups"), what, fix)
        return
    if analysis.terms and isinstance(source, ReadingTable):
        what = f"terms are columns of centres; a row of source {source.id} is a reading"
        yield Fault((*path, "terms"), what, "remove them, or pool a two_by_two_table.")
    for key, names in (
        ("subgroups", analysis.subgroups),
        ("terms", columns_in(analysis.parsed_terms)),
    ):
        known = ("boolean", "category") + (("number",) if key == "terms" else ())
        for name in (n for n in names if type_of(source.columns, n) not in known):
            found = type_of(source.columns, name) or f"not among the columns of source {source.id}"
            fix = f"declare {name} under columns as {' or '.join(known)}."
            yield Fault((*path, key), f"column {name} is {found}", fix)


CENTRE_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _centres_can_be_pooled),)
