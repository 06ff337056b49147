"""How an analysis adjusts, what it estimates, and what it does otherwise than the primary one."""

from collections.abc import Iterator
from typing import Any

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.methods import BY_MODELS, INITIATION, METHODS_OF_TREATMENT
from tasks.core.spec.terms import columns_in
from tasks.report.blocks import Block, Bullets, Run, Runs, runs
from tasks.report.generic import items_of, said_of
from tasks.report.protocol.parts import paragraph
from tasks.report.voice import Voice

_WITH_WEIGHTS = (
    "cox",
    "fine_gray",
    "logistic",
    "kaplan_meier",
    "nelson_aalen",
    "rmst",
    "cumulative_incidence",
)
_WITHOUT_ADJUSTMENT = (
    "describe",
    "accuracy",
    "roc",
    "operating_point",
    "mrmc",
    "agreement",
    "reading_time",
)
_MEASURES = {
    "cox": "hazard_ratio",
    "fine_gray": "subdistribution_hazard_ratio",
    "logistic": "odds_ratio",
    "rmst": "rmst_difference",
    "kaplan_meier": "survival",
    "nelson_aalen": "cumulative_hazard",
    "cumulative_incidence": "cumulative_incidence",
    "incidence_rate": "incidence_rate",
    "clone_censor_weight": "risk_difference",
    **dict.fromkeys(METHODS_OF_TREATMENT, "mean_difference"),
}


def source_of(voice: Voice, analysis: Analysis) -> Any:
    """Return the table that an analysis reads; None where it compares cohorts of the lake."""
    return next((table for a, table in voice.spec.table_analyses if a is analysis), None)


def covariates_of(voice: Voice, analysis: Analysis) -> tuple[str, ...]:
    """Return the columns of the model of an analysis, without that of the treatment."""
    roles = getattr(source_of(voice, analysis), "roles", None)
    treatment = getattr(roles, "treatment", None)
    return tuple(name for name in columns_in(analysis.parsed_terms) if name != treatment)


def adjustment_text(voice: Voice, analysis: Analysis) -> str:
    """Say how an analysis adjusts: by its model, strata and weights, or as its arms are."""
    source = source_of(voice, analysis)
    if source is None:
        return "; ".join(_of_lake(voice, analysis))
    if analysis.method in _WITHOUT_ADJUSTMENT:
        return ""
    parts = list(_of_table(voice, analysis, source)) or [voice.term("adjustment", "none")]
    if analysis.cluster:
        parts.append(voice("adjusting.cluster", column=analysis.cluster))
    return "; ".join(parts)


def _of_lake(voice: Voice, analysis: Analysis) -> Iterator[str]:
    """A method that adjusts by its models has all covariates of the study in them."""
    if analysis.method not in BY_MODELS:
        yield voice.term("adjustment", analysis.adjustment)
        return
    columns = ", ".join(covariate.id for covariate in voice.spec.covariates)
    if analysis.method == "aipw":
        yield voice("adjusting.score", columns=columns)
    yield voice("adjusting.model", columns=columns)


def _of_table(voice: Voice, analysis: Analysis, source: Any) -> Iterator[str]:
    if analysis.adjustment != "none":
        yield voice.term("adjustment", analysis.adjustment)
    if analysis.propensity is not None:
        yield voice("adjusting.score", columns=", ".join(columns_in(analysis.propensity_terms)))
    if columns := covariates_of(voice, analysis):
        yield voice("adjusting.model", columns=", ".join(columns))
    if analysis.strata:
        yield voice("adjusting.strata", columns=", ".join(analysis.strata))
    weight = getattr(source.roles, "weight", None)
    if weight and analysis.method in _WITH_WEIGHTS:
        yield voice("adjusting.weight", column=weight)


def method_text(voice: Voice, analysis: Analysis) -> str:
    """Name method and adjustment of an analysis."""
    parts = (voice.term("method", analysis.method), adjustment_text(voice, analysis))
    return ", ".join(part for part in parts if part)


