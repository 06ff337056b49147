"""Fine and Gray, and partial likelihoods, from their definitions: loops, no running sums."""

from itertools import combinations

import numpy as np


def finegray(time, cause, weight=None, stratum=None):
    """The rows that R survival's `finegray` makes: person, start, stop, event, weight.

    Who has a competing event goes on with weight G(t-) / G(T-), cut at each time of censoring
    of the stratum; the censoring of a time comes after its events.
    """
    weight = np.ones(time.size) if weight is None else weight
    stratum = np.zeros(time.size) if stratum is None else stratum
    rows = []
    for level in np.unique(stratum):
        members = np.flatnonzero(stratum == level)
        t, d = time[members], cause[members]
        cuts, curve = np.unique(t[d == 0]), [1.0]
        for cut in cuts:
            left = np.sum(t > cut) + np.sum((t == cut) & (d == 0))
            curve.append(curve[-1] * (1 - np.sum((t == cut) & (d == 0)) / left))
        ends = np.append(cuts, t.max())
        for person in members:
            if cause[person] < 2:
                rows.append((person, 0.0, time[person], cause[person] == 1, weight[person]))
                continue
            j = int(np.searchsorted(ends, time[person]))
            rows.append((person, 0.0, ends[j], False, weight[person]))
            for k in range(j + 1, ends.size):
                if ends[k] > ends[k - 1] and curve[k] > 0:
                    w = weight[person] * curve[k] / curve[j]
                    rows.append((person, ends[k - 1], ends[k], False, w))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def crr(time, cause, x, beta):
    """Score and standard errors of cmprsk's `crr` at `beta`, by Fine and Gray's formulas."""
    n = time.size

    def censoring_before(t):
        curve = 1.0
        for u in np.unique(time[(cause == 0) & (time < t)]):
            curve *= 1 - np.sum((time == u) & (cause == 0)) / np.sum(time >= u)
        return curve

    g = np.array([censoring_before(t) for t in time])
    events = np.flatnonzero(cause == 1)
    hazard = np.exp(x @ beta)
    weight = np.array(
        [[1.0 if time[j] >= time[i] else (cause[j] == 2) * g[i] / g[j] for j in range(n)]
         for i in events]
    )  # fmt: skip
    total = weight @ hazard
    mean = (weight * hazard) @ x / total[:, None]
    eta, information = np.zeros_like(x), np.zeros((x.shape[1],) * 2)
    for k, i in enumerate(events):
        eta[i] += x[i] - mean[k]
        share = weight[k] * hazard / total[k]
        eta -= share[:, None] * (x - mean[k])
        information += (share[:, None] * (x - mean[k])).T @ (x - mean[k])
    psi = np.zeros_like(x)
    for u in np.unique(time[cause == 0]):
        slope = np.zeros(x.shape[1])
        for k, i in enumerate(events):
            for j in np.flatnonzero((cause == 2) & (time < u)):
                if time[i] >= u:
                    slope += (x[j] - mean[k]) * weight[k, j] * hazard[j] / total[k]
        at_risk, here = np.sum(time >= u), (time == u) & (cause == 0)
        psi[here] += slope / at_risk
        psi[time >= u] -= slope * here.sum() / at_risk**2
    influence = (eta + psi) @ np.linalg.inv(information)
    return eta.sum(axis=0), np.sqrt((influence**2).sum(axis=0))


def exact_log_likelihood(beta, time, event, x, entry=None, stratum=None):
    """Those who die at a time are one choice among all choices as large of those at risk."""
    entry = np.zeros(time.size) if entry is None else entry
    stratum = np.zeros(time.size) if stratum is None else stratum
    eta, value = x @ beta, 0.0
    for level in np.unique(stratum):
        for t in np.unique(time[event & (stratum == level)]):
            at_risk = np.flatnonzero((time >= t) & (entry < t) & (stratum == level))
            dying = np.flatnonzero((time == t) & event & (stratum == level))
            choices = combinations(at_risk, dying.size)
            value += eta[dying].sum() - np.log(sum(np.exp(eta[list(c)].sum()) for c in choices))
    return value


def concordance(time, event, score, weight, entry, stratum):
    """C as the weighted share of pairs, each pair looked at."""
    agree = total = 0.0
    for i in np.flatnonzero(event):
        later = (time > time[i]) | ((time == time[i]) & ~event)
        others = later & (entry < time[i]) & (stratum == stratum[i])
        won = (score[i] > score[others]) + 0.5 * (score[i] == score[others])
        agree += weight[i] * (weight[others] * won).sum()
        total += weight[i] * weight[others].sum()
    return agree / total
