"""Weights of two arms made anew in a resample, by the same steps as in the persons themselves."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import EstimatedScore, Weighting, score_weights, truncated
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.logistic import logistic
from tasks.stats.stratified_effects import score_strata, strata_weights

Kind = Weighting | Literal["stratified", "entropy_balanced"]


@dataclass(frozen=True, slots=True, eq=False)
class WeightModel:
    """How n persons of two arms are weighted: by a score of covariates, or by their means.

    `x` are covariates, shape (n, p); `treated` says who is in the first arm, shape (n,).
    """

    x: FloatArray
    treated: BoolArray
    kind: Kind
    stabilised: bool = False
    truncate: tuple[float, float] | None = None
    n_strata: int = 5

    def at(self, rows: IntArray) -> "WeightModel":
        """Return the same model of persons in another order."""
        return replace(self, x=self.x[rows], treated=self.treated[rows])

    def weights(self, times: FloatArray) -> FloatArray:
        """Return weights, shape (n,), of persons drawn so many times; 0 for those not drawn.

        Raises:
            EstimationError: The persons drawn have one arm only, or the model has no maximum.
        """
        kept = np.flatnonzero(times)
        copies = np.repeat(kept, times[kept].astype(np.int64))
        found = np.zeros(times.size)
        if self.kind == "entropy_balanced":
            found[copies] = entropy_balanced(self.x[copies], self.treated[copies]).weight
            return found
        score = np.full(times.size, np.nan)
        x = self.x[kept]
        varies = np.ptp(x, axis=0) > 0  # a rare level of which nobody is drawn tells nothing
        score[kept] = logistic(x[:, varies], self.treated[kept], times[kept]).fitted
        found[copies] = self._of_score(score[copies], self.treated[copies])
        return found

    def _of_score(self, score: FloatArray, arm: BoolArray) -> FloatArray:
        if self.kind == "stratified":
            return strata_weights(score_strata(score, arm, self.n_strata), arm)
        none = np.zeros((score.size, 1))
        fitted = EstimatedScore(score, none[:, 0], none, none, none[0], none[0])
        made = score_weights(fitted, arm, self.kind, self.stabilised)  # type: ignore[arg-type]
        return (truncated(made, *self.truncate) if self.truncate else made).weight
