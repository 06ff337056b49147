"""Negative controls, and what else says how far a result may be wrong: whether it can be done."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.design import CohortOutcome
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.methods import RULES, MethodRule
from tasks.core.spec.sources import AnalysisTable, EffectTable, type_of
from tasks.core.spec.table_fields import group_column
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

_OF_RATIOS = (
    "hazard_ratio",
    "subdistribution_hazard_ratio",
    "rate_ratio",
    "risk_ratio",
    "odds_ratio",
    "cumulative_incidence",
)
_CALIBRATED = (*_OF_RATIOS, "rmst_difference")
_OF_TABLES = (*_OF_RATIOS, "incidence_rate", "mean_difference", "coefficient", "ate", "risk")


def _controls_need_a_comparison(spec: StudySpec) -> Iterator[Fault]:
    for block in ("negative_controls", "negative_control_exposures"):
        if getattr(spec, block) and not spec.has_trial:
            what = "negative controls belong to a comparison, and the study has none"
            yield Fault((block,), what, "remove them, or add the comparison.")


def _controls_are_other_outcomes(spec: StudySpec) -> Iterator[Fault]:
    taken = {item.id for item in (spec.target, spec.comparator, spec.outcome) if item is not None}
    cohorts = {cohort.id for cohort in spec.cohorts}
    for place, control in enumerate(spec.negative_controls):
        path = ("negative_controls", place)
        if isinstance(control, CohortOutcome) and control.cohort not in cohorts:
            fix = "define it under cohorts, or name another."
            yield Fault((*path, "cohort"), f"cohort {control.cohort!r} is not defined", fix)
        if control.id in taken:
            what = f"{control.id} is an arm, the outcome, or another negative control"
            yield Fault(path, what, "name each negative control once.")
        taken.add(control.id)
    for place, pair in enumerate(spec.negative_control_exposures):
        if pair.id in taken:
            what = f"{pair.id} is an arm, the outcome, or another negative control"
            yield Fault(("negative_control_exposures", place, "id"), what, "rename the pair.")


def _calibration_has_controls(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        path = ("analyses", place, "calibrate")
        if not analysis.calibrate:
            continue
        if analysis.source is not None:
            what = "calibrate belongs to the arms of the lake"
            fix = "pool the controls as an effect_table with method empirical_calibration."
            yield Fault(path, what, fix)
        elif not (spec.negative_controls or spec.negative_control_exposures):
            what = "there are no negative controls to calibrate by"
            yield Fault(path, what, "add negative_controls: outcomes that neither arm can change.")
        elif not _is_calibrated(analysis.rule):
            what = f"method {analysis.method} gives no ratio or difference of the arms"
            yield Fault(path, what, f"choose one of {', '.join(_lake_methods())}.")


def _is_calibrated(rule: MethodRule) -> bool:
    return rule.lake_estimate in _CALIBRATED


def _lake_methods() -> tuple[str, ...]:
    return tuple(name for name, rule in RULES.items() if _is_calibrated(rule))


def _e_value_has_no_effect(analysis: Analysis) -> bool:
    """Whether no law of it has a ratio of hazards: without terms, or of accelerated time alone."""
    if analysis.method != "parametric_survival":
        return False
    laws = {analysis.distribution, *analysis.distributions}
    return analysis.terms is None or not laws & set(_LAWS_OF_HAZARDS)


def _e_values_are_of_effects(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        rule = analysis.rule
        known = rule.lake_estimate if analysis.source is None else rule.estimate
        if analysis.e_value and (known not in _OF_TABLES or _e_value_has_no_effect(analysis)):
            what = f"method {analysis.method} gives no effect that has an E-value"
            fix = "remove e_value, or choose a method that gives a ratio or a mean difference."
            yield Fault(("analyses", place, "e_value"), what, fix)


def _effect_tables_have_what_it_takes(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source = tables.get(analysis.source or "")
        if not isinstance(source, EffectTable) or analysis.method not in _OF_EFFECTS:
            continue
        path = ("analyses", place)
        if source.roles.scale is None:
            what = f"{analysis.method} needs estimates; source {source.id} has counts"
            yield Fault((*path, "method"), what, "give estimate, std_error and scale.")
        elif analysis.measure and (analysis.measure in _DIFFERENCES) == (
            source.roles.scale == "log"
        ):
            what = f"measure {analysis.measure} does not go with scale {source.roles.scale}"
            yield Fault((*path, "measure"), what, "ratios are given as logarithms (scale: log).")
        elif analysis.method == "e_value" and analysis.measure in _DIFFERENCES:
            what = "a difference has an E-value only where its outcome is a column"
            yield Fault((*path, "measure"), what, "add e_value: true to the analysis that made it.")
        if analysis.control and type_of(source.columns, analysis.control) != "boolean":
            what = f"column {analysis.control} is not declared as boolean of source {source.id}"
            fix = f"declare it: columns: {{{analysis.control}: boolean}}."
            yield Fault((*path, "control"), what, fix)


def _missing_data_has_terms(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.missing_data is not None and (analysis.source is None or not analysis.terms):
            what = "missing_data is of the columns in terms of a registry table"
            yield Fault(("analyses", place, "missing_data"), what, "add terms, or remove it.")
        elif analysis.missing_data is not None and analysis.gates:
            what = "gates of an analysis with imputed rows cannot be judged yet"
            yield Fault(("analyses", place, "gates"), what, "keep one of the two.")
        elif analysis.missing_data is not None and analysis.landmark_days is not None:
            what = "imputed rows are not followed from a landmark yet"
            yield Fault(("analyses", place, "landmark_days"), what, "keep one of the two.")


def _subgroups_have_a_treatment(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place, "subgroups")
        if not analysis.subgroups or analysis.method in OF_READINGS:
            continue
        if not isinstance(source, AnalysisTable):
            fix = "restrict the analysis to a population of the design." * (source is None)
            what = "subgroups are of an analysis_table"
            yield Fault(path, what, fix or "remove them.")
            continue
        yield from _suit_subgroups(source, analysis, path)


def _suit_subgroups(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    treatment = source.roles.treatment
    if analysis.missing_data is not None:
        yield Fault(path, "subgroups of imputed rows are not made yet", "keep one of the two.")
    if treatment is None:
        what = f"subgroups show the effect of treatment, and source {source.id} has no such role"
        yield Fault(path, what, "add the role treatment.")
    elif analysis.terms and treatment not in columns_in(analysis.parsed_terms):
        yield Fault(path, f"treatment {treatment} is not among the terms", f"add {treatment}.")
    elif not analysis.terms and not analysis.rule.is_grouped:
        what = f"method {analysis.method} gives no effect of treatment"
        yield Fault(path, what, "choose a method with terms, or one that compares groups.")
    for name in analysis.subgroups:
        if name == treatment:
            yield Fault(path, f"{name} is the treatment itself", "name another column.")
        elif type_of(source.columns, name) not in ("category", "boolean"):
            what = f"column {name} is not declared as category or boolean of source {source.id}"
            yield Fault(path, what, f"declare it: columns: {{{name}: {{category: [levels]}}}}.")


def _bias_can_be_analysed(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if analysis.method != "bias_analysis" or analysis.bias is None:
            continue
        if isinstance(source, EffectTable) and source.roles.scale is not None:
            what = f"bias_analysis needs counts of both arms; source {source.id} has estimates"
            yield Fault((*path, "method"), what, "give events and totals of both arms.")
        if isinstance(source, AnalysisTable) and group_column(source, analysis) is None:
            fix = f"add by, or the role treatment to source {source.id}."
            yield Fault((*path, "by"), "bias_analysis compares arms and none are named", fix)
        if analysis.bias.is_drawn and (analysis.draws is None or analysis.seed is None):
            what = "a parameter has a distribution: say how often it is drawn, from which seed"
            yield Fault((*path, "draws"), what, "add draws and seed.")
        if not analysis.bias.is_drawn and (analysis.draws, analysis.seed) != (None, None):
            what = "no parameter has a distribution, so that nothing is drawn"
            yield Fault((*path, "draws"), what, "remove draws and seed.")


_LAWS_OF_HAZARDS = ("weibull_ph", "gompertz")
_OF_EFFECTS = ("empirical_calibration", "e_value")
OF_READINGS = ("accuracy", "accuracy_meta", "leave_one_centre_out", "roc", "operating_point")
"""Methods that have subgroups of cases, or refuse them by themselves."""
_DIFFERENCES = (
    "mean_difference",
    "risk_difference",
    "rate_difference",
    "rmst_difference",
    "proportion",
)

SENSITIVITY_CHECKS: tuple[Check, ...] = (
    Check(
        ("negative_controls", "negative_control_exposures", "design", "outcome"),
        _controls_need_a_comparison,
    ),
    Check(
        (
            *("negative_controls", "negative_control_exposures"),
            *("target", "comparator", "outcome", "cohorts"),
        ),
        _controls_are_other_outcomes,
        ("cohorts",),
    ),
    Check(
        ("negative_controls", "negative_control_exposures", "analyses"), _calibration_has_controls
    ),
    Check(("analyses",), _e_values_are_of_effects),
    Check(("analyses",), _missing_data_has_terms),
    Check(("sources", "analyses"), _bias_can_be_analysed),
    Check(("sources", "analyses"), _subgroups_have_a_treatment),
    Check(("sources", "analyses"), _effect_tables_have_what_it_takes),
)
