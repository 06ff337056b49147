"""Arms of a registry table made alike: by weights, matched sets, or strata of a score."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.populations import CALIPER_SD, N_STRATA
from tasks.analysis.table_asked import AskedOfTable, as_text
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import (
    EstimatedScore,
    EstimatedWeights,
    Weighting,
    estimated_score,
    score_weights,
    truncated,
)
from tasks.stats.matching import match_sets
from tasks.stats.propensity import within_bounds
from tasks.stats.stratified_effects import score_strata, strata_weights

SET, STRATUM = "matched_set", "score_stratum"
_TIE_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """The treatment of a table: its two levels, and who has the second."""

    reference: str
    target: str
    treated: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """An analysis in the rows that its adjustment keeps, with what makes their arms alike.

    `before` are the rows given, of which `kept` stay, in the order of `asked.rows`; `score` is
    of the rows that trimming leaves, `scored`.
    """

    asked: AskedOfTable
    before: TableRows
    kept: IntArray
    scored: IntArray
    score: EstimatedScore | None
    names: tuple[str, ...]
    weights: EstimatedWeights | None = None
    stratum: IntArray | None = None
    matched_set: IntArray | None = None

    @property
    def full_weights(self) -> FloatArray:
        """Weights over all rows given; 0 for those left out."""
        full = np.zeros(self.before.n)
        given = self.asked.rows.weights
        if self.stratum is not None:
            given = strata_weights(self.stratum, arms_of(self.asked).treated)
        full[self.kept] = 1.0 if given is None else given
        return full


def arms_of(asked: AskedOfTable) -> Arms:
    """Return the two arms of a table.

    Raises:
        EstimationError: An arm has nobody.
    """
    (reference, _), (target, value) = asked.treatment_levels()
    treated = np.asarray(asked.rows.values[f"x_{asked.treatment}"] == value)
    if not 0 < treated.sum() < treated.size:
        what = f"{int(treated.sum())} of {treated.size} rows have {asked.treatment} = {target}"
        raise EstimationError("treatment", what, "compare two levels that both occur.")
    return Arms(reference, target, treated)


def fitted_score(rows: TableRows, treated: BoolArray) -> tuple[EstimatedScore, tuple[str, ...]]:
    """Fit the propensity score of an analysis; also returns the names of its columns."""
    design = design_columns(rows, rows.analysis.propensity_terms)
    try:
        return estimated_score(design.x, treated, rows.weights), design.names
    except EstimationError as exc:
        raise with_names(exc, design) from None


def with_names(exc: EstimationError, design: DesignColumns) -> EstimationError:
    """Say which columns an estimator means, which counts them from 0."""
    if "counted from 0" not in exc.what:
        return exc
    named = as_text(f"{i} = {name}" for i, name in enumerate(design.names))
    return EstimationError(exc.where, f"{exc.what}: {named}", exc.fix)


def adjust(asked: AskedOfTable) -> Adjusted:
    """Make the arms of an analysis alike, as it says.

    Raises:
        EstimationError: The score cannot be fitted, or nobody is left.
    """
    arms = arms_of(asked)
    if asked.analysis.adjustment == "entropy_balanced":
        return _balanced(asked, arms)
    score, names, scored = _scored(asked, arms)
    rows = only(asked.rows, scored)
    treated = arms.treated[scored]
    begun = Adjusted(asked, asked.rows, scored, scored, score, names)
    how = {"matched": _matched, "stratified": _stratified}.get(asked.analysis.adjustment)
    if how is not None:
        return how(begun, rows, treated)
    weights = _weights(asked.analysis, score, treated)
    return replace(begun, asked=_weighted(asked, rows, weights.weight), weights=weights)


def only(rows: TableRows, kept: IntArray) -> TableRows:
    """Return some of the rows."""
    values = {name: column[kept] for name, column in rows.values.items()}
    return replace(rows, values=values, delivered=int(kept.size), losses=())


def _scored(asked: AskedOfTable, arms: Arms) -> tuple[EstimatedScore, tuple[str, ...], IntArray]:
    """Fit the score; where scores are trimmed, fit it again in those who are left."""
    rows, everybody = asked.rows, np.arange(asked.rows.n)
    score, names = fitted_score(rows, arms.treated)
    if asked.analysis.trim is None:
        return score, names, everybody
    kept = np.flatnonzero(within_bounds(score.fitted, *asked.analysis.trim))
    if np.unique(arms.treated[kept]).size < 2:
        raise EstimationError("trim", "an arm has nobody left", "trim less.")
    score, names = fitted_score(only(rows, kept), arms.treated[kept])
    return score, names, kept


def _weights(analysis: Analysis, score: EstimatedScore, treated: BoolArray) -> EstimatedWeights:
    kind: Weighting = analysis.adjustment  # type: ignore[assignment]
    given = analysis.stabilised
    stabilised = kind == "iptw_ate" if given is None else given
    weights = score_weights(score, treated, kind, stabilised)
    return truncated(weights, *analysis.truncate) if analysis.truncate else weights


def _weighted(asked: AskedOfTable, rows: TableRows, weight: FloatArray) -> AskedOfTable:
    return _asked_again(asked, rows, {"weight": weight})


def _asked_again(
    asked: AskedOfTable, rows: TableRows, more: dict[str, FloatArray | IntArray], **changes: object
) -> AskedOfTable:
    analysis = rows.analysis.model_copy(update=changes)
    values = {**rows.values, **more}
    return AskedOfTable(asked.con, replace(rows, values=values, analysis=analysis))


def _balanced(asked: AskedOfTable, arms: Arms) -> Adjusted:
    design = design_columns(asked.rows, asked.analysis.propensity_terms)
    weights = entropy_balanced(design.x, arms.treated)
    everybody = np.arange(asked.rows.n)
    again = _weighted(asked, asked.rows, weights.weight)
    return Adjusted(again, asked.rows, everybody, everybody, None, design.names, weights)


def _matched(begun: Adjusted, rows: TableRows, treated: BoolArray) -> Adjusted:
    """Keep matched rows; sets are clusters, and strata of a test without weights."""
    asked, analysis, score = begun.asked, begun.asked.analysis, begun.score
    assert score is not None  # noqa: S101 - matching follows a score
    exact = rows.labels(*(f"label_{name}" for name in analysis.exact))
    caliper = CALIPER_SD if analysis.caliper_sd is None else analysis.caliper_sd
    sets = match_sets(score.logit, treated, caliper, analysis.ratio or 1, exact, _tie_order(rows))
    place = np.argsort(sets.row)
    kept, set_id, weight = sets.row[place], sets.set_id[place], sets.weight[place]
    more: dict[str, FloatArray | IntArray] = {f"label_{SET}": set_id}
    changes: dict[str, object] = {"cluster": SET} if analysis.method == "cox" else {}
    if (analysis.ratio or 1) > 1:
        if analysis.rule.takes_weights:
            more["weight"] = weight
        else:
            changes["strata"] = (*analysis.strata, SET)
    again = _asked_again(asked, only(rows, kept), more, **changes)
    return replace(begun, asked=again, kept=begun.scored[kept], matched_set=set_id)


def _tie_order(rows: TableRows) -> IntArray:
    """Who comes first of persons with equal scores: by person_id, else as drawn by a fixed seed.

    Rows are sorted by their content, and so by the outcome: it may not choose whom it is of.
    """
    if "person_id" not in rows.values:
        return np.asarray(np.random.default_rng(_TIE_SEED).permutation(rows.n))
    persons = pl.Series(rows.values["person_id"].astype(str))
    by = pl.DataFrame({"number": persons.cast(pl.Float64, strict=False), "text": persons})
    by = by.with_row_index("row").sort("number", "text", "row", nulls_last=True)
    places = by["row"].to_numpy()
    return np.argsort(places)


def _stratified(begun: Adjusted, rows: TableRows, treated: BoolArray) -> Adjusted:
    """Add strata of the score: of the model where it has strata, by weights where it has none."""
    asked, analysis, score = begun.asked, begun.asked.analysis, begun.score
    assert score is not None  # noqa: S101 - strata follow a score
    stratum = score_strata(score.fitted, treated, analysis.n_strata or N_STRATA)
    more: dict[str, FloatArray | IntArray] = {f"label_{STRATUM}": stratum}
    changes: dict[str, object] = {}
    if "strata" in analysis.rule.keys:
        changes["strata"] = (*analysis.strata, STRATUM)
    elif analysis.method != "mean_difference":
        more["weight"] = strata_weights(stratum, treated)
    return replace(begun, asked=_asked_again(asked, rows, more, **changes), stratum=stratum)
