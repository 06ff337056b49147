"""What acting on the scores of readings is worth, against acting on all cases and on none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.readings.accuracy import parts_of, rates_without_result, without_result
from tasks.analysis.readings.calibration import (
    beside,
    generator,
    refuse_other_scores,
    replicates_of,
)
from tasks.analysis.readings.comparisons import judged
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import POINT
from tasks.core.spec.probabilities import DecisionCurve
from tasks.stats.diagnostic.margins import wald
from tasks.stats.diagnostic.net_benefit import (
    Influenced,
    net_benefit,
    odds_of,
    standardised,
)
from tasks.stats.diagnostic.net_benefit_survival import (
    FollowUp,
    benefits,
    drawn_weights,
    follow_up_of,
)
from tasks.stats.diagnostic.units import error_of, how_many, is_clustered, numbered
from tasks.stats.inference import z_quantile
from tasks.stats.logistic import logistic

Named = Mapping[str, object]
_FITTED = "the score is made a probability by logistic regression; the interval takes it as given"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A number: influences of cases or values of resamples, and whether they are resamples."""

    estimate: float
    spread: FloatArray
    is_drawn: bool

    def error(self, units: IntArray) -> float:
        """Return the standard error."""
        if self.is_drawn:
            return float(self.spread.std(ddof=1))
        return error_of(self.spread, units)

    def less(self, other: "Value", by: float = 1.0) -> "Value":
        """Return this less another, over a constant."""
        gap = (self.estimate - other.estimate) / by
        return Value(gap, (self.spread - other.spread) / by, self.is_drawn)


class Acting:
    """Readings of one modality: who is acted on at a threshold, and what that is worth."""

    def __init__(
        self, asked: AskedOfTable, readings: Readings, score: FloatArray, units: IntArray
    ) -> None:
        self.asked, self.readings, self.score, self.units = asked, readings, score, units
        self.curve = asked.analysis.decision_curve or DecisionCurve()
        self.n = readings.n

    @property
    def is_sick(self) -> BoolArray:
        """Whether a case has the condition, shape (n,)."""
        return self.readings.truth

    def acted(self, threshold: float) -> BoolArray:
        """Return who is acted on, shape (n,): by the score, else as the study says."""
        instead = without_result(self.is_sick, self.readings.index_test.without_result)
        by_score = self.score >= threshold
        return np.asarray(np.where(self.readings.has_score, by_score, instead))

    def value(self, positive: BoolArray, threshold: float) -> Value:
        """Return the net benefit of acting on some."""
        found = net_benefit(positive, self.is_sick, threshold, self.curve.prevalence)
        return Value(found.estimate, found.influence, is_drawn=False)

    def share_of_best(self, found: Value) -> Value:
        """Return net benefit over the prevalence."""
        made = standardised(
            Influenced(found.estimate, found.spread), self.is_sick, self.curve.prevalence
        )
        return Value(made.estimate, made.influence, is_drawn=False)


class ActingOnFollowUp(Acting):
    """The same where the condition is an event by a day."""

    def __init__(
        self,
        asked: AskedOfTable,
        readings: Readings,
        score: FloatArray,
        units: IntArray,
        weights: FloatArray,
    ) -> None:
        super().__init__(asked, readings, score, units)
        self.weights = weights
        self.horizon = float(asked.analysis.horizon_days or 0)

    @property
    def follow_up(self) -> FollowUp:
        """Follow-up in rising order."""
        rows = self.readings.rows
        event = np.asarray(rows.values["event"], dtype=np.int64)
        return follow_up_of(rows.numbers("time_days"), event, self.horizon)

    @property
    def is_sick(self) -> BoolArray:
        """Whether a case is seen to have the event by the horizon, shape (n,)."""
        rows = self.readings.rows
        seen = rows.numbers("time_days") <= self.horizon
        return np.asarray((rows.values["event"] == 1) & seen)

    def acted(self, threshold: float) -> BoolArray:
        """Return who is acted on; nobody knows what would be wrong: no result is no action."""
        instead = self.readings.index_test.without_result == "positive"
        by_score = self.score >= threshold
        return np.asarray(np.where(self.readings.has_score, by_score, instead))

    def value(self, positive: BoolArray, threshold: float) -> Value:
        """Return the net benefit of acting on some."""
        made, _ = benefits(positive, self.follow_up, odds_of(threshold), self.weights)
        return Value(float(made[0]), made[1:], is_drawn=True)

    def share_of_best(self, found: Value) -> Value:
        """Return net benefit over the risk of all."""
        everyone = np.ones(self.n, dtype=bool)
        _, risk = benefits(everyone, self.follow_up, 1.0, self.weights)
        if not risk.min() > 0:
            what = "no event by the horizon, or in some resamples none"
            raise EstimationError("net benefit", what, "choose a later day.")
        return Value(found.estimate / float(risk[0]), found.spread / risk[1:], is_drawn=True)


