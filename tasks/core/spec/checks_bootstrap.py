"""What the bootstrap of the lake's arms can and cannot do."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault
from tasks.core.spec.whole import StudySpec

_READ = ("kaplan_meier", "rmst", "cumulative_incidence")
"""Methods whose errors are made by a formula unless a bootstrap is asked for."""


def _errors_of_curves_exist(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.method not in _READ or analysis.std_error is None:
            continue
        path = ("analyses", place, "std_error")
        if analysis.source is not None:
            what = f"std_error of {analysis.method} is of the arms of the lake"
            yield Fault(path, what, "remove it; of a table, censoring_terms has a bootstrap.")
        elif analysis.std_error != "bootstrap":
            what = f"{analysis.method} has its own errors, or std_error: bootstrap"
            yield Fault(path, what, f"remove std_error: {analysis.std_error}, or write bootstrap.")


def _arms_can_be_drawn(spec: StudySpec) -> Iterator[Fault]:
    """Whatever makes arms alike is made again in each resample, or there is no bootstrap."""
    for place, analysis in enumerate(spec.analyses):
        if analysis.source is None and analysis.std_error == "bootstrap":
            for what in _hindrances(analysis):
                fix = "remove std_error: bootstrap, or write std_error: robust for method cox."
                yield Fault(("analyses", place, "std_error"), what, fix)
            if analysis.method in _READ and not (analysis.table_days or analysis.horizon_days):
                what = "the bootstrap is of what is read on days, and none are given"
                yield Fault(("analyses", place, "table_days"), what, "add table_days: [365].")


def _hindrances(analysis: Analysis) -> Iterator[str]:
    if analysis.adjustment == "matched":
        yield "the bootstrap is not valid for nearest-neighbour matching"
    if analysis.method == "cox" and analysis.adjustment == "stratified":
        yield "strata of a Cox model are not made anew in each resample yet"
    if analysis.method == "cox" and analysis.ties == "exact":
        yield "the bootstrap has no exact likelihood of ties"
    if analysis.score_penalty is not None:
        yield "a penalised score is not cross-validated anew in each resample"
    if analysis.calibrate:
        yield "negative controls are calibrated by errors of a formula"


BOOTSTRAP_CHECKS: tuple[Check, ...] = (
    Check(("analyses",), _errors_of_curves_exist),
    Check(("analyses",), _arms_can_be_drawn),
)
