"""How a delivery stands to what is in the lake already."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pyarrow as pa

from tasks.core.fhir import CLINICAL_FORMATS, names_filling
from tasks.core.lake import COMMITTED, LEDGER, Connection, open_lake, same_controller
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.linkage import (
    Brought,
    brought_by,
    linkage_faults,
    tables_of_others,
    takes_unnamed,
)
from tasks.ingest.manifest import MANIFEST, Manifest
from tasks.ingest.model import Finding
from tasks.ingest.rules import finding
from tasks.ingest.verify import tables_of


@contextmanager
def lake_if_any(home: Home, site: SiteSettings) -> Iterator[Connection | None]:
    """Open the lake for reading; None where there is none yet."""
    if site.catalogue_url == "sqlite" and not (home.lake / "catalog.sqlite").exists():
        yield None
        return
    with open_lake(home, site) as con:
        yield con if _has_meta(con) else None


def standing(
    con: Connection, manifest: Manifest, content: str, loaded: Collection[str] | None = None
) -> list[Finding]:
    """Return why the lake has no place for this delivery; empty when it has.

    Args:
        con: The lake.
        manifest: What the delivery says about itself.
        content: Its identity, from `content_sha256`.
        loaded: The tables that it loads. Before its rows are read only what is certain refuses it.
    """
    delivery_id = manifest.delivery_id
    known = con.execute(
        "select content_sha256 from lake.meta.delivery where site_id = $site_id "
        "and delivery_id = $delivery_id and list_contains($committed, status)",
        {
            "site_id": manifest.site_id,
            "delivery_id": delivery_id,
            "committed": list(COMMITTED),
        },
    ).fetchall()
    if (content,) in known:
        return [finding("I_DUPLICATE_DELIVERY", MANIFEST, delivery_id=delivery_id)]
    if known:
        return [finding("E_DELIVERY_ID_REUSED", MANIFEST, delivery_id=delivery_id)]
    brought = brought_by(manifest, loaded)
    return [*_out_of_order(con, manifest, brought), *linkage_faults(con, manifest, brought)]


def persons_in_force(con: Connection, site_id: str) -> pa.Table:
    """Return the persons of a site that the lake holds, as one column `person_id`."""
    query = "select person_id from lake.omop.person where site_id = $site_id"
    return con.execute(query, {"site_id": site_id}).to_arrow_table()


def versions_in_force(con: Connection, manifest: Manifest) -> pa.Table:
    """Return the versions of devices that a delivery leaves in force: udi_di, model_version.

    A full delivery ends those of its own controller, unless its own file of them was refused.
    """
    brought = tables_of(manifest)
    others = tables_of_others(con, manifest, brought)
    stay = manifest.kind == "increment" or "device_version" in brought
    stay = stay or any(held.table == "device_version" for held in others)
    query = (
        "select udi_di, model_version from lake.omop.device_version "
        "where site_id = $site_id and $stay"
    )
    return con.execute(query, {"site_id": manifest.site_id, "stay": stay}).to_arrow_table()


def snapshot_of(con: Connection, manifest: Manifest) -> int | None:
    """Return the snapshot that an accepted delivery made."""
    found = con.execute(
        "select max(snapshot_id) from lake.meta.delivery where site_id = $site_id "
        "and delivery_id = $delivery_id and list_contains($committed, status)",
        {
            "site_id": manifest.site_id,
            "delivery_id": manifest.delivery_id,
            "committed": list(COMMITTED),
        },
    ).fetchone()
    return None if not found or found[0] is None else int(found[0])


_NEWER = f"""
    select delivery.delivery_id, delivery.data_cutoff
    from lake.meta.delivery as delivery
    join {LEDGER} as ledger using (site_id, delivery_id)
    where site_id = $site_id and list_contains($formats, format) and data_cutoff > $data_cutoff
        and list_contains($committed, delivery.status) and ledger.status = 'loaded'
        and (
            if(
                ledger.tables is null,
                list_contains($names, ledger.table_name),
                list_has_any($tables, string_split(ledger.tables, ','))
            )
            or (format <> 'table' and {same_controller("delivery.controller", "$controller")})
            or (format <> 'table' and $takes_unnamed and delivery.controller is null)
        )
    order by data_cutoff desc, delivery.snapshot_id desc limit 1
"""  # noqa: S608 - constants of our own


def _out_of_order(con: Connection, manifest: Manifest, brought: Brought) -> list[Finding]:
    """A delivery must not be older than what it would replace or correct.

    That is what its controller sent before, and any earlier state of the tables that it brings.
    """
    clinical = manifest.format in CLINICAL_FORMATS
    params = {
        "site_id": manifest.site_id,
        "formats": list(CLINICAL_FORMATS) if clinical else [manifest.format],
        "controller": manifest.controller,
        "takes_unnamed": takes_unnamed(manifest, brought.certain),
        "data_cutoff": manifest.data_cutoff,
        "committed": list(COMMITTED),
        "tables": sorted(brought.certain),
        "names": sorted(names_filling(brought.certain)),
    }
    newer = con.execute(_NEWER, params).fetchone()
    if newer is None:
        return []
    found = finding(
        "E_OUT_OF_ORDER",
        MANIFEST,
        delivery_id=manifest.delivery_id,
        cutoff=manifest.data_cutoff,
        newer=newer[0],
        newer_cutoff=newer[1],
    )
    return [found]


def _has_meta(con: Connection) -> bool:
    found = con.execute(
        "select count(*) from information_schema.columns "
        "where table_catalog = 'lake' and table_schema = 'meta'"
    ).fetchone()
    return bool(found and found[0])
