"""Series of times and sites: interruptions, and roll-outs at different times."""

import math
from collections.abc import Mapping

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.series_counts import behind_adoption, behind_changes, behind_periods
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_regression import Coefficients, coefficient_row
from tasks.analysis.table_rows import Array
from tasks.core.errors import EstimationError
from tasks.core.results import OBSERVED_MEAN
from tasks.stats.few_sites import MIN_DRAWS, FewSitesTest, roll_out_test, wild_bootstrap_test
from tasks.stats.interrupted_series import (
    LEVEL,
    SLOPE,
    PraisWinsten,
    Segmented,
    Series,
    SeriesFamily,
    durbin_watson,
    prais_winsten,
    segmented_regression,
    series,
)
from tasks.stats.sandwich import Covariance
from tasks.stats.staggered_adoption import (
    Effect,
    Panel,
    aggregated,
    group_time_effects,
    panel,
    two_way_fixed_effects,
)

_MONTHS = 12
_FEW_SITES = 10


def interrupted_time_series(asked: AskedOfTable) -> list[Row]:
    """Return changes of level and slope, the other coefficients, and fitted lines."""
    rows = asked.rows
    time = _periods(rows.values["time"])
    below = rows.numbers("denominator") if "denominator" in rows.values else None
    site = rows.labels("site") if "site" in rows.values else None
    data = series(time, rows.numbers("value"), rows.values["intervention"] == 1, site, below)
    found = segmented_regression(
        data, _family(asked), season_terms=asked.analysis.season_terms or 0,
        season_period=asked.analysis.season_period or _MONTHS, lag=asked.analysis.lag,
    )  # fmt: skip
    made = [
        _changed_row(asked, data, found.fit.coef, covariance, place, i)
        for i, covariance in enumerate(found.covariances)
        for place in range(_shown(asked))
    ]
    made += _autoregression(asked, data)
    made = [row | behind_changes(asked) for row in made]
    return [*made, _durbin_watson(asked, data, found), *_lines(asked, data, found)]


def _family(asked: AskedOfTable) -> SeriesFamily:
    family = asked.analysis.family
    if family is None or family == "binomial":
        raise EstimationError("series", f"no family {family}", "choose another family.")
    return family


def _shown(asked: AskedOfTable) -> int:
    return SLOPE + 1 + 2 * (asked.analysis.season_terms or 0)


def _changed_row(
    asked: AskedOfTable,
    data: Series,
    coef: FloatArray,
    covariance: Covariance,
    place: int,
    order: int,
) -> Row:
    """Return one coefficient; of counts, the trend and the changes are ratios."""
    seasons = [
        f"{w}{k}" for k in range(1, (asked.analysis.season_terms or 0) + 1) for w in ("sin", "cos")
    ]
    names = ("intercept", "slope before", "level change", "slope change", *seasons)
    name = {LEVEL: "level_change", SLOPE: "slope_change"}.get(place, "coefficient")
    is_count = asked.analysis.family != "gaussian"
    note = None
    if data.sites > 1 and data.sites < _FEW_SITES:
        note = f"{data.sites} sites: intervals may be too short"
    found = Coefficients(
        names, coef[: len(names)], covariance, name if is_count else "", covariance.df, note
    )
    values = {"scenario": "main" if order == 0 else "sensitivity", "unit": "per period"}
    return coefficient_row(asked, found, place, **values) | {"estimate_name": name}


def _autoregression(asked: AskedOfTable, data: Series) -> list[Row]:
    """Return the same changes with autoregressive errors, of one series of values."""
    analysis = asked.analysis
    if analysis.family != "gaussian" or data.sites > 1:
        return []
    common = {"scenario": "sensitivity", "se_method": "prais_winsten"}
    try:
        found = prais_winsten(data, analysis.season_terms or 0, analysis.season_period or _MONTHS)
    except EstimationError as exc:
        return [asked.row("level_change", status="not_estimable", note=exc.what, **common)]
    return _prais_rows(asked, data, found, common)


def _prais_rows(
    asked: AskedOfTable, data: Series, found: PraisWinsten, common: Mapping[str, object]
) -> list[Row]:
    covariance = Covariance(found.covariance, "prais_winsten", found.df)
    made = [
        _changed_row(asked, data, found.coef, covariance, place, 1)
        for place in range(_shown(asked))
    ]
    rho = asked.row("coefficient", term="rho", estimate=found.rho, **common)
    return [*made, rho]


