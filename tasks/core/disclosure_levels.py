"""What a model of a registry table may tell of columns of which a level has few rows.

The coefficient of a level, beside the rows and events of all, tells how many rows have the level
and the event: with two levels exactly. So does what is said of the balance of such a column, for
the share of each arm can be solved from it. Withheld are then the column's own numbers, and those
of the whole model (intercept, likelihood, tests, predictions) that would give them back; effects of
other columns stay.
"""

from collections import defaultdict
from collections.abc import Mapping

from tasks.core.disclosure_cells import is_small
from tasks.core.results import LEVELS, withheld

Row = dict[str, object]
Key = tuple[object, ...]
_BALANCE = ("smd", "variance_ratio", "ks_statistic")
_OF_THE_MODEL = (
    *("log_likelihood", "aic", "bic", "test", "concordance", "survival", "cumulative_hazard"),
    *("mean", "median_survival", "quantile"),
)
_OF_ONE = {"cumulative_incidence": "risk", "survival": "risk", "rmst": "mean", "rmtl": "mean"}
_OF_TWO = {
    **dict.fromkeys(("risk_difference", "risk_ratio"), "risk"),
    **dict.fromkeys(("rmst_difference", "rmst_ratio"), "mean"),
    **dict.fromkeys(("rmtl_difference", "rmtl_ratio"), "mean"),
}
_OF_A_TERM = (
    *("hazard_ratio", "subdistribution_hazard_ratio", "odds_ratio", "rate_ratio", "risk_ratio"),
    *("coefficient", "e_value"),
)


def hide_rare_levels(rows: list[Row], k: int) -> list[Row]:
    """Withhold what would tell about few rows that have a level of a column of a model."""
    rare: dict[Key, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for use, columns in _mapping(row.get(LEVELS)).items():
            rare[_whose(row)][use] |= {
                name for name, counts in _mapping(columns).items() if _any_small(counts, k)
            }
    return [withheld(row) if _tells(row, rare.get(_whose(row), {})) else row for row in rows]


def _whose(row: Row) -> Key:
    """Return the model that a row is of: that of everybody, or those of some subgroups."""
    part = row.get("stratum_name") if row.get("scenario") == "subgroup" else None
    return row["population"], row["analysis_id"], part


def _tells(row: Row, rare: Mapping[str, set[str]]) -> bool:
    if row["status"] == "suppressed":
        return False
    name, columns = row["estimate_name"], _columns(row.get("term"))
    of_arms = rare.get("balance", set())
    if name in _BALANCE or name == "max_smd":
        return bool(of_arms & columns) if name in _BALANCE else bool(of_arms)
    if row.get("method") == "propensity":
        return bool(of_arms) and name == "coefficient"
    few = rare.get("terms", set())
    if not few or row.get("target"):
        return False
    is_other = name in _OF_A_TERM and row.get("term") not in (None, "intercept")
    return bool(few & columns) if is_other else name in (*_OF_THE_MODEL, *_OF_A_TERM)


def _columns(term: object) -> set[str]:
    """Return the columns of a term such as `arm=1:sex=2`."""
    return {part.partition("=")[0] for part in str(term or "").split(":")}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _any_small(counts: object, k: int) -> bool:
    return isinstance(counts, tuple) and any(is_small(count, k) for count in counts)


def hide_contrasts(rows: list[Row]) -> list[Row]:
    """Withhold contrasts of two risks, or restricted means, by a day where one is withheld."""
    lost = {
        _point(row, _OF_ONE[str(row["estimate_name"])], row.get("arm"))
        for row in rows
        if row["estimate_name"] in _OF_ONE and row["status"] == "suppressed"
    }
    return [withheld(row) if _contrasts(row) & lost else row for row in rows]


def _contrasts(row: Row) -> set[Key]:
    """Return what a row contrasts; nothing where it is no contrast that is told."""
    # An E-value is a contrast written otherwise: it is solved for what it is of.
    is_e_value = row["estimate_name"] == "e_value"
    of = _OF_TWO.get(str(row.get("statistic_name") if is_e_value else row["estimate_name"]))
    if of is None or row["status"] != "ok":
        return set()
    return {_point(row, of, row.get("target")), _point(row, of, row.get("comparator"))}


def _point(row: Row, of: object, arm: object) -> Key:
    part = row.get("stratum_level") if row.get("stratum_name") == "population" else None
    return row["population"], row["analysis_id"], part, row.get("at"), of, arm
