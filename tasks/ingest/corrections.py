"""Rows that the resources of an increment had before, in whichever table: a resource is its rows.

A corrected Patient may have no death any more, an Observation may belong to another table, a Claim
may have fewer items. Only rows that FHIR deliveries of the same controller brought are deleted.
"""

# ruff: noqa: S608 - only names of the model are formatted into SQL

from collections.abc import Collection

from tasks.core.fhir import TABLES_OF
from tasks.core.lake import COMMITTED, Connection, same_controller
from tasks.ingest.fhir import create_macros, fhir_table
from tasks.ingest.manifest import Manifest

_ITEMS = 64
_OF_RESOURCE = "select fhir_id(id) from incoming"
_KEYS: dict[str, dict[str, tuple[str, str]]] = {
    "Patient": {"death": ("person_id", _OF_RESOURCE)},
    "Observation": {
        "measurement": ("measurement_id", _OF_RESOURCE),
        "observation": ("observation_id", _OF_RESOURCE),
        "device_inference": ("device_inference_id", "select id from incoming"),
    },
    "Claim": {"cost": ("cost_id", _OF_RESOURCE)},
}
_ITEM_IDS = (
    "select fhir_id(id || '/' || place) "
    "from incoming, range($first, $first + $items) as items (place)"
)
_BY_FHIR = f"""snapshot_id in (
    select snapshot_id from lake.meta.delivery
    where site_id = $site_id and format = 'fhir' and list_contains($committed, status)
        and {same_controller("controller", "$controller")}
)"""


def note_resources(con: Connection, files: Collection[str | None]) -> None:
    """Note which resources come in, before the transaction: `files` are the types of the files."""
    create_macros(con)
    for resource in _KEYS.keys() & set(files):
        good = " union ".join(
            f"select _row from stage.delivered.{table} where _code is null"
            for table in TABLES_OF[resource]
        )
        con.execute(
            f"create temp table {_incoming(resource)} as select distinct id "
            f"from stage.{fhir_table(resource)} where _row in ({good})"
        )


def clear_resources(con: Connection, manifest: Manifest, files: Collection[str | None]) -> None:
    """Delete the rows that the resources which come in had before."""
    for resource, tables in _KEYS.items():
        if resource not in files:
            continue
        for table, (key, ids) in tables.items():
            _delete(con, manifest, table, key, ids.replace("incoming", _incoming(resource)))
    if "Claim" in files:
        _clear_items(con, manifest)


def _clear_items(con: Connection, manifest: Manifest) -> None:
    """Delete the items of claims by their places, block by block until one holds none."""
    ids, first = _ITEM_IDS.replace("incoming", _incoming("Claim")), 1
    while _delete(con, manifest, "cost", "cost_id", ids, first=first, items=_ITEMS):
        first += _ITEMS


def _incoming(resource: str) -> str:
    return f"temp.incoming_{resource.lower()}"


def _delete(
    con: Connection, manifest: Manifest, table: str, key: str, ids: str, **more: int
) -> int:
    [(rows,)] = con.execute(
        f"delete from lake.omop.{table} where site_id = $site_id and {key} in ({ids}) "
        f"and {_BY_FHIR}",
        {
            "site_id": manifest.site_id,
            "controller": manifest.controller,
            "committed": list(COMMITTED),
            **more,
        },
    ).fetchall()
    return int(rows)