def decision_curve(asked: AskedOfTable) -> list[Row]:
    """Return net benefit at each threshold: of each modality, of all and none, and differences.

    Net interventions avoided and standardised net benefit stand beside; then the net benefit in
    each reader, centre and subgroup. What has no score counts as the study says.
    """
    readings = readings_of(asked)
    if asked.analysis.horizon_days is None:
        readings = readings.only(readings.is_verified)
    everything = readings
    if readings.index_test.without_result == "left_out":
        readings = readings.only(readings.has_score)
    made = _of_readings(asked, readings, {})
    _check_some(asked, made)
    for name, level, part in parts_of(asked, readings):
        named = {"stratum_name": name, "stratum_level": level}
        try:
            made += _of_readings(asked, part, named)
        except EstimationError as exc:
            why = {"status": "not_estimable", "note": exc.what, "n": part.n, "n_events": None}
            row = asked.row("net_benefit", **named, **why, unit_of_analysis="case")
            made.append(beside(row))
    return made + rates_without_result(asked, everything)


def _check_some(asked: AskedOfTable, rows: list[Row]) -> None:
    """Refuse a curve without a single point."""
    told = [row for row in rows if row["estimate_name"] == "net_benefit" and row["term"] == "model"]
    if told and all(row["status"] == "not_estimable" for row in told):
        fix = "choose other thresholds, or an earlier day."
        raise EstimationError(asked.analysis.id, str(told[0]["note"]), fix)


def _of_readings(asked: AskedOfTable, readings: Readings, named: Named) -> list[Row]:
    arms = _arms(asked, readings, named)
    made: list[Row] = []
    for level, acting in arms:
        made += _of_arm(acting, {**named, "arm": level}, is_whole=not named)
    if not named:
        for level, acting in arms[1:]:
            made += _differences(acting, arms[0][1], {"target": level, "comparator": arms[0][0]})
    return made


def _arms(asked: AskedOfTable, readings: Readings, named: Named) -> list[tuple[str | None, Acting]]:
    """Return each modality: its readings, probabilities and units, which modalities may share."""
    modality, levels = readings.modality
    units = numbered(readings.cases if readings.persons is None else readings.persons)
    weights = None
    if asked.analysis.horizon_days is not None:
        drawn = replicates_of(asked)
        weights = drawn_weights(units, drawn, generator(asked, named))
    found: list[tuple[str | None, Acting]] = []
    for place, level in enumerate(levels):
        chosen = np.asarray(modality == place)
        part = readings.only(chosen)
        score = _probabilities(asked, part)
        if weights is None:
            found.append((level, Acting(asked, part, score, units[chosen])))
        else:
            mine = weights[:, chosen]
            found.append((level, ActingOnFollowUp(asked, part, score, units[chosen], mine)))
    return found


def _probabilities(asked: AskedOfTable, readings: Readings) -> FloatArray:
    """Return the scores, or what logistic regression makes of them; 0 without a score."""
    curve = asked.analysis.decision_curve or DecisionCurve()
    scored = readings.has_score
    if not curve.as_probability:
        refuse_other_scores(readings.only(scored))
        return readings.score
    fit = logistic(readings.score[scored][:, None], readings.truth[scored])
    probability = np.zeros(readings.n)
    probability[scored] = fit.fitted
    return probability


def _of_arm(acting: Acting, named: Named, *, is_whole: bool) -> list[Row]:
    everyone, nobody = (np.full(acting.n, value) for value in (True, False))
    made: list[Row] = []
    for threshold in acting.curve.thresholds:
        here = {**named, "at": threshold, "at_kind": "threshold"}
        positive = acting.acted(threshold)
        point = {POINT: _counts(acting, positive)}
        kinds = (("model", positive), ("all", everyone), ("none", nobody))
        found = {term: _found(acting, who, threshold) for term, who in kinds}
        made += [
            _told(acting, "net_benefit", found[term], {**here, "term": term})
            | (point if term == "model" else {})
            for term in (found if is_whole else ("model", "all"))
        ]
        if is_whole:
            made += [row | point for row in _beside(acting, found, threshold, here)]
    return made


