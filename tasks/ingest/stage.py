"""Staging: a delivery is verified, typed and judged in a private folder; the lake is only read.

The stage is a DuckDB file of views over Parquet: `delivered.<table>` holds every typed row with
`_row` and `_code` (null when good), `loadable.<table>` the good rows, `delivery.file_balance`
the counts of each file.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.core.duck import duck, single
from tasks.core.errors import UsageError
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.archive import is_archive, unpack
from tasks.ingest.cast import Reading
from tasks.ingest.device_rules import (
    VERSIONED,
    Loaded,
    collect_versions,
    device_remarks,
    judge_device_rows,
)
from tasks.ingest.inspection import Inspected, inspect_files, model_of
from tasks.ingest.manifest import MANIFEST, Manifest, read_manifest
from tasks.ingest.messages import row_findings, warning_findings
from tasks.ingest.model import (
    DeliveryOutcome,
    DeliveryRefusedError,
    DeliveryStatus,
    FileOutcome,
    FileRefusedError,
    Finding,
    codes_of,
)
from tasks.ingest.row_rules import find_orphans, find_repeats
from tasks.ingest.rules import finding
from tasks.ingest.stage_file import (
    Connection,
    StagedFile,
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
    """

    path: Path
    work: Path
    manifest: Manifest | None
    content: str | None
    status: Literal["staged", "rejected", "noop"]
    files: tuple[FileOutcome, ...]
    findings: tuple[Finding, ...]
    stage_file: Path | None = None

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
        outcomes, findings = _Stage(home, site, manifest, begun.work, con).run(inspected)
    if not any(outcome.status == "loaded" for outcome in outcomes):
        raise DeliveryRefusedError(*remarks, *findings)
    return replace(
        begun,
        content=content,
        files=tuple(sorted(outcomes, key=lambda outcome: outcome.file)),
        findings=(*remarks, *findings),
        stage_file=stage_file,
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

    def run(self, inspected: Sequence[Inspected]) -> tuple[list[FileOutcome], list[Finding]]:
        """Stage every usable file; return outcomes and findings of all files."""
        outcomes, findings, staged = list[FileOutcome](), list[Finding](), list[StagedFile]()
        for item in inspected:
            done = self._rows(item)
            if isinstance(done, StagedFile):
                staged.append(done)
            else:
                outcomes.append(done.outcome)
                findings += done.findings
        self._judge(staged)
        loaded = _loaded(staged)
        for file in staged:
            outcome, found = self._settle(file, loaded)
            outcomes.append(outcome)
            findings += found
            self._refuse_nobody(outcome, found)
        return outcomes, [*findings, *self._across(staged)]

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

    def _judge(self, staged: Sequence[StagedFile]) -> None:
        models = [(file, file.model) for file in staged if file.model]
        for file, model in models:
            find_repeats(self.con, model, file.columns)
        if models:
            self._collect_persons(any(model.name == "person" for _, model in models))
        for file, model in models:
            if model.name != "person" and "person_id" in file.columns:
                find_orphans(self.con, model)
        loaded = _loaded(staged)
        known = self._collect_versions(loaded)
        judge_device_rows(self.con, loaded, versions_known=known)
        for file in staged:
            create_views(self.con, file)

    def _collect_persons(self, delivered: bool) -> None:
        """Fill delivery.person: who is there once this delivery is in force."""
        if delivered:
            self.con.execute(
                "insert into delivery.person select person_id from staged.person anti join "
                "(from delivery.verdict where table_name = 'person') as v on v.row = _row "
                "where _fault is null"
            )
        if delivered and self.manifest.kind == "full":
            return
        with lake_if_any(self.home, self.site) as lake:
            if lake:
                self.con.register("in_force", persons_in_force(lake, self.manifest.site_id))
                self.con.execute("insert into delivery.person select person_id from in_force")
                self.con.unregister("in_force")

    def _collect_versions(self, loaded: Loaded) -> bool:
        """Fill delivery.device_version where rows name a version; tell whether any is known."""
        if not set(VERSIONED) & set(loaded):
            return False
        delivered = "device_version" in loaded
        if delivered:
            collect_versions(self.con)
        if delivered and self.manifest.kind == "full":
            return True
        with lake_if_any(self.home, self.site) as lake:
            if lake:
                self.con.register("in_force", versions_in_force(lake, self.manifest))
                self.con.execute("insert into delivery.device_version from in_force")
                self.con.unregister("in_force")
        return delivered or bool(single(self.con, "select count(*) from delivery.device_version"))

    def _settle(self, file: StagedFile, loaded: Loaded) -> tuple[FileOutcome, list[Finding]]:
        outcome, bad = settle(self.con, file)
        width = len(file.binding.header)
        findings = [
            *file.item.findings,
            *warning_findings(file.file, warnings_of(self.con, file)),
            *device_remarks(self.con, file.table, file.file, loaded),
            *row_findings(file.file, bad, file.model, file.reading, width),
        ]
        return replace(outcome, codes=codes_of(findings)), findings

    def _refuse_nobody(self, outcome: FileOutcome, found: Sequence[Finding]) -> None:
        """A full delivery without one sound person must not replace those in force."""
        full_omop = self.manifest.kind == "full" and self.manifest.format == "omop"
        if full_omop and outcome.table == "person" and not outcome.rows_loaded:
            detail = "holds no row that can be loaded"
            nobody = finding("E_NO_ROWS", outcome.file, table="person", detail=detail)
            raise DeliveryRefusedError(nobody, *found)

    def _across(self, staged: Sequence[StagedFile]) -> Iterator[Finding]:
        """What shows only when the tables are seen together."""
        tables = {file.table for file in staged if file.model}
        sent = {entry.table for entry in self.manifest.files}
        observed = "observation_period" in tables
        if self.manifest.kind != "full" or "person" not in tables:
            return
        if "observation_period" in sent and not observed:
            return
        join = "anti join loadable.observation_period using (person_id)" if observed else ""
        count = single(self.con, f"select count(*) from loadable.person {join}")
        if count:
            yield finding("W_NO_OBS_PERIOD", count=f"{count:,}")


def _loaded(staged: Sequence[StagedFile]) -> Loaded:
    return {file.table: file.columns for file in staged if file.model}


def _refuse_form(manifest: Manifest, files: Sequence[Listed]) -> None:
    """Refuse what this version does not read."""
    if manifest.format == "fhir":
        raise _unread("format: fhir is not yet read by this version")
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
