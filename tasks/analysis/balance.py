"""How alike the arms are, covariate by covariate, in every population."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from tasks.analysis.people import Covariate, FloatArray, People
from tasks.analysis.populations import Population
from tasks.core.results import NUMBER, TEXT, WHOLE
from tasks.stats.balance_measures import moments
from tasks.stats.propensity import standardised_mean_difference
from tasks.stats.stratified_effects import strata_weights

BALANCE_SCHEMA: dict[str, pl.DataType] = {
    "covariate": TEXT,
    "label_en": TEXT,
    "label_ko": TEXT,
    "kind": TEXT,
    "adjustment": TEXT,
    "target_mean": NUMBER,
    "target_sd": NUMBER,
    "comparator_mean": NUMBER,
    "comparator_sd": NUMBER,
    "target_count": WHOLE,
    "comparator_count": WHOLE,
    "smd": NUMBER,
    "status": TEXT,
}


def balance_table(people: People, populations: Mapping[str, Population]) -> pl.DataFrame:
    """Return one row per covariate and population, in the order of the covariates.

    `smd` is the difference of means over the standard deviation pooled before any adjustment;
    means of binary covariates are proportions. Counts are those of persons who do not have 0; those
    of binary covariates stand at adjustment `none` only.
    """
    if not people.covariates:
        return pl.DataFrame(schema=BALANCE_SCHEMA)
    rows = [
        row
        for name, population in populations.items()
        for row in _rows(people, population, "none" if name == "crude" else name)
    ]
    return pl.DataFrame(rows, schema=BALANCE_SCHEMA)


def max_smd(balance: pl.DataFrame, adjustment: str) -> float | None:
    """Return the largest absolute standardised mean difference after an adjustment."""
    values = balance.filter(pl.col("adjustment") == adjustment)["smd"].abs().max()
    return float(str(values)) if values is not None else None


def _rows(people: People, population: Population, adjustment: str) -> list[dict[str, object]]:
    weights = _full_weights(people, population)
    smd = standardised_mean_difference(people.matrix, people.is_target, weights)
    arms = [_moments(people, weights, arm) for arm in (True, False)]

    def counted(covariate: Covariate) -> bool:
        if covariate.is_binary:
            return adjustment == "none"
        return covariate.is_sparse and population.weights is None

    rows: list[dict[str, object]] = []
    for i, covariate in enumerate(people.covariates):
        (target_mean, target_sd, target_n), (other_mean, other_sd, other_n) = (
            (mean[i], sd[i], total[i]) for mean, sd, total in arms
        )
        rows.append(
            {
                "covariate": covariate.id,
                "label_en": covariate.label_en,
                "label_ko": covariate.label_ko,
                "kind": _kind(covariate),
                "adjustment": adjustment,
                "target_mean": float(target_mean),
                "target_sd": float(target_sd),
                "comparator_mean": float(other_mean),
                "comparator_sd": float(other_sd),
                "target_count": int(target_n) if counted(covariate) else None,
                "comparator_count": int(other_n) if counted(covariate) else None,
                "smd": float(smd[i]),
                "status": "ok",
            }
        )
    return rows


def _kind(covariate: Covariate) -> str:
    """A level of a category is told apart: its levels add up to everybody."""
    if covariate.group:
        return "category"
    return "binary" if covariate.is_binary else "continuous"


def _full_weights(people: People, population: Population) -> FloatArray:
    """Weights over everybody; 0 for who is not in the population."""
    weights = np.zeros(people.is_target.size)
    given = population.weights
    if population.stratum is not None:
        given = strata_weights(population.stratum, population.is_target)
    weights[population.rows] = 1.0 if given is None else given
    return weights


def _moments(
    people: People, weights: FloatArray, is_target: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weighted mean, standard deviation and number with a value of every covariate in one arm."""
    mine = people.is_target == is_target
    found = moments(people.matrix[mine], weights[mine])
    return found.mean, np.sqrt(found.variance), found.n_filled