def _found(acting: Acting, positive: BoolArray, threshold: float) -> Value | str:
    """Return net benefit, or why there is none."""
    try:
        return acting.value(positive, threshold)
    except EstimationError as exc:
        return exc.what


def _counts(acting: Acting, positive: BoolArray) -> tuple[int, ...]:
    """Return true and false positives, false and true negatives."""
    sick = acting.is_sick
    cells = (positive & sick, positive & ~sick, ~positive & sick, ~positive & ~sick)
    return tuple(int(cell.sum()) for cell in cells)


def _beside(
    acting: Acting, found: Mapping[str, Value | str], threshold: float, here: Named
) -> list[Row]:
    model, everyone = found["model"], found["all"]
    term = {**here, "term": "model"}
    if isinstance(model, str) or isinstance(everyone, str):
        return []
    avoided = model.less(everyone, odds_of(threshold))
    made = [_told(acting, "net_intervention_avoided", avoided, term)]
    try:
        share: Value | str = acting.share_of_best(model)
    except EstimationError as exc:
        share = exc.what
    return [*made, _told(acting, "standardised_net_benefit", share, term)]


def _told(acting: Acting, name: str, found: Value | str, named: Named) -> Row:
    sizes = {
        "n": acting.n,
        "n_events": int(acting.is_sick.sum()),
        "unit_of_analysis": "case",
        "estimate_scale": "identity",
    }
    if isinstance(found, str):
        failed = {"status": "not_estimable", "note": found}
        return beside(acting.asked.row(name, **{**sizes, **named, **failed}))
    values = _interval(found, acting.units, 0.95)
    note = _FITTED if acting.curve.as_probability and named.get("term") == "model" else None
    return acting.asked.row(name, **{**sizes, **values, **named}, note=note)


def _interval(found: Value, units: IntArray, level: float) -> dict[str, object]:
    error = found.error(units)
    reach = z_quantile(level) * error
    several = is_clustered(units)
    method = "bootstrap" if found.is_drawn else "cluster_robust" if several else "delta"
    return {
        "estimate": found.estimate,
        "std_error": error,
        "se_scale": "identity",
        "se_method": method,
        "ci_low": found.estimate - reach,
        "ci_high": found.estimate + reach,
        "ci_level": level,
        "ci_method": "wald",
        "n_clusters": how_many(units) if several else None,
    }


def _differences(new: Acting, old: Acting, named: Named) -> list[Row]:
    """Return the net benefit of a modality less that of the first, at each threshold."""
    claim = new.asked.analysis.hypothesis
    level = 1 - 2 * claim.alpha if claim else 0.95
    units = np.concatenate([new.units, old.units])
    shared = np.isin(new.units, old.units).any()
    made = []
    for threshold in new.curve.thresholds:
        first, second = (_found(one, one.acted(threshold), threshold) for one in (new, old))
        here = {
            **named,
            "at": threshold,
            "at_kind": "threshold",
            "stratum_level": f"{named['target']} - {named['comparator']}",
            "n": min(new.n, old.n),
            "n_events": None,
            "unit_of_analysis": "case",
        }
        if isinstance(first, str) or isinstance(second, str):
            why = first if isinstance(first, str) else second
            more: dict[str, object] = {"status": "not_estimable", "note": why}
            row = new.asked.row("net_benefit_difference", **here, **more)
            made.append(beside(row) | {POINT: ()})
            continue
        gap = _gap(first, second)
        values = _interval(gap, units, level) | {"n_clusters": how_many(units)}
        values["se_method"] = _design(is_paired=bool(shared), is_drawn=gap.is_drawn)
        scale = {"estimate_scale": "difference"}
        row = new.asked.row("net_benefit_difference", **{**values, **here, **scale})
        error = gap.error(units)
        if claim is not None and error > 0:
            row |= judged(claim, wald(gap.estimate, error))
        made.append(row | {POINT: ()})
    return made


def _gap(first: Value, second: Value) -> Value:
    """Return a difference: resamples are the same ones, influences add up over shared units."""
    if first.is_drawn:
        return first.less(second)
    spread = np.concatenate([first.spread, -second.spread])
    return Value(first.estimate - second.estimate, spread, is_drawn=False)


def _design(*, is_paired: bool, is_drawn: bool) -> str:
    design = "paired" if is_paired else "unpaired"
    return f"{design}, bootstrap" if is_drawn else design
