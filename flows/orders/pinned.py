"""The data of a run: its snapshot, the deliveries behind it, and how much of them may be shown."""

from dataclasses import dataclass

import duckdb

from flows.orders.study_tables import table_deliveries
from tasks.core.disclosure import threshold
from tasks.core.disclosure_rounding import bases
from tasks.core.errors import NoDataError
from tasks.core.fhir import CLINICAL_FORMATS
from tasks.core.lake import (
    content_hash,
    deliveries_in_force,
    ledger_of,
    newest_snapshot,
    open_lake,
)
from tasks.core.paths import Home
from tasks.core.runs import RunIdentity, code_hash
from tasks.core.site import SiteSettings, load_site
from tasks.core.spec import LakeSource, StudySpec, load_study


@dataclass(frozen=True, slots=True)
class Pinned:
    """The data of a run: which snapshot, and the deliveries that make it up."""

    identity: RunIdentity
    deliveries: list[dict[str, object]]
    ledger: list[dict[str, object]]


def pin(home: Home, site: SiteSettings, spec: StudySpec, snapshot: int | None) -> Pinned:
    """Choose the snapshot of a run and say what makes it up."""
    with open_lake(home, site, snapshot=snapshot) as con:
        chosen = newest_snapshot(con)
    with open_lake(home, site, snapshot=chosen) as con:
        deliveries = serving(con, spec)
        data = content_hash(con)
        ledger = ledger_of(con, [int(str(d["snapshot_id"])) for d in deliveries])
    cutoff = max(str(d["data_cutoff"]) for d in deliveries)
    identity = RunIdentity(
        spec.study.id, spec.study.version, spec.spec_hash, chosen, data, cutoff, code_hash()
    )
    return Pinned(identity, deliveries, ledger)


def ensure_served(home: Home, study: str) -> None:
    """Do nothing where a study has data to run on.

    Raises:
        NoDataError: It has to wait for a delivery.
        CausewayError: The study is refused, or the lake cannot be read.
    """
    spec = load_study(study)
    with open_lake(home, load_site(home)) as con:
        serving(con, spec)


def serving(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[dict[str, object]]:
    """Return the deliveries in force that a study rests on; every site that it names has one."""
    in_force = deliveries_in_force(con)
    of_tables = table_deliveries(con, spec, in_force)
    of_lake = _serving_lake(spec, spec.lake, in_force) if spec.lake else []
    return [d for d in in_force if d in of_tables or d in of_lake]


def _serving_lake(
    spec: StudySpec, source: LakeSource, in_force: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Return the deliveries whose rows lie in the tables that cohorts read: all but registries."""
    deliveries = [
        d for d in in_force if d["format"] in CLINICAL_FORMATS and source.takes(d["site_id"])
    ]
    missing = sorted(set(source.sites) - {str(d["site_id"]) for d in deliveries})
    if missing or not deliveries:
        some = f"a site {source.site_prefix}…" if source.site_prefix else "any site"
        what = f"no OMOP delivery in force of {', '.join(missing) or some}"
        raise NoDataError(spec.study.id, what, "ingest one: `causeway ingest PATH`.")
    return deliveries


def smallest_count(site: SiteSettings, spec: StudySpec, pinned: Pinned) -> int | None:
    """Return the smallest count that this run may show; None for synthetic public data."""
    tighter = spec.privacy.disclosure_threshold if spec.privacy else None
    classes = [delivery["data_class"] for delivery in pinned.deliveries]
    return threshold(site.disclosure_threshold, tighter, classes)


def rounding(site: SiteSettings, spec: StudySpec, pinned: Pinned) -> int:
    """Return what counts of this run are multiples of; 0 where they are told as they are."""
    if smallest_count(site, spec, pinned) is None:
        return 0
    return bases([site.round_counts_to, spec.privacy.round_counts_to if spec.privacy else None])
