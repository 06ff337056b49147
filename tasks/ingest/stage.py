"""Staging: a delivery is verified, typed and judged in a private folder; the lake is only read.

The stage is a DuckDB file of views over Parquet: `delivered.<table>` holds every typed row with
`_row` and `_code` (null when good), `loadable.<table>` the good rows, `delivery.file_balance`
the counts of each file.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.core.duck import duck, single
from tasks.core.errors import UsageError
from tasks.core.fhir import CLINICAL_FORMATS, TABLES_OF
from tasks.core.omop import omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.archive import is_archive, unpack
from tasks.ingest.cast import Reading
from tasks.ingest.device_rules import (
    VERSIONED,
    collect_versions,
    device_remarks,
    judge_device_rows,
)
from tasks.ingest.fhir import SHAPES, ResourceFile, read_resources, type_mapped
from tasks.ingest.fhir_rules import (
    find_repeated_resources,
    note_faults,
    settle_resources,
    warnings_of_resources,
)
from tasks.ingest.fhir_shape import expected_shapes
from tasks.ingest.inspection import Inspected, inspect_files, model_of
from tasks.ingest.manifest import MANIFEST, Manifest, read_manifest
from tasks.ingest.messages import expected_values, row_findings, warning_findings
from tasks.ingest.model import (
    DeliveryOutcome,
    DeliveryRefusedError,
    DeliveryStatus,
    FileOutcome,
    FileRefusedError,
    Finding,
    codes_of,
)
from tasks.ingest.row_rules import StagedTable, find_orphans, find_repeats
from tasks.ingest.rules import finding
from tasks.ingest.stage_file import (
    Connection,
    StagedFile,
    create_staged,
    create_views,
    prepare,
    settle,
    stage_rows,
    warnings_of,
)
from tasks.ingest.standing import lake_if_any, persons_in_force, standing, versions_in_force
from tasks.ingest.turn import new_work_folder
from tasks.ingest.verify import Listed, check_delivery, content_sha256, listed_files

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Staged:
    """A delivery that was looked at: what may be committed, and the outcome so far.

    `stage_file` is None unless `status` is "staged"; `manifest` is None where it cannot be read.
    `tables` are those to commit, each with its number of rows.
    """

    path: Path
    work: Path
    manifest: Manifest | None
    content: str | None
    status: Literal["staged", "rejected", "noop"]
    files: tuple[FileOutcome, ...]
    findings: tuple[Finding, ...]
    stage_file: Path | None = None
    tables: tuple[tuple[str, int], ...] = ()

    def outcome(
        self, status: DeliveryStatus, snapshot_id: int | None, more: Sequence[Finding] = ()
    ) -> DeliveryOutcome:
        """Return the outcome of the delivery with this status; `more` is what the gate says."""
        loaded = status in {"accepted", "accepted_with_warnings", "partial"}
        held = tuple(f if f.status != "loaded" else f.held_back("skipped") for f in self.files)
        messages = (*self.findings, *more)
        return DeliveryOutcome(
            delivery_id=self.manifest.delivery_id if self.manifest else None,
            site_id=self.manifest.site_id if self.manifest else None,
            status=status,
            snapshot_id=snapshot_id,
            codes=codes_of(messages),
            files=self.files if loaded else held,
            messages=messages,
            is_patient_data=not self.manifest or self.manifest.data_class == "patient",
        )


def stage_delivery(home: Home, site: SiteSettings, path: Path) -> Staged:
    """Verify a delivery and stage its rows; nothing is written outside restricted/work.

    Args:
        home: The working home.
        site: Settings of the site.
        path: Folder or archive of the delivery.

    Returns:
        The staged delivery, or why it is rejected or known already.

    Raises:
        UsageError: There is no such folder or archive.
    """
    if not path.is_dir() and not (path.is_file() and is_archive(path)):
        what = "is neither a folder nor a .zip or .tar.gz file"
        raise UsageError(str(path), what, "name the folder that holds manifest.json.")
    work = new_work_folder(home)
    manifest = None
    try:
        folder = unpack(path, work / "unpacked") if path.is_file() else path
        manifest = read_manifest(folder)
        return _stage(home, site, Staged(path, work, manifest, None, "staged", (), ()), folder)
    except DeliveryRefusedError as refused:
        return _refused(path, work, manifest, refused.findings)


def _stage(home: Home, site: SiteSettings, begun: Staged, folder: Path) -> Staged:
    assert begun.manifest is not None  # noqa: S101 - read before
    manifest, content = begun.manifest, content_sha256(begun.manifest)
    remarks, files = check_delivery(folder, manifest), listed_files(folder, manifest)
    _refuse_form(manifest, files)
    _refuse_known(home, site, manifest, content)
    inspected = inspect_files(manifest, files)
    stage_file = begun.work / "stage.duckdb"
    with duck(stage_file) as con:
        prepare(con)
        stage = _Stage(home, site, manifest, begun.work, con)
        outcomes, findings, tables = stage.run(inspected)
    if not any(outcome.status == "loaded" for outcome in outcomes):
        raise DeliveryRefusedError(*remarks, *findings)
    return replace(
        begun,
        content=content,
        files=tuple(sorted(outcomes, key=lambda outcome: outcome.file)),
        findings=(*remarks, *findings),
        stage_file=stage_file,
        tables=tuple(sorted(tables.items())),
    )


def _refuse_known(home: Home, site: SiteSettings, manifest: Manifest, content: str) -> None:
    """Refuse a delivery for which the lake has no place, before any row of it is read."""
    with lake_if_any(home, site) as lake:
        if lake and (known := standing(lake, manifest, content)):
            raise DeliveryRefusedError(*known)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The stage of one delivery while it is being built."""

    home: Home
    site: SiteSettings
    manifest: Manifest
    work: Path
    con: Connection

    def run(
        self, inspected: Sequence[Inspected]
    ) -> tuple[list[FileOutcome], list[Finding], dict[str, int]]:
        """Stage every usable file.

        Returns:
            Outcomes and findings of all files, and the rows that each table can load.
        """
        resources = [item for item in inspected if item.listed.is_resource and item.text]
        numbered = [(item, _resource_file(item, n)) for n, item in enumerate(resources, start=1)]
        done = [self._rows(item) for item in inspected if item not in resources]
        staged = [file for file in done if isinstance(file, StagedFile)]
        groups = self._map([file for _, file in numbered])
        tables = [*(file.table for file in staged), *(t for g in groups.values() for t in g)]
        loadable = self._judge(tables, groups)
        settled = [
            *((item.outcome, list(item.findings)) for item in done if isinstance(item, Inspected)),
            *(self._settle(file, loadable[file.table.name], loadable) for file in staged),
            *(
                self._settle_resources(item, f, groups[f.resource], loadable)
                for item, f in numbered
            ),
        ]
        findings = [item for _, found in settled for item in found]
        self._refuse_nobody(inspected, loadable, findings)
        outcomes = [outcome for outcome, _ in settled]
        return outcomes, [*findings, *self._across(tables)], loadable

    def _rows(self, item: Inspected) -> StagedFile | Inspected:
        if item.binding is None:
            return item
        manifest = self.manifest
        model = model_of(manifest, item.listed.table)
        reading = Reading(manifest.date_format, manifest.timezone, item.has_control, item.padded)
        try:
            return stage_rows(self.con, self.work, item, model, reading)
        except FileRefusedError as refused:
            return replace(item, findings=(*item.findings, *refused.findings))

    def _map(self, files: Sequence[ResourceFile]) -> dict[str, tuple[StagedTable, ...]]:
        """Stage the tables that resources fill; return those of each type."""
        if files:
            read_resources(self.con, self.work, self.manifest, files)
        return {
            resource: tuple(
                self._mapped(table, TABLES_OF[resource]) for table in TABLES_OF[resource]
            )
            for resource in dict.fromkeys(file.resource for file in files)
        }

    def _mapped(self, name: str, siblings: tuple[str, ...]) -> StagedTable:
        model, out = omop_tables()[name], self.work / f"{name}.parquet"
        columns = type_mapped(self.con, model, self._instants, out)
        table = StagedTable(name, model, columns, siblings)
        create_staged(self.con, table, out)
        note_faults(self.con, table)
        return table

    @property
    def _instants(self) -> Reading:
        """How FHIR writes its values."""
        return Reading("%Y-%m-%d", self.manifest.timezone, check_control=True, instants=True)

    def _judge(
        self, tables: Sequence[StagedTable], groups: dict[str, tuple[StagedTable, ...]]
    ) -> dict[str, int]:
        """Find the rows that do not go with others; return how many of each table can be loaded."""
        modelled = [table for table in tables if table.model]
        for resource, of_resource in groups.items():
            find_repeated_resources(self.con, resource, of_resource)
        for table in modelled:
            find_repeats(self.con, table)
        if modelled:
            self._collect_persons(next((t for t in modelled if t.name == "person"), None))
        for table in modelled:
            if table.name != "person" and "person_id" in table.columns:
                find_orphans(self.con, table)
        by_name = {table.name: table for table in modelled}
        judge_device_rows(self.con, by_name, versions_known=self._collect_versions(by_name))
        return {table.name: create_views(self.con, table) for table in tables}

    def _collect_persons(self, delivered: StagedTable | None) -> None:
        """Fill delivery.person: who is there once this delivery is in force."""
        if delivered:
            self.con.execute(
                f"insert into delivery.person select person_id from staged.person "
                f"anti join {delivered.verdicts} as v on v.row = _row where _fault is null"
            )
        if delivered and self.manifest.kind == "full":
            return
        with lake_if_any(self.home, self.site) as lake:
            if lake:
                self.con.register("in_force", persons_in_force(lake, self.manifest.site_id))
                self.con.execute("insert into delivery.person select person_id from in_force")
                self.con.unregister("in_force")

    def _collect_versions(self, tables: Mapping[str, StagedTable]) -> bool:
        """Fill delivery.device_version where rows name a version; tell whether any is known."""
        if not set(VERSIONED) & set(tables):
            return False
        delivered = tables.get("device_version")
        if delivered:
            collect_versions(self.con, delivered)
        if delivered and self.manifest.kind == "full":
            return True
        with lake_if_any(self.home, self.site) as lake:
            if lake:
                self.con.register("in_force", versions_in_force(lake, self.manifest))
                self.con.execute("insert into delivery.device_version from in_force")
                self.con.unregister("in_force")
        known = single(self.con, "select count(*) from delivery.device_version")
        return bool(delivered or known)

    def _settle(
        self, file: StagedFile, loadable: int, tables: Collection[str]
    ) -> tuple[FileOutcome, list[Finding]]:
        outcome, bad = settle(self.con, file, loadable)
        models = [file.model] if file.model else []
        findings = [
            *file.item.findings,
            *warning_findings(file.file, warnings_of(self.con, file)),
            *device_remarks(self.con, file.table.name, file.file, tables),
            *row_findings(
                file.file, bad, expected_values(models, file.reading), len(file.binding.header)
            ),
        ]
        return replace(outcome, codes=codes_of(findings)), findings

    def _settle_resources(
        self,
        item: Inspected,
        file: ResourceFile,
        tables: Sequence[StagedTable],
        all_tables: Collection[str],
    ) -> tuple[FileOutcome, list[Finding]]:
        outcome, bad = settle_resources(self.con, item, file, tables)
        models = [table.model for table in tables if table.model]
        name = item.listed.name
        expected = expected_shapes(SHAPES[file.resource]) | expected_values(models, self._instants)
        findings = [
            *item.findings,
            *warning_findings(name, warnings_of_resources(self.con, file, tables)),
            *(
                remark
                for table in tables
                for remark in device_remarks(self.con, table.name, name, all_tables)
            ),
            *row_findings(name, bad, expected),
        ]
        return replace(outcome, codes=codes_of(findings)), findings

    def _refuse_nobody(
        self, inspected: Sequence[Inspected], loadable: dict[str, int], found: Sequence[Finding]
    ) -> None:
        """A full delivery without one sound person must not replace those in force."""
        files = [item.listed.name for item in inspected if "person" in item.listed.fills]
        clinical = self.manifest.format in CLINICAL_FORMATS
        if clinical and self.manifest.kind == "full" and loadable.get("person") == 0:
            detail = "holds no row that can be loaded"
            nobody = finding("E_NO_ROWS", files[0], table="person", detail=detail)
            raise DeliveryRefusedError(nobody, *(item for item in found if item.file in files))

    def _across(self, tables: Sequence[StagedTable]) -> Iterator[Finding]:
        """What shows only when the tables are seen together."""
        names = {table.name for table in tables if table.model}
        sent = {entry.table for entry in self.manifest.files}
        observed = "observation_period" in names
        if self.manifest.kind != "full" or "person" not in names:
            return
        if "observation_period" in sent and not observed:
            return
        join = "anti join loadable.observation_period using (person_id)" if observed else ""
        count = single(self.con, f"select count(*) from loadable.person {join}")
        if count:
            yield finding("W_NO_OBS_PERIOD", count=f"{count:,}")


