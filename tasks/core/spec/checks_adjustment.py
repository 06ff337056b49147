"""Whether the adjustments of registry tables fit: a treatment of two levels, and its model."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.methods import ADJUSTMENT_KEYS, METHODS_OF_TREATMENT
from tasks.core.spec.sources import AnalysisTable, type_of
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

_NEEDS_TREATMENT = ("cox", "g_computation", "aipw", "tmle")


def _adjustments_fit(spec: StudySpec) -> Iterator[Fault]:
    for analysis, source in spec.table_analyses:
        uses = analysis.adjustment != "none" or analysis.method in METHODS_OF_TREATMENT
        if uses and isinstance(source, AnalysisTable):
            path: KeyPath = ("analyses", spec.analyses.index(analysis))
            yield from _has_treatment(source, analysis, path)
            yield from _columns(source, analysis, path)
            if analysis.adjustment != "none":
                yield from _adjusts(source, analysis, path)


def _has_treatment(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    name = source.roles.treatment
    what = f"{analysis.method} compares two levels of the treatment"
    if name is None:
        yield Fault((*path, "method"), f"{what}; source {source.id} has no role treatment")
        return
    kind = source.columns.get(name)
    if isinstance(kind, Category) and len(kind.category) != 2:
        fix = f"declare two levels of {name}; rows of others are then left out, and counted."
        yield Fault((*path, "method"), f"{what}; {name} has {len(kind.category)}", fix)
    is_adjusted = analysis.adjustment != "none"
    modelled = analysis.method in _NEEDS_TREATMENT and (is_adjusted or analysis.method != "cox")
    modelled = modelled and not analysis.model_per_arm
    if modelled and name not in columns_in(analysis.parsed_terms):
        yield Fault((*path, "terms"), f"the treatment {name} is not in terms", f"add {name}.")
    forbidden = analysis.method in ("g_estimation", "instrumental_variable")
    if forbidden and name in columns_in(analysis.parsed_terms):
        yield Fault((*path, "terms"), f"{name} stands in terms of its own", f"remove {name}.")
    if name in columns_in(analysis.propensity_terms):
        what = f"the treatment {name} cannot explain itself"
        yield Fault((*path, "propensity"), what, f"remove {name}.")


def _groups_have_levels(spec: StudySpec) -> Iterator[Fault]:
    """A treatment that is a number is a dose: only an instrument's analysis takes it as one."""
    for analysis, source in spec.table_analyses:
        name = source.roles.treatment if isinstance(source, AnalysisTable) else None
        if name is None or source.columns[name] != "number":
            continue
        of_arms = analysis.adjustment != "none" or bool(analysis.subgroups)
        compares = analysis.rule.is_grouped and analysis.by is None
        compares = compares and not (analysis.rule.models_groups and analysis.terms)
        is_dose = analysis.method == "instrumental_variable"
        if of_arms or compares or (analysis.method in METHODS_OF_TREATMENT and not is_dose):
            path: KeyPath = ("analyses", spec.analyses.index(analysis), "method")
            what = f"{analysis.method} compares levels of the treatment, and {name} is a number"
            fix = f"declare {name} as boolean or as a category with its levels."
            yield Fault(path, what, fix)


def _columns(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    named = [("propensity", name) for name in columns_in(analysis.propensity_terms)]
    named += [("instrument", name) for name in columns_in(analysis.instrument_terms)]
    for key, name in named:
        kind = type_of(source.columns, name)
        if kind not in ("number", "boolean", "category"):
            what = f"{key} {name} is {kind or 'not among the columns'} of source {source.id}"
            fix = f"declare {name} under columns as number, boolean or category."
            yield Fault((*path, key), what, fix)
    terms = analysis.propensity_terms
    for factor in (factor for term in terms for factor in term if factor.steps):
        if type_of(source.columns, factor.column) in ("boolean", "category"):
            what = f"column {factor.column} has levels: it has no log, exp, sqrt or power"
            yield Fault((*path, "propensity"), what, f"write {factor.column} as it is.")


def _adjusts(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    where = f"adjustment {analysis.adjustment}"
    if analysis.propensity is None:
        what = f"{where} needs propensity: the terms of the model of the treatment"
        yield Fault((*path, "propensity"), what, 'write propensity: "age + sex".')
    if analysis.score_penalty is not None:
        what = "score_penalty is of cohorts, which have covariates by the thousand"
        yield Fault((*path, "score_penalty"), what, "remove it; a table's score has its terms.")
    if source.roles.weight is not None:
        what = f"{where} makes weights or sets, and source {source.id} has weights of its own"
        yield Fault((*path, "adjustment"), what, "take the role weight away, or adjust by terms.")
    if source.has_intervals:
        what = f"{where} takes one row a person, and source {source.id} has intervals"
        yield Fault((*path, "adjustment"), what, "use a table of one row a person.")
    if analysis.by not in (None, source.roles.treatment):
        what = f"{where} compares the treatment, and `by` names {analysis.by}"
        yield Fault((*path, "by"), what, "remove by.")
    yield from _adjusts_alone(analysis, path)


def _adjusts_alone(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """What no adjustment is made together with."""
    for key in ("missing_data", "censoring_terms"):
        if getattr(analysis, key) is not None:
            what = f"adjustment {analysis.adjustment} and {key} are not made together yet"
            yield Fault((*path, key), what, "keep one of the two.")
    if analysis.cluster and analysis.adjustment == "matched":
        what = "matched rows are clustered by their sets"
        yield Fault((*path, "cluster"), what, "remove cluster.")


def _lake_adjusts_in_one_way(spec: StudySpec) -> Iterator[Fault]:
    """An adjustment of cohorts makes one population, which its balance and gates describe."""
    known = {covariate.id for covariate in spec.covariates}
    for place, analysis in enumerate(spec.analyses):
        if analysis.source is not None:
            continue
        path: KeyPath = ("analyses", place)
        for key in ("propensity", "show_propensity"):
            if getattr(analysis, key) is not None:
                what = f"{key} is of registry tables; cohorts are adjusted by all covariates"
                yield Fault((*path, key), what, f"remove {key}.")
        for name in set(analysis.exact) - known:
            yield Fault((*path, "exact"), f"{name} is no covariate of the study", "name one.")
        yield from _one_score(spec, analysis, path)
        first = spec.adjusting(analysis.population).get(analysis.adjustment, analysis)
        for key in _OPTIONS:
            if getattr(first, key) != getattr(analysis, key):
                what = f"{key} differs from that of {first.id}, which adjusts in the same way"
                yield Fault((*path, key), what, "give both the same, or make a study of its own.")


def _one_score(spec: StudySpec, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """People have one score, whatever is made of it."""
    others = spec.adjusting(analysis.population).values()
    scored = [a for a in others if a.adjustment != "entropy_balanced"]
    if analysis in scored and scored[0].score_penalty != analysis.score_penalty:
        what = f"score_penalty differs from that of {scored[0].id}, and people have one score"
        yield Fault((*path, "score_penalty"), what, "give all the same.")


_OPTIONS = tuple(key for key in ADJUSTMENT_KEYS if key not in ("propensity", "show_propensity"))
ADJUSTMENT_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _adjustments_fit),
    Check(("sources", "analyses"), _groups_have_levels),
    Check(("sources", "analyses", "covariates"), _lake_adjusts_in_one_way),
)
