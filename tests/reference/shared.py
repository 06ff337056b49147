"""Where reference tests find data and R's numbers that are not part of the repository."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def shared_path(relative: str) -> Path:
    """A file under ../shared, or a skipped test that says which file is missing."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"../shared/{relative} is not here; it is not part of the repository")
    return path


def shared_table(relative: str) -> pd.DataFrame:
    """A CSV under ../shared as a table."""
    return pd.read_csv(shared_path(relative))


def r_values(entry: str) -> dict[str, Any]:
    """The values that R gave for one entry of reference/stats_reference.json."""
    return _entries()[entry]["values"]


@cache
def _entries() -> dict[str, dict[str, Any]]:
    content = json.loads(shared_path("reference/stats_reference.json").read_text("utf-8"))
    return {entry["id"]: entry for entry in content["results"]}
