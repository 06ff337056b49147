"""Where reference tests find data and R's numbers that are not part of the repository."""

import json
from functools import cache
from typing import Any

import pandas as pd

from tests.needs import shared


def shared_table(relative: str) -> pd.DataFrame:
    """A CSV under ../shared as a table."""
    return pd.read_csv(shared(relative))


def r_values(entry: str) -> dict[str, Any]:
    """The values that R gave for one entry of reference/stats_reference.json."""
    return _entries()[entry]["values"]


@cache
def _entries() -> dict[str, dict[str, Any]]:
    content = json.loads(shared("reference/stats_reference.json").read_text("utf-8"))
    return {entry["id"]: entry for entry in content["results"]}
