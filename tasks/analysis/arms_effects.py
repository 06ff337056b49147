"""Effects of the arms of a study of the lake by models of follow-up, its covariates the terms."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.analysis.design_columns import DesignColumns
from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.populations import Population, independent_columns
from tasks.analysis.table_adjust import Arms, with_names
from tasks.analysis.table_survival_effects import effect_rows, or_why_not, ties_of
from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import estimated_score
from tasks.stats.inference import Contrast
from tasks.stats.outcome_models import OutcomeDesign
from tasks.stats.survival_effects import (
    SurvivalEffects,
    aipw_survival,
    g_computation_survival,
)

if TYPE_CHECKING:
    from tasks.analysis.estimates import Asked

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Followed:
    """Follow-up of the people, by the names that the rows of tables have."""

    n: int
    time: FloatArray
    has_event: BoolArray


class _AskedOfLake:
    """An analysis of two arms of the lake, by the names that the analyses of tables have."""

    def __init__(self, asked: "Asked", people: Population) -> None:
        self.analysis, self.people, self._asked = asked.analysis, people, asked
        self.rows = _Followed(int(people.rows.size), people.follow_up_days, people.has_outcome)
        self.arms = Arms(asked.arms[1], asked.arms[0], people.is_target)

    def row(self, estimate_name: str, /, **values: object) -> Row:
        no_interval = {"ci_level": None} if values.get("status") == "not_estimable" else {}
        return self._asked.row(self.people, estimate_name, **(values | no_interval))

    def contrast(self, name: str, found: Contrast, **values: object) -> Row:
        return self._asked.contrast(self.people, name, found, **values)

    def of_arm(self, level: str) -> Row:
        return {"arm": level}

    def of_arms(self, target: str, reference: str) -> Row:
        return {"target": target, "comparator": reference}


def arms_standardised(asked: "Asked", people: Population) -> list[Row]:
    """Return risks and restricted means of both arms by a model of follow-up, and contrasts."""
    return or_why_not(_AskedOfLake(asked, people), _standardised)


def arms_doubly_robust(asked: "Asked", people: Population) -> list[Row]:
    """Return the same, doubly robust: by models of follow-up, of the arm and of loss."""
    return or_why_not(_AskedOfLake(asked, people), _augmented)


def _standardised(asked: _AskedOfLake) -> list[Row]:
    covariates, rows, analysis = _covariates(asked.people), asked.rows, asked.analysis
    try:
        found = g_computation_survival(
            rows.time,
            rows.has_event,
            asked.arms.treated,
            _design(asked, covariates.x),
            _days(asked),
            _horizon(asked),
            analysis.effect or "ate",
            ties_of(analysis),
            bool(analysis.model_per_arm),
        )
    except EstimationError as exc:
        raise _named(exc, asked, covariates) from None
    return _effects(asked, found)


def _augmented(asked: _AskedOfLake) -> list[Row]:
    covariates, rows, analysis = _covariates(asked.people), asked.rows, asked.analysis
    try:
        score = estimated_score(covariates.x, asked.arms.treated)
    except EstimationError as exc:
        raise with_names(exc, covariates) from None
    try:
        found = aipw_survival(
            rows.time,
            rows.has_event,
            asked.arms.treated,
            _design(asked, covariates.x),
            score,
            _days(asked),
            _horizon(asked),
            None,
            analysis.effect or "ate",
            ties_of(analysis),
            bool(analysis.model_per_arm),
        )
    except EstimationError as exc:
        raise _named(exc, asked, covariates) from None
    return _effects(asked, found)


def _effects(asked: _AskedOfLake, found: SurvivalEffects) -> list[Row]:
    return effect_rows(asked, asked.arms, found)


def _covariates(people: Population) -> DesignColumns:
    """Return the columns of the covariates that are no combination of earlier ones.

    Raises:
        EstimationError: No column is left.
    """
    everybody = people.people
    if everybody is not None:
        x = everybody.dense()[people.rows]
        used = independent_columns(x)
        names = tuple(everybody.covariates[place].id for place in used)
        if names:
            return DesignColumns(x[:, used], names, np.arange(used.size), names)
    what = "no covariate is left: nobody, or everybody, has each of them"
    raise EstimationError("covariates", what, "look at covariates, windows and min_share.")


def _design(asked: _AskedOfLake, x: FloatArray) -> OutcomeDesign:
    """Return the columns of the model of the outcome as they are, all treated, none treated."""
    if asked.analysis.model_per_arm:
        return OutcomeDesign(x, x, x)
    arm = asked.arms.treated.astype(np.float64)
    columns = (arm, np.ones_like(arm), np.zeros_like(arm))
    return OutcomeDesign(*(np.column_stack([column, x]) for column in columns))


def _named(exc: EstimationError, asked: _AskedOfLake, covariates: DesignColumns) -> EstimationError:
    """Say which columns are meant; without a model per arm the first is the arm."""
    names = covariates.names if asked.analysis.model_per_arm else ("arm", *covariates.names)
    return with_names(exc, DesignColumns(covariates.x, names, covariates.term_of, names))


def _days(asked: _AskedOfLake) -> FloatArray:
    return np.asarray(asked.analysis.table_days, dtype=np.float64)


def _horizon(asked: _AskedOfLake) -> float | None:
    horizon = asked.analysis.horizon_days
    return None if horizon is None else float(horizon)
