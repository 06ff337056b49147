"""Whether an analysis by parametric laws of survival can be done as it is written."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

METHOD = "parametric_survival"


def _parametric_survival_is_whole(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        if analysis.method == METHOD:
            yield from _names_its_laws(analysis, ("analyses", place))
            yield from _models_each_group(analysis, ("analyses", place))
            source = tables.get(analysis.source or "")
            if isinstance(source, AnalysisTable):
                yield from _suits_its_table(source, analysis, ("analyses", place))


def _names_its_laws(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.distribution is None and not analysis.distributions:
        what = f"{METHOD} needs distribution, or distributions to compare"
        yield Fault((*path, "method"), what, "add distribution: weibull, or another law.")
    if analysis.distribution is not None and analysis.distributions:
        what = "distribution and distributions exclude each other"
        yield Fault((*path, "distribution"), what, "keep one of them.")
    if len(set(analysis.distributions)) < len(analysis.distributions):
        yield Fault((*path, "distributions"), "a distribution stands twice", "name each once.")


def _models_each_group(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.by in columns_in(analysis.parsed_terms):
        what = f"{analysis.by} makes the groups that are fitted apart, and is a term as well"
        yield Fault((*path, "by"), what, "take it out of by, or out of terms.")


def _suits_its_table(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.has_intervals:
        what = f"{METHOD} takes one row a person; rows of source {source.id} are intervals"
        yield Fault((*path, "method"), what, "give it follow_up and entry, or use cox.")
    if analysis.std_error == "profile_likelihood":
        what = f"{METHOD} has no standard errors of kind profile_likelihood"
        yield Fault((*path, "std_error"), what, "write model or robust.")
    if source.roles.weight and analysis.std_error is None and analysis.cluster is None:
        what = f"source {source.id} has weights: say how standard errors are made"
        fix = "write std_error: robust for sampling weights, model for counts."
        yield Fault((*path, "std_error"), what, fix)


PARAMETRIC_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _parametric_survival_is_whole),
)
