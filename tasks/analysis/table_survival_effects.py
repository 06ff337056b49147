"""Effects of a table's treatment on risks by a day, by models of follow-up."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.table_adjust import Arms, arms_of, fitted_score, with_names
from tasks.analysis.table_asked import TIME, AskedOfTable, Row
from tasks.analysis.table_causal import (
    augmented_weighting,
    counterfactual_design,
    score_rows,
    standardisation,
)
from tasks.core.errors import EstimationError
from tasks.core.results import AT_RISK
from tasks.core.spec import Analysis
from tasks.core.spec.table_fields import follows_persons
from tasks.stats.inference import Contrast, z_quantile
from tasks.stats.outcome_models import OutcomeDesign
from tasks.stats.partial_likelihood import Ties
from tasks.stats.survival_effects import (
    SurvivalEffects,
    aipw_survival,
    g_computation_survival,
)
from tasks.stats.weighted_effects import ArmMeans, Measure, contrast_means

_LEVEL = 0.95


class Followed(Protocol):
    """Follow-up of n persons, and whether it ended in the event."""

    @property
    def n(self) -> int:
        """How many persons there are."""

    @property
    def time(self) -> FloatArray:
        """Days of follow-up, shape (n,)."""

    @property
    def has_event(self) -> BoolArray:
        """True where follow-up ended in the event, shape (n,)."""


class AskedOfArms(Protocol):
    """An analysis of two arms, of a table or of the lake, that makes rows of results."""

    analysis: Analysis

    @property
    def rows(self) -> Followed:
        """Who is analysed."""

    def row(self, estimate_name: str, /, **values: object) -> Row:
        """Return a row of results."""

    def contrast(self, name: str, found: Contrast, **values: object) -> Row:
        """Return a row for a contrast of the arms."""

    def of_arm(self, level: str) -> Row:
        """Return the columns of a row that name an arm."""

    def of_arms(self, target: str, reference: str) -> Row:
        """Return the columns of a row that name two arms."""


AskedAny = TypeVar("AskedAny", bound=AskedOfArms)


def standardised(asked: AskedOfTable) -> list[Row]:
    """Return effects by a model of the outcome, or of follow-up where days are asked for."""
    if not follows_persons(asked.rows.source, asked.analysis):
        return standardisation(asked)
    return or_why_not(asked, _standardised_survival)


def doubly_robust(asked: AskedOfTable) -> list[Row]:
    """Return effects by AIPW of the outcome, or of follow-up where days are asked for."""
    if not follows_persons(asked.rows.source, asked.analysis):
        return augmented_weighting(asked)
    return or_why_not(asked, _augmented_survival)


def or_why_not(asked: AskedAny, method: Callable[[AskedAny], list[Row]]) -> list[Row]:
    """Return the rows of a method; a row of the effect asked for where there is none."""
    try:
        return method(asked)
    except EstimationError as exc:
        name = "risk_difference" if asked.analysis.table_days else "rmst_difference"
        note = f"{exc.where}: {exc.what}"
        return [asked.row(name, status="not_estimable", note=note)]


def _standardised_survival(asked: AskedOfTable) -> list[Row]:
    rows, arms, analysis = asked.rows, arms_of(asked), asked.analysis
    try:
        found = g_computation_survival(
            rows.time,
            rows.has_event,
            arms.treated,
            _design(asked),
            np.asarray(analysis.table_days, dtype=np.float64),
            float(analysis.horizon_days) if analysis.horizon_days else None,
            analysis.effect or "ate",
            ties_of(analysis),
            bool(analysis.model_per_arm),
        )
    except EstimationError as exc:
        raise with_names(exc, design_columns(rows)) from None
    return effect_rows(asked, arms, found)


def _augmented_survival(asked: AskedOfTable) -> list[Row]:
    rows, arms, analysis = asked.rows, arms_of(asked), asked.analysis
    score, names = fitted_score(rows, arms.treated)
    loss = design_columns(rows, analysis.parsed_censoring_terms) if _models_loss(asked) else None
    try:
        found = aipw_survival(
            rows.time,
            rows.has_event,
            arms.treated,
            _design(asked),
            score,
            np.asarray(analysis.table_days, dtype=np.float64),
            float(analysis.horizon_days) if analysis.horizon_days else None,
            None if loss is None else loss.x,
            analysis.effect or "ate",
            ties_of(analysis),
            bool(analysis.model_per_arm),
        )
    except EstimationError as exc:
        raise _named(exc, design_columns(rows), loss) from None
    return effect_rows(asked, arms, found) + score_rows(asked, score, names)


def _models_loss(asked: AskedOfTable) -> bool:
    return asked.analysis.censoring_terms is not None


def _named(
    exc: EstimationError, outcome: DesignColumns, loss: DesignColumns | None
) -> EstimationError:
    """Say which columns are meant, where only one model can be."""
    return with_names(exc, outcome) if loss is None else exc


def ties_of(analysis: Analysis) -> Ties:
    """Return the ties of the models of hazards: efron unless told."""
    return "breslow" if analysis.ties == "breslow" else "efron"


def _design(asked: AskedOfTable) -> OutcomeDesign:
    if not asked.analysis.model_per_arm:
        return counterfactual_design(asked)
    x = design_columns(asked.rows).x
    return OutcomeDesign(x, x, x)


def effect_rows(asked: AskedOfArms, arms: Arms, found: SurvivalEffects) -> list[Row]:
    """Return risks of both arms by each day with their contrasts, then restricted means."""
    made: list[Row] = []
    for day, means in zip(found.days, found.risks, strict=True):
        made += _of_day(asked, arms, float(day), means, "cumulative_incidence", _RISKS)
    if found.rmst is not None and found.horizon is not None:
        made += _of_day(asked, arms, found.horizon, found.rmst, "rmst", _MEANS)
    return [row | {"estimand": asked.analysis.effect or "ate"} for row in made]


_RISKS: tuple[tuple[str, Measure], ...] = (
    ("risk_difference", "difference"),
    ("risk_ratio", "ratio"),
)
_MEANS: tuple[tuple[str, Measure], ...] = (
    ("rmst_difference", "difference"),
    ("rmst_ratio", "ratio"),
)


def _of_day(
    asked: AskedOfArms,
    arms: Arms,
    day: float,
    means: ArmMeans,
    name: str,
    contrasts: tuple[tuple[str, Measure], ...],
) -> list[Row]:
    if any(not _counts(asked, mine, day)["n_events"] for mine in (arms.treated, ~arms.treated)):
        what: Row = {"at": day, "n_events": None, "status": "not_estimable", **TIME}
        what |= asked.of_arms(arms.target, arms.reference)
        note = f"nobody of an arm has the event by {day:g}"
        return [asked.row(shown, note=note, **what) for shown, _ in contrasts]
    unit = "days" if name == "rmst" else "probability"
    common: Row = {"at": day, "unit": unit, "se_method": means.se_method, **TIME}
    errors = np.sqrt(np.diag(means.covariance))
    until = np.inf if name == "rmst" else day  # means count all events, as other means do
    made = [
        asked.row(
            name,
            term="table" if name == "cumulative_incidence" else None,
            **(common | _numbers(value, error, name) | _counts(asked, mine, until)),
            **asked.of_arm(level),
        )
        | {AT_RISK: int((mine & (asked.rows.time >= day)).sum())}
        for level, mine, value, error in (
            (arms.reference, ~arms.treated, means.other, float(errors[1])),
            (arms.target, arms.treated, means.treated, float(errors[0])),
        )
    ]
    everybody = np.ones(asked.rows.n, dtype=np.bool_)
    common |= asked.of_arms(arms.target, arms.reference)
    common |= {"n_events": _counts(asked, everybody, until)["n_events"]}
    return made + list(_compared(asked, means, contrasts, common))


def _compared(
    asked: AskedOfArms,
    means: ArmMeans,
    contrasts: tuple[tuple[str, Measure], ...],
    common: Row,
) -> Iterator[Row]:
    for name, measure in contrasts:
        unit = common["unit"] if measure == "difference" else None
        try:
            found = contrast_means(means, measure, _LEVEL)
        except EstimationError as exc:
            what = {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}
            yield asked.row(name, **(common | {"unit": unit} | what))
            continue
        yield asked.contrast(name, found, **(common | {"unit": unit}))


def _numbers(value: float, error: float, name: str) -> Row:
    margin = z_quantile(_LEVEL) * error
    outside = name != "rmst" and not 0 <= value <= 1
    note = "a risk outside 0 to 1: a few persons carry large weights" if outside else None
    return {
        "estimate": value,
        "estimate_scale": "identity",
        "std_error": error,
        "se_scale": "identity",
        "ci_low": value - margin,
        "ci_high": value + margin,
        "ci_level": _LEVEL,
        "ci_method": "wald",
        "note": note,
    }


def _counts(asked: AskedOfArms, mine: BoolArray, day: float) -> Row:
    """Count members, and those who had the event by a day."""
    by_day = mine & asked.rows.has_event & (asked.rows.time <= day)
    return {"n": int(mine.sum()), "n_events": int(by_day.sum())}
