"""Weights of clones that stay with their strategy, and the curves that they make.

Each column of `mass` is a resample: the weight of each person in it. Both models are fitted anew
in each column.
"""

from dataclasses import replace

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.batched import logistic_columns, start_hazards
from tasks.stats.clone_trial import Emulation
from tasks.stats.columns_of_curves import incidence
from tasks.stats.inputs import FloatArray, IntArray

_WHERE = "clone_censor_weight"
_HIGHEST = 0.999  # of a hazard at one moment: a person who cannot but start


def curve_of_starters(trial: Emulation, mass: FloatArray) -> FloatArray:
    """Risk of the outcome under *start within grace* at each time of the grid, shape (t, b)."""
    weight, _ = _late_weights_of_starters(trial, mass)
    early = int(np.searchsorted(trial.grid, trial.grace, side="right"))
    risk = np.concatenate(
        [_at_risk(trial, mass, 0, early), _at_risk(trial, weight, early, trial.grid.size)]
    )
    return incidence(risk, _exits(trial, mass, weight, early))


def curve_of_others(trial: Emulation, mass: FloatArray) -> FloatArray:
    """Risk under *do not start within grace* at each time of the grid, shape (t, b)."""
    exposure = _Exposure(trial, mass)
    early = int(np.searchsorted(trial.grid, trial.grace, side="right"))
    risk = np.zeros((trial.grid.size, mass.shape[1]))
    exits = np.zeros((2, *risk.shape))
    for place, day in enumerate(trial.grid[:early]):
        first, last = np.searchsorted(trial.time, day), np.searchsorted(trial.time, day, "right")
        rows = first + np.flatnonzero(trial.start[first:] >= day)
        weight = mass[rows] * exposure.inverse_before(day, rows)
        risk[place] = weight.sum(axis=0)
        gone = np.searchsorted(rows, last)
        for kind in (1, 2):
            is_kind = trial.cause[rows[:gone]] == kind
            exits[kind - 1, place] = weight[:gone][is_kind].sum(axis=0)
    weight = np.zeros_like(mass)
    waited = trial.late[~trial.started]
    weight[waited] = mass[waited] * exposure.inverse_before(np.inf, waited)
    risk[early:] = _at_risk(trial, weight, early, trial.grid.size)
    exits[:, early:] = _exits(trial, weight, weight, early)[:, early:]
    return incidence(np.where(exposure.failed, np.nan, risk), exits)


class _Exposure:
    """The hazard of starting that each person was exposed to, asked for at ascending times."""

    def __init__(self, trial: Emulation, mass: FloatArray) -> None:
        self._trial = trial
        of_rows = mass[trial.owner[trial.order]]
        beta, self._hazard = start_hazards(trial.starts, of_rows, trial.begin)
        self.failed = np.isnan(beta).any(axis=1)
        self._relative = np.exp(trial.x @ beta.T)
        self._changes = trial.x.shape[0] > trial.time.size
        self._passed, self._at = 0, trial.first.copy()
        self._sum = np.zeros((trial.time.size if self._changes else 1, mass.shape[1]))

    def inverse_before(self, time: float, rows: IntArray) -> FloatArray:
        """Inverse of the probability of not having started before a time; 1 without covariates."""
        trial = self._trial
        for place in range(self._passed, int(np.searchsorted(trial.starts.moment, time))):
            self._add(place)
        if not trial.x.shape[1]:
            return np.ones((rows.size, 1))
        summed = self._sum[rows] if self._changes else self._sum * self._relative[rows]
        return np.asarray(np.minimum(np.exp(summed), trial.caps[1]))

    def _add(self, place: int) -> None:
        trial, self._passed = self._trial, place + 1
        if not self._changes:
            self._sum = self._sum + self._hazard[place]
            return
        moment = trial.starts.moment[place]
        while (moved := (trial.stop[self._at] < moment) & (self._at < trial.last)).any():
            self._at = self._at + moved
        # Starts of intervals are tied: a product of 1 - h, not exp(-h), is right for them.
        hazard = np.minimum(self._hazard[place] * self._relative[self._at], _HIGHEST)
        self._sum -= np.log1p(-hazard)


def _late_weights_of_starters(trial: Emulation, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights after grace of those who started in it, shape (n, b), and the probabilities."""
    weight = np.zeros_like(mass)
    begun = trial.late[trial.started]
    weight[begun] = mass[begun]
    if trial.at_grace is None:
        return weight, np.ones((trial.choosing.size, mass.shape[1]))
    outcome = trial.chose.astype(np.float64)
    beta = logistic_columns(trial.at_grace, outcome, mass[trial.choosing], trial.begin_at_grace)
    with np.errstate(over="ignore"):
        inverse = 1 + np.exp(-(trial.at_grace.x @ beta.T))
    chose = trial.choosing[trial.chose]
    weight[chose] = mass[chose] * np.minimum(inverse[trial.chose], trial.caps[0])
    return weight, 1 / inverse


def _at_risk(trial: Emulation, values: FloatArray, begin: int, end: int) -> FloatArray:
    """Sums over rows still followed at each time of a piece of the grid, shape (end - begin, b)."""
    if begin == end:
        return np.zeros((0, values.shape[1]))
    first = np.searchsorted(trial.time, trial.grid[begin:end], side="left")
    pieces = np.add.reduceat(values, first, axis=0)
    return np.asarray(pieces[::-1].cumsum(axis=0)[::-1])


def _exits(
    trial: Emulation, early_mass: FloatArray, late_mass: FloatArray, early: int
) -> FloatArray:
    """Sums over outcomes and over competing events at each time of the grid, shape (2, t, b)."""
    gone = np.flatnonzero((trial.cause > 0) & (trial.time <= trial.grid[-1]))
    place = np.searchsorted(trial.grid, trial.time[gone])
    mass = np.where((place < early)[:, None], early_mass[gone], late_mass[gone])
    begins = np.searchsorted(place, np.arange(trial.grid.size))
    kinds = [mass * (trial.cause[gone] == kind)[:, None] for kind in (1, 2)]
    return np.stack([np.add.reduceat(part, begins, axis=0) for part in kinds])


def followers(trial: Emulation) -> list[tuple[IntArray, FloatArray, FloatArray, FloatArray]]:
    """For each strategy: followers after grace, weights, inverse and probability of staying."""
    mass = trial.weight[:, None]
    weight, probability = _late_weights_of_starters(trial, mass)
    begun, waited = trial.late[trial.started], trial.late[~trial.started]
    inverse = _Exposure(trial, mass).inverse_before(np.inf, waited)[:, 0]
    return [
        (begun, weight[begun, 0], weight[begun, 0] / trial.weight[begun], probability[:, 0]),
        (waited, trial.weight[waited] * inverse, inverse, 1 / inverse),
    ]


def truncated(trial: Emulation, share: float) -> Emulation:
    """Return the trial with the weights of each strategy cut at a quantile of its followers.

    Raises:
        EstimationError: The share is none that weights are cut at.
    """
    if not 0.5 < share < 1:
        what = f"the share {share:g} at which weights are cut is not in (0.5, 1)"
        raise EstimationError(_WHERE, what, "give a share such as 0.99.")
    caps = [float(np.quantile(inverse, share)) for _, _, inverse, _ in followers(trial)]
    return replace(trial, caps=(caps[0], caps[1]))
