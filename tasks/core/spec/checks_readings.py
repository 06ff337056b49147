"""Whether a table of readings has what an analysis of readers needs, and no more is asked."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import ReadingTable
from tasks.core.spec.whole import StudySpec

_ROLES = {
    "mrmc": ("reader", "score"),
    "agreement": ("reader", "score"),
    "reading_time": ("reading_seconds",),
}


def _reader_studies_have_what_they_need(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source = tables.get(analysis.source or "")
        path: KeyPath = ("analyses", place)
        if analysis.method not in _ROLES or not isinstance(source, ReadingTable):
            continue
        yield from _has_roles(source, analysis, path)
        yield from _suits_method(analysis, path)
        yield from _suits_readers(analysis, path)


def _has_roles(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    for role in _ROLES[analysis.method]:
        if getattr(source.roles, role) is None:
            what = f"{analysis.method} needs the role {role} of source {source.id}"
            yield Fault((*path, "method"), what, f"name the column of {role} under its roles.")


def _suits_method(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.subgroups:
        what = f"{analysis.method} has no subgroups"
        yield Fault((*path, "subgroups"), what, "remove them; accuracy has subgroups.")
    if analysis.hypothesis is not None and analysis.hypothesis.goal is not None:
        what = f"{analysis.method} compares modalities, not one of them with a goal"
        yield Fault((*path, "hypothesis", "goal"), what, "remove goal; accuracy has one.")
    if analysis.index_test is not None and analysis.index_test.prevalences:
        what = f"{analysis.method} has no predictive values"
        yield Fault((*path, "index_test", "prevalences"), what, "remove them.")


def _suits_readers(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    study, agreed = analysis.reader_study, analysis.agreement
    if analysis.method == "reading_time" and study and "figures" in study.model_fields_set:
        what = "the figure of reading_time is the time itself"
        yield Fault((*path, "reader_study", "figures"), what, "remove figures.")
    if study and len(set(study.figures)) < len(study.figures):
        what = "a figure of merit stands twice"
        yield Fault((*path, "reader_study", "figures"), what, "name each figure once.")
    if agreed and agreed.against_truth and agreed.of != "results":
        what = f"the truth is no result of {agreed.of}"
        yield Fault((*path, "agreement", "against_truth"), what, "write of: results.")


READING_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _reader_studies_have_what_they_need),
)
