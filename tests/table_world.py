"""Deliveries of registry tables drawn in a test, and studies of them."""

from pathlib import Path

import polars as pl
import yaml

from flows.orders.study import study_run
from tests.ingest_world import a_home, ingest, write_delivery

PUBLIC = {"format": "table", "site_id": "S", "data_class": "synthetic_public"}


def home_with(folder, **tables):
    """Return a home in whose lake the tables of site S lie; a table is the bytes of its CSV."""
    home = a_home(folder)
    write_delivery(home.inbox / "S" / "D-1", tables, **PUBLIC)
    outcome = ingest(home, home.inbox / "S" / "D-1")
    assert outcome.status.startswith("accepted"), outcome.messages
    return home


def written(folder, study, **changes):
    """Write a study, from its text or its value, as a file; return its path."""
    value = yaml.safe_load(study) if isinstance(study, str) else study
    file = Path(folder) / f"{value['study']['id']}.yaml"
    file.write_text(yaml.safe_dump(value | changes, allow_unicode=True, sort_keys=False), "utf-8")
    return str(file)


def run(home, study):
    """Run a study file; return the outcome and its rows of results."""
    outcome = study_run(home, study)
    return outcome, pl.read_parquet(outcome.folder / "results.parquet").to_dicts()


def csv_with_id(frame):
    """Return a pandas table as CSV with a first column `id` that numbers its rows."""
    numbered = frame.reset_index(drop=True)
    if "id" not in numbered:
        numbered.insert(0, "id", range(1, len(numbered) + 1))
    return numbered.to_csv(index=False, na_rep="NA").encode()