def _durbin_watson(asked: AskedOfTable, data: Series, found: Segmented) -> Row:
    statistic = durbin_watson(data, found.residual)
    return asked.row("test", statistic_name="durbin_watson", statistic=statistic)


def _lines(asked: AskedOfTable, data: Series, found: Segmented) -> list[Row]:
    """Return the mean at each time: fitted, without the interruption, and as observed."""
    labels = asked.rows.values.get("site")
    sizes = np.bincount(data.site)
    per = np.ones(data.value.size) if data.denominator is None else data.denominator
    lines = (
        ("fitted", found.fitted),
        ("counterfactual", found.counterfactual),
        ("observed", data.value / per),
    )
    order = np.lexsort((data.time, data.site))
    behind = behind_periods(asked)
    return [
        asked.row(
            "mean",
            term=term,
            estimate=float(values[place]),
            at=float(data.time[place]),
            at_kind="period",
            **({"n": int(sizes[data.site[place]])} | _counted(data, term, place)),
            **_of_site(None if labels is None else str(labels[place])),
        )
        | behind[place]
        for term, values in lines
        for place in order.tolist()
    ]


def _counted(data: Series, term: str, place: int) -> dict[str, object]:
    """Return what an observed value counts, for disclosure control: it may be of few persons."""
    if term != "observed":
        return {}
    value, below = float(data.value[place]), data.denominator
    events = int(value) if value.is_integer() and value >= 0 else None
    made: dict[str, object] = {"statistic_name": OBSERVED_MEAN}
    if events is not None:
        made |= {"n": None, "n_events": events}
    return made if below is None else made | {"n": round(float(below[place]))}


def _of_site(label: str | None) -> dict[str, object]:
    return {} if label is None else {"stratum_name": "site", "stratum_level": label}


def _periods(values: Array) -> IntArray:
    """Return the period of each row, from 0 for the first: dates by month where they can be."""
    at = _as_numbers(values)
    steps = np.diff(np.unique(at))
    if not steps.size:
        raise EstimationError("series", "the series has one time", "deliver a series of times.")
    place = (at - at.min()) / steps.min()
    whole = np.rint(place)
    if (abs(place - whole) > 1e-6).any() or _looks_like_months(at):
        what = "times are not equally spaced"
        raise EstimationError("series", what, "number the periods, or declare the time a date.")
    return np.asarray(whole, dtype=np.int64)


def _as_numbers(values: Array) -> FloatArray:
    if values.dtype.kind != "M":
        return np.asarray(values, dtype=np.float64)
    days = values.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    if np.unique(days - months.astype("datetime64[D]")).size == 1:
        return np.asarray(months.astype(np.int64), dtype=np.float64)
    return np.asarray(days.astype(np.int64), dtype=np.float64)


def _looks_like_months(at: FloatArray) -> bool:
    """Whether numbers are years with months, such as 202401, over a turn of the year."""
    year, month = at // 100, at % 100
    in_range = (year >= 1900) & (year <= 2200) & (month >= 1) & (month <= _MONTHS)
    return bool(in_range.all() and np.unique(year).size > 1)


def difference_in_differences(asked: AskedOfTable) -> list[Row]:
    """Return effects by cohort and time, their averages, and two-way effects as a diagnostic."""
    rows, analysis = asked.rows, asked.analysis
    value = rows.numbers("value")
    if "denominator" in rows.values:
        value = value / rows.numbers("denominator")
    times, when = np.unique(rows.values["time"], return_inverse=True)
    site = rows.labels("site")
    if site is None or analysis.controls is None:
        raise EstimationError("series", "no site or no controls are named", "name them.")
    data = panel(site, when, value, rows.values["intervention"] == 1)
    cells = group_time_effects(data, analysis.controls)
    effects = aggregated(data, cells)
    test = _tested(asked, data, effects[0])
    _check_attainable(asked, test)
    labels = [_label(time) for time in times]
    made = [_cell_row(asked, cell, labels) for cell in cells]
    made += [
        _average_row(asked, data, effect, labels) | behind_adoption(asked, effect.cohort, ())
        for effect in effects
    ]
    two_way = _two_way(asked, data) | behind_adoption(asked, None, ())
    return [*made, _attainable(asked, test), two_way]


