"""Weighted product-limit curves of many resamples at once: a column of weights each."""

import numpy as np

from tasks.stats.inputs import FloatArray


def incidence(risk: FloatArray, exits: FloatArray) -> FloatArray:
    """Cumulative incidence of the outcome, shape (t, b); NaN from where nobody is at risk."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hazards = exits / np.where(risk > 0, risk, np.nan)
    free = np.cumprod(1 - hazards.sum(axis=0), axis=0)
    before = np.concatenate([np.ones((1, free.shape[1])), free[:-1]])
    return np.asarray((before * hazards[0]).cumsum(axis=0))


def read_curve(grid: FloatArray, curve: FloatArray, days: FloatArray, horizon: float) -> FloatArray:
    """Risk by each day, and the restricted mean, shape (d + 1, b)."""
    padded = np.concatenate([np.zeros((1, curve.shape[1])), curve])
    risk = padded[np.searchsorted(grid, days, side="right")]
    edges = np.minimum(np.concatenate([[0.0], grid, [max(horizon, grid[-1])]]), horizon)
    lost = np.diff(edges) @ np.where(np.diff(edges)[:, None] > 0, padded, 0.0)
    return np.concatenate([risk, horizon - lost[None, :]])
