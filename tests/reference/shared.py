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
def reference(name: str) -> dict[str, Any]:
    """A file of published and R-computed numbers, whole."""
    return dict(json.loads(shared(f"reference/{name}").read_text("utf-8")))


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in reference("stats_reference.json")["results"]}
