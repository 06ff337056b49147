"""The results table in the 13 columns of OMOP `summarised_result`, for OHDSI and DARWIN tools."""

import csv
from importlib.metadata import version
from pathlib import Path

import polars as pl

COLUMNS = (
    "result_id",
    "cdm_name",
    "group_name",
    "group_level",
    "strata_name",
    "strata_level",
    "variable_name",
    "variable_level",
    "estimate_name",
    "estimate_type",
    "estimate_value",
    "additional_name",
    "additional_level",
)
_GROUP = ("target", "comparator", "arm", "population")
_ADDITIONAL = ("analysis_id", "role", "method", "estimand", "at", "at_kind", "term", "se_method")
_NUMERIC = ("estimate", "std_error", "ci_low", "ci_high", "statistic", "p_value", "person_time")
_INTEGER = ("n", "n_events")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_summarised(results: pl.DataFrame, file: Path) -> None:
    """Write results.csv: one line a number, settings as lines of their own.

    Withheld and blinded numbers are written as `-`, the sign that OMOP tools read as suppressed.
    """
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in results.iter_rows(named=True):
            writer.writerows(_lines(row))
        writer.writerows(_settings(results))


def _lines(row: dict[str, object]) -> list[tuple[object, ...]]:
    group, additional = _pair(row, _GROUP), _pair(row, _ADDITIONAL)
    strata = [_safe(row[name] or "overall") for name in ("stratum_name", "stratum_level")]
    head = (1, row["site_id"], *group, *strata, _safe(row["outcome"] or "overall"), None)
    hidden = row["status"] in {"suppressed", "blinded"}
    return [
        (
            *head,
            row["estimate_name"] if name == "estimate" else f"{row['estimate_name']}_{name}",
            kind,
            "-" if hidden else _text(row[name]),
            *additional,
        )
        for kind, names in (("numeric", _NUMERIC), ("integer", _INTEGER))
        for name in names
        if row[name] is not None or (hidden and name == "estimate")
    ]


def _settings(results: pl.DataFrame) -> list[tuple[object, ...]]:
    first = results.row(0, named=True) if results.height else {}
    values = {
        "result_type": "causeway_results",
        "package_name": "causeway-rwe",
        "package_version": version("causeway-rwe"),
        "group": " &&& ".join(_GROUP),
        "additional": " &&& ".join(_ADDITIONAL),
        "study_id": first.get("study_id"),
        "run_id": first.get("run_id"),
    }
    overall = ("overall", "overall")
    return [
        (1, None, *overall, *overall, "settings", None, name, "character", value, *overall)
        for name, value in values.items()
    ]


def _pair(row: dict[str, object], names: tuple[str, ...]) -> tuple[str, str]:
    """Names and levels of the columns that have a value, in the form `a &&& b`."""
    used = [name for name in names if row[name] is not None]
    if not used:
        return "overall", "overall"
    return " &&& ".join(used), " &&& ".join(_safe(_text(row[name])) for name in used)


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _safe(value: object) -> str:
    """Keep a text from being read as a formula by a spreadsheet."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