def _label(time: object) -> str:
    """Return a date as a day, and a number without an empty fraction."""
    return str(time)[:10].removesuffix(".0")


def _tested(asked: AskedOfTable, data: Panel, effect: Effect) -> FewSitesTest:
    analysis = asked.analysis
    draws, level, seed = analysis.draws or MIN_DRAWS, 1 - _alpha(asked), analysis.seed or 0
    if analysis.inference == "permutation":
        controls = analysis.controls or "never_treated"
        return roll_out_test(data, controls, draws, seed, level)
    return wild_bootstrap_test(effect, data, draws, seed, level)


def _alpha(asked: AskedOfTable) -> float:
    return asked.analysis.alpha or 0.05


def _check_attainable(asked: AskedOfTable, test: FewSitesTest) -> None:
    if test.attainable_p > _alpha(asked) + 1e-12:
        what = (
            f"the smallest p-value that these sites can attain is {test.attainable_p:.3g}, above"
            f" alpha {_alpha(asked):g} ({test.method}, {test.draws} orders)"
        )
        raise EstimationError("difference_in_differences", what, "wait for more sites.")


def _cell_row(asked: AskedOfTable, cell: Effect, labels: list[str]) -> Row:
    cohort, since = int(cell.cohort or 0), int(cell.at or 0)
    return asked.row(
        "att_group_time",
        term=f"adopted {labels[cohort]}, at {labels[cohort + since]}",
        estimate=cell.estimate,
        estimate_scale="difference",
        at=float(since),
        at_kind="periods_since_adoption",
        n_sites=cell.sites,
        **_influence(asked, cell),
    ) | behind_adoption(asked, cohort, (cohort + since, min(cohort, cohort + since) - 1))


def _influence(asked: AskedOfTable, effect: Effect) -> dict[str, object]:
    """Return the standard error, where each cohort has the sites that it takes."""
    if asked.analysis.inference == "permutation":
        return {}
    return {"std_error": effect.std_error, "se_scale": "identity", "se_method": "influence"}


def _average_row(asked: AskedOfTable, data: Panel, effect: Effect, labels: list[str]) -> Row:
    at = None if effect.at is None else float(effect.at)
    term = effect.name if effect.cohort is None else f"adopted {labels[effect.cohort]}"
    common = {
        "term": term,
        "estimate": effect.estimate,
        "estimate_scale": "difference",
        "at": at,
        "at_kind": None if at is None else "periods_since_adoption",
        "n_sites": effect.sites,
        "n_clusters": data.adopted.size,
        **_influence(asked, effect),
    }
    if effect.name != "simple" and asked.analysis.inference == "permutation":
        return asked.row("att", **common)
    try:
        test = _tested(asked, data, effect)
    except EstimationError as exc:
        return asked.row("att", **common | {"note": exc.what})
    return asked.row("att", **common | _test_columns(asked, data, test))


def _test_columns(asked: AskedOfTable, data: Panel, test: FewSitesTest) -> dict[str, object]:
    note = f"{test.draws} {'orders, all of them' if test.is_complete else 'random draws'}"
    if data.left_out:
        note += f"; {data.left_out} site(s) with the intervention from the start are left out"
    return {
        "p_value": test.p_value,
        "ci_low": test.ci_low,
        "ci_high": test.ci_high,
        "ci_level": 1 - _alpha(asked),
        "ci_method": test.method,
        "note": note,
    }


def _attainable(asked: AskedOfTable, test: FewSitesTest) -> Row:
    return asked.row(
        "test", statistic_name="attainable p", p_value=test.attainable_p, term=test.method
    )


def _two_way(asked: AskedOfTable, data: Panel) -> Row:
    """Return the two-way estimate, which is no estimate of the effect where timing differs."""
    common = {"term": "two-way fixed effects", "scenario": "diagnostic"}
    try:
        found = two_way_fixed_effects(data)
    except EstimationError as exc:
        return asked.row("coefficient", status="not_estimable", note=exc.what, **common)
    note = f"negative weights on treated cells sum to {found.negative_share:.3g}"
    return asked.row(
        "coefficient",
        estimate=found.estimate,
        estimate_scale="difference",
        std_error=found.std_error if math.isfinite(found.std_error) else None,
        se_scale="identity",
        se_method="CR1S",
        n_clusters=found.n_clusters,
        note=note,
        **common,
    )
