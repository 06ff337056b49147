"""Rows of one site that come from more than one controller, and what must be on record for that.

A manufacturer's log that joins hospital records crosses controllers. Under the Personal
Information Protection Act, art. 28-3, a designated agency combines such data, unless the persons
consented; either way the delivery says on what authority. A table has one controller at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from tasks.core.lake import Connection, TableInForce, tables_in_force
from tasks.core.omop import omop_tables
from tasks.ingest.manifest import MANIFEST, Governance, Manifest
from tasks.ingest.model import Finding
from tasks.ingest.rules import finding, shown
from tasks.ingest.verify import tables_of, tables_of_resources

REQUIRED = (
    "controller",
    "legal_basis",
    "purpose",
    "irb",
    "irb_date",
    "drb_date",
    "retention_until",
)


CONSENT = ("consent", "informed consent", "동의", "정보주체 동의", "정보주체의 동의")


@dataclass(frozen=True, slots=True)
class Brought:
    """The tables that a delivery brings: those that are certain, and all that are possible.

    Before its rows are read, a file of resources is certain of no table; a tabular file is.
    """

    certain: frozenset[str]
    possible: frozenset[str]


def brought_by(manifest: Manifest, loaded: Collection[str] | None = None) -> Brought:
    """Return what a delivery brings; `loaded` are its tables where its rows were read."""
    if loaded is not None:
        return Brought(frozenset(loaded), frozenset(loaded))
    possible = frozenset(tables_of(manifest))
    return Brought(possible - frozenset(tables_of_resources(manifest)), possible)


def takes_unnamed(manifest: Manifest, tables: Collection[str]) -> bool:
    """Whether a delivery that brings `tables` has as its own what nobody named brought.

    A full delivery with persons is that of the site itself, which only began to name itself.
    """
    return manifest.kind == "full" and "person" in tables


def tables_of_others(
    con: Connection, manifest: Manifest, brought: Collection[str]
) -> list[TableInForce]:
    """Return the tables of the site that are in force from another controller than this one."""
    if manifest.format == "table":
        return []
    known = tables_in_force(con, manifest.site_id, manifest.controller)
    own = takes_unnamed(manifest, brought)
    return [held for held in known if not held.is_own and not (own and held.controller is None)]


def linkage_faults(con: Connection, manifest: Manifest, brought: Brought) -> list[Finding]:
    """Return why the rows of a delivery may not lie beside those of another controller.

    Args:
        con: The lake.
        manifest: What the delivery says about itself.
        brought: The tables that it brings.
    """
    others = tables_of_others(con, manifest, brought.possible)
    taken = [held for held in others if held.table in brought.certain]
    if manifest.kind == "increment" and taken:
        return [_taken(manifest, taken)]
    stay = omop_tables().keys() - brought.possible
    beside = [held for held in others if held.table in stay]
    missing = missing_keys(manifest.governance, manifest.data_cutoff)
    if not beside or not missing or _on_record(manifest, beside):
        return []
    crossing = finding(
        "E_GOVERNANCE",
        MANIFEST,
        column="governance",
        detail=f"{manifest.delivery_id} would lie beside rows of another controller "
        f"({_controllers(beside)}), and governance does not name {', '.join(missing)}"
        f"{_hint(beside)}",
    )
    return [crossing]


def missing_keys(governance: Governance | None, data_cutoff: date) -> tuple[str, ...]:
    """Return what governance must name before data of two controllers may be joined."""
    said = governance or Governance()
    missing = [key for key in REQUIRED if getattr(said, key) is None]
    if said.retention_until and said.retention_until <= data_cutoff:
        missing.append("a retention_until later than data_cutoff")
    if said.combining_agency_case is None and not _consented(said.legal_basis):
        missing.append("combining_agency_case (or consent as legal_basis)")
    return tuple(missing)


def _consented(legal_basis: str | None) -> bool:
    """Whether the basis is consent and nothing else: a sentence about consent may deny it."""
    return (legal_basis or "").strip().casefold() in CONSENT


def _on_record(manifest: Manifest, beside: Sequence[TableInForce]) -> bool:
    """Whether a full delivery renews a link that the other controllers put on record."""
    if manifest.kind != "full":
        return False
    records = {held.governance for held in beside}
    return all(
        record and not missing_keys(Governance.model_validate_json(record), manifest.data_cutoff)
        for record in records
    )


def _taken(manifest: Manifest, taken: Sequence[TableInForce]) -> Finding:
    tables = ", ".join(dict.fromkeys(held.table for held in taken))
    return finding(
        "E_GOVERNANCE",
        MANIFEST,
        column="files",
        detail=f"{manifest.delivery_id} adds rows to {tables}, which came from "
        f"{_controllers(taken)}; a table of a site has one controller{_hint(taken)}",
    )


def _controllers(held: Sequence[TableInForce]) -> str:
    names = {item.controller for item in held}
    unnamed = "a delivery that names no controller"
    return ", ".join(sorted(shown(name) if name else unnamed for name in names))


def _hint(held: Sequence[TableInForce]) -> str:
    """How to put a name to what nobody named brought."""
    if all(item.controller for item in held):
        return ""
    return (
        " (who sent the unnamed rows names them by a full delivery with person and with "
        "governance.controller, which replaces them)"
    )