def _resource_file(item: Inspected, number: int) -> ResourceFile:
    assert item.text is not None  # noqa: S101 - resources are text
    return ResourceFile(number, item.text, str(item.listed.table))


def _refuse_form(manifest: Manifest, files: Sequence[Listed]) -> None:
    """Refuse what this version does not read."""
    if manifest.format == "table":
        if manifest.kind != "full":
            raise _unread("kind: a registry table is delivered in full only")
        for file in files:
            if file.table and not TABLE_NAME.fullmatch(file.entry.table or file.table):
                pattern = TABLE_NAME.pattern
                found = finding("E_ID_FORMAT", file.name, key="table", pattern=pattern)
                raise DeliveryRefusedError(found)


def _unread(detail: str) -> DeliveryRefusedError:
    return DeliveryRefusedError(finding("E_MANIFEST_PARSE", MANIFEST, detail=detail))


def _refused(
    path: Path, work: Path, manifest: Manifest | None, findings: tuple[Finding, ...]
) -> Staged:
    known = codes_of(findings) == ("I_DUPLICATE_DELIVERY",)
    listed = listed_files(path, manifest) if manifest else ()
    return Staged(
        path=path,
        work=work,
        manifest=manifest,
        content=content_sha256(manifest) if manifest else None,
        status="noop" if known else "rejected",
        files=tuple(_unread_file(file, findings) for file in listed),
        findings=findings,
    )


def _unread_file(file: Listed, findings: tuple[Finding, ...]) -> FileOutcome:
    own = [item for item in findings if item.file == file.name]
    wrong = any(item.severity == "error" for item in own)
    return FileOutcome(
        file.name, file.table, "rejected" if wrong else "skipped", 0, 0, 0, 0, codes_of(own)
    )