def measures_text(voice: Voice) -> str:
    """Name what each primary analysis estimates, with its method after it."""
    found = [
        voice(
            "pico.effect_text",
            id=analysis.id,
            measure=_measure(voice, analysis),
            method=method_text(voice, analysis),
        )
        for analysis in voice.spec.analyses
        if analysis.role == "primary"
    ]
    return "; ".join(found) or voice("abstract.no_primary")


def _measure(voice: Voice, analysis: Analysis) -> str:
    estimand = voice.spec.estimand_of(analysis)
    measure = estimand.summary_measure if estimand else _MEASURES.get(analysis.method, "")
    if analysis.source is None and analysis.method in BY_MODELS and not estimand:
        measure = "risk_difference" if analysis.table_days else "rmst_difference"
    known = measure or analysis.method
    return voice.term("summary_measure" if measure else "method", known)


def propensity(voice: Voice) -> list[Block]:
    """Say how the propensity score is fitted and used, where an analysis uses one."""
    used = voice.spec.adjustments
    if not voice.spec.has_trial or not used:
        return []
    target, _ = voice.arms
    covariates = ", ".join(covariate.id for covariate in voice.spec.covariates)
    said_so = [voice("propensity.model", target=target, covariates=covariates)]
    said_so += [voice(f"propensity.{name}") for name in used]
    head = Run(voice("propensity.title") + ". ", tone="strong")
    return [paragraph(head, " ".join(said_so))]


def initiation(voice: Voice) -> list[Block]:
    """Say how clones of a grace period are censored and weighted, where the study makes some."""
    cloned = [a for a in voice.spec.lake_analyses if a.rule.takes_start]
    if not voice.spec.has_trial or not cloned:
        return []
    is_adjusted = any(analysis.adjustment == INITIATION for analysis in cloned)
    named = ", ".join(covariate.id for covariate in voice.spec.covariates)
    covariates = named if is_adjusted and named else voice("initiation.none")
    head = Run(voice("initiation.title") + ". ", tone="strong")
    return [paragraph(head, voice("initiation.text", covariates=covariates))]


def sensitivity(voice: Voice) -> list[Block]:
    """Say for each sensitivity analysis what it does otherwise than the primary one."""
    found = [analysis for analysis in voice.spec.analyses if analysis.role == "sensitivity"]
    if not found:
        return [paragraph(voice("analysis.no_sensitivity"))]
    items = tuple(_otherwise(voice, analysis) for analysis in found)
    head = Run(voice("analysis.sensitivity") + ". ", tone="strong")
    return [paragraph(head, voice("analysis.sensitivity_text")), Bullets(items)]


def _otherwise(voice: Voice, analysis: Analysis) -> Runs:
    name = Run(analysis.id, tone="code")
    primary = primary_of(voice, analysis)
    if primary is None:
        return runs(name, ": ", voice("analysis.no_primary"))
    changed = "; ".join(differences(voice, primary, analysis)) or voice("analysis.no_difference")
    return runs(name, voice("analysis.against", primary=primary.id), ": ", changed)


def primary_of(voice: Voice, analysis: Analysis) -> Analysis | None:
    """Return the primary analysis beside which another stands: of its estimand, of its table."""
    spec = voice.spec
    primaries = [a for a in spec.analyses if a.role == "primary"]
    alike = [
        a
        for a in primaries
        if a.source == analysis.source and spec.estimand_of(a) == spec.estimand_of(analysis)
    ]
    return next(iter(alike or primaries), None)


_OTHERS = ("id", "role", "gates", "planned")
"""Keys that say which analysis it is and when it is told, not what it does."""


def differences(voice: Voice, primary: Analysis, analysis: Analysis) -> list[str]:
    """Return every key in which two analyses differ, with both values."""
    mine = dict(items_of(analysis))
    return [
        voice(
            "analysis.difference",
            what=voice.term("field", key),
            before=said_of(voice, primary, key, before) or _unsaid(voice, key),
            after=said_of(voice, analysis, key, mine[key]) or _unsaid(voice, key),
        )
        for key, before in items_of(primary)
        if key not in _OTHERS and before != mine[key]
    ]


def _unsaid(voice: Voice, key: str) -> str:
    known = voice.knows("unsaid", key)
    return voice.term("unsaid", key) if known else voice("change.empty")
