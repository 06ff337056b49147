"""Time in registry tables: what a grace period needs, immortal time, and what a bootstrap needs."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.table_fields import follows_persons, group_column
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

IMMORTAL = "E_SPEC_IMMORTAL_TIME"
_BOOTSTRAP_KEYS = ("replicates", "seed", "bootstrap_interval")

_MAY_BOOTSTRAP = {
    "cox": "std_error: bootstrap",
    "kaplan_meier": "censoring_terms",
    "rmst": "censoring_terms",
    "cumulative_incidence": "std_error: bootstrap",
}


def _of_tables(spec: StudySpec) -> Iterator[tuple[KeyPath, Analysis, AnalysisTable]]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source = tables.get(analysis.source or "")
        if isinstance(source, AnalysisTable):
            yield ("analyses", place), analysis, source


def _treatment_is_not_known_early(spec: StudySpec) -> Iterator[Fault]:
    """Who is treated later had to live until then: such groups are not groups of time zero."""
    for path, analysis, source in _of_tables(spec):
        treatment = source.roles.treatment
        is_timed = _is_timed(source, analysis)
        if source.roles.treatment_start is None or treatment is None or not is_timed:
            continue
        key = "by" if analysis.rule.is_grouped else "terms"
        used = {group_column(source, analysis)} if key == "by" else set()
        used |= set(columns_in(analysis.parsed_terms))
        used |= {treatment} if analysis.model_per_arm else set()
        if treatment in used:
            what = (
                f"{treatment} is known only when treatment starts, and follow-up begins before: "
                "who is treated cannot die in between"
            )
            fix = (
                "use method: clone_censor_weight, landmark_days, or a table of intervals "
                "(start, stop) in which the treatment changes."
            )
            yield Fault((*path, key), what, fix, IMMORTAL)


def _is_timed(source: AnalysisTable, analysis: Analysis) -> bool:
    """Whether groups or terms are held against follow-up from time zero."""
    if analysis.landmark_days:
        return False
    return follows_persons(source, analysis) and not analysis.rule.takes_start


def _grace_has_what_it_needs(spec: StudySpec) -> Iterator[Fault]:
    for path, analysis, source in _of_tables(spec):
        if not analysis.rule.takes_start:
            continue
        if source.has_intervals:
            yield from _treatment_changes(source, analysis, path)
            if analysis.interval_days is None:
                what = "covariates of intervals change, and the last day to start is not told"
                fix = "add interval_days: who starts in these last days of grace stands for others."
                yield Fault((*path, "interval_days"), what, fix)
        elif source.roles.treatment_start is None or source.roles.entry:
            what = f"{analysis.method} needs the role treatment_start, and no entry"
            fix = f"add the column in which treatment began to source {source.id}."
            yield Fault((*path, "method"), what, fix)
        yield from _looks_beyond_grace(analysis, path)


def _looks_beyond_grace(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    grace = analysis.grace_days or 0
    days = [*analysis.table_days, *filter(None, [analysis.horizon_days])]
    if not days or max(days) <= grace:
        what = "no risk or mean beyond the grace period is asked for"
        fix = "give table_days, or horizon_days, later than grace_days."
        yield Fault((*path, "table_days"), what, fix)
    if (analysis.interval_days or 0) > grace:
        what = "interval_days is longer than the grace period whose last part it is"
        yield Fault((*path, "interval_days"), what, "give the days of one interval.")


def _trials_have_what_they_need(spec: StudySpec) -> Iterator[Fault]:
    for path, analysis, source in _of_tables(spec):
        if analysis.method != "sequential_trials":
            continue
        if not source.has_intervals:
            what = f"sequential_trials needs intervals; source {source.id} has none"
            yield Fault((*path, "method"), what, "give it the roles start, stop and person_id.")
        else:
            yield from _treatment_changes(source, analysis, path)


def _treatment_changes(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    treatment = source.roles.treatment
    if treatment is None or treatment not in source.roles.time_varying or _levels(source) != 2:
        what = f"{analysis.method} needs a treatment of two levels that changes with time"
        fix = "name it under the roles treatment and time_varying, as boolean or two levels."
        yield Fault((*path, "method"), what, fix)
    if treatment in columns_in(analysis.parsed_terms):
        what = f"{treatment} is the treatment; terms are the covariates beside it"
        yield Fault((*path, "terms"), what, f"remove {treatment} from terms.")


def _levels(source: AnalysisTable) -> int:
    kind = source.columns[str(source.roles.treatment)]
    return len(kind.category) if isinstance(kind, Category) else 2


def _loss_is_read_on_days(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        is_curve = analysis.method == "kaplan_meier"
        if is_curve and analysis.censoring_terms is not None and not analysis.table_days:
            what = "a curve weighted for loss is read on days, and none are given"
            yield Fault(("analyses", place, "table_days"), what, "add table_days: [365].")


def _loss_stands_alone(spec: StudySpec) -> Iterator[Fault]:
    """Weights for loss are made from time zero on, and their bootstrap makes the interval."""
    for path, analysis, source in _of_tables(spec):
        if analysis.censoring_terms is None:
            continue
        if source.roles.entry or source.has_intervals:
            what = "weights for loss to follow-up are not made of rows with late entry yet"
            fix = "start every person at time 0, or leave censoring_terms out."
            yield Fault((*path, "censoring_terms"), what, fix)
        idle = [key for key in _NOT_WITH_LOSS if getattr(analysis, key)]
        if idle and analysis.method in _MAY_BOOTSTRAP:
            what = f"{' and '.join(idle)} cannot be had with censoring_terms"
            yield Fault((*path, idle[0]), what, "remove them, or censoring_terms.")


_NOT_WITH_LOSS = ("conf_type", "quantiles", "terms")


def _bootstraps_are_told_and_valid(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        rule = _MAY_BOOTSTRAP.get(analysis.method)
        if rule is None:
            continue
        rule = rule if analysis.source else "std_error: bootstrap"
        asked = analysis.std_error == "bootstrap" or analysis.censoring_terms is not None
        given = [key for key in _BOOTSTRAP_KEYS if getattr(analysis, key) is not None]
        if asked and analysis.seed is None:
            what = "a bootstrap needs seed: the same seed gives the same numbers"
            yield Fault(("analyses", place, "seed"), what, "add seed: 1, or another number.")
        elif given and not asked:
            what = f"{' and '.join(given)} belong to {rule}"
            yield Fault(("analyses", place, given[0]), what, "remove them, or ask for it.")


TIME_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _loss_stands_alone),
    Check(("sources", "analyses"), _treatment_is_not_known_early),
    Check(("sources", "analyses"), _grace_has_what_it_needs),
    Check(("sources", "analyses"), _trials_have_what_they_need),
    Check(("analyses",), _loss_is_read_on_days),
    Check(("analyses",), _bootstraps_are_told_and_valid),
)
