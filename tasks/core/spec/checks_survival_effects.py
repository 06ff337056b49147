"""Whether methods of an outcome that follow persons instead are told what they need."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.methods import BY_MODELS, OF_SURVIVAL
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.table_fields import reads_time
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec


def _survival_effects_fit(spec: StudySpec) -> Iterator[Fault]:
    for analysis, source in spec.table_analyses:
        if analysis.rule.outcome == "outcome or time" and isinstance(source, AnalysisTable):
            path: KeyPath = ("analyses", spec.analyses.index(analysis))
            if not reads_time(source, analysis):
                yield from _has_no_time(source, analysis, path)
            elif source.roles.event is not None:
                yield from _has_days(analysis, path)
                yield from _has_models(source, analysis, path)


def _has_no_time(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """Keys of hazards say nothing of an outcome that has no time."""
    keys = (*OF_SURVIVAL, "censoring_terms")
    if idle := [key for key in keys if getattr(analysis, key)]:
        what = f"{' and '.join(idle)} belong to follow-up, and the outcome of {source.id} has none"
        fix = "add table_days or horizon_days with the roles follow_up and event, or remove them."
        yield Fault((*path, idle[0]), what, fix)


def _has_days(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if not analysis.table_days and analysis.horizon_days is None:
        what = f"{analysis.method} of follow-up reads risks on days, and none are given"
        fix = "add table_days: [365], or horizon_days."
        yield Fault((*path, "table_days"), what, fix)
    if 0 in analysis.table_days:
        yield Fault((*path, "table_days"), "nothing has happened by day 0", "remove day 0.")
    if analysis.ties == "exact":
        what = f"{analysis.method} has no baseline of exact ties"
        yield Fault((*path, "ties"), what, "write ties: efron, or breslow.")


def _has_models(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """Models of one arm have no treatment in them."""
    treatment = source.roles.treatment
    named = {"censoring_terms": analysis.parsed_censoring_terms}
    if analysis.model_per_arm:
        named["terms"] = analysis.parsed_terms
    for key, terms in named.items():
        if treatment in columns_in(terms):
            what = f"{treatment} is the same for all in a model of one arm"
            yield Fault((*path, key), what, f"remove {treatment} from {key}.")


def _lake_effects_fit(spec: StudySpec) -> Iterator[Fault]:
    """Models of follow-up of the lake's arms have the covariates of the study for terms."""
    for place, analysis in enumerate(spec.analyses):
        if analysis.source is None and analysis.method in BY_MODELS:
            path: KeyPath = ("analyses", place)
            yield from _has_days(analysis, path)
            if analysis.adjustment != "none":
                what = f"{analysis.method} adjusts by its models, and {analysis.adjustment} as well"
                yield Fault((*path, "adjustment"), what, "write adjustment: none.")
            if not spec.covariates:
                what = f"{analysis.method} adjusts by the covariates, and the study has none"
                yield Fault((*path, "method"), what, "add covariates.")


SURVIVAL_EFFECT_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _survival_effects_fit),
    Check(("analyses", "covariates"), _lake_effects_fit),
)
