"""One study on one snapshot: pin, build the cohort, estimate, judge, protect, report, publish."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

from flows.orders.check import check
from flows.orders.sealed_elsewhere import told_elsewhere
from flows.orders.sealing import Told, is_kept, keep_sealed
from flows.orders.steps import Caller, directly, guarded
from flows.orders.study_quality import quality_of
from flows.orders.study_tables import (
    protected,
    quality_shown,
    table_deliveries,
    table_evidence,
)
from tasks.analysis.analyse import (
    Evidence,
    compare_arms,
    describe_cohorts,
    failed_primary,
    joined,
)
from tasks.cohort.build import build_cohort, tables_read
from tasks.cohort.code_lists import uncaught_lists, vocabulary_warnings
from tasks.cohort.cohorts import cohort_sql
from tasks.cohort.mapping import mapping_rows
from tasks.cohort.tables import load_tables
from tasks.core.disclosure import Released, release, threshold
from tasks.core.disclosure_notes import told_safely
from tasks.core.disclosure_quality import release_quality
from tasks.core.disclosure_rounding import bases, rounded
from tasks.core.errors import CausewayError, EstimationError, GateError, Message, NoDataError
from tasks.core.fhir import CLINICAL_FORMATS
from tasks.core.lake import (
    content_hash,
    deliveries_in_force,
    ledger_of,
    newest_snapshot,
    open_lake,
)
from tasks.core.parts import Part
from tasks.core.paths import Home
from tasks.core.results import read_results, results_frame, write_table
from tasks.core.runs import (
    RunIdentity,
    Shown,
    Workspace,
    begin,
    code_hash,
    finish,
    is_intact,
    lock_hash,
    package_versions,
    read_manifest,
    run_folder,
    run_lock,
    switch_published,
)
from tasks.core.site import SiteSettings, load_site
from tasks.core.spec import LakeSource, StudySpec, load_study, study_file
from tasks.core.spec.locks import ensure_as_locked
from tasks.core.spec.written import write_study
from tasks.core.summarised import write_summarised
from tasks.report.model import ReportInputs
from tasks.report.render import render_report

COMPARISON = "comparative effectiveness"
"""The step that compares the arms: in the Prefect UI a flow of its own."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """The data of a run: which snapshot, and the deliveries that make it up."""

    identity: RunIdentity
    deliveries: list[dict[str, object]]
    ledger: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, for a person, a program and the flow's artifacts."""

    study_id: str
    run_id: str
    status: Literal["published", "blocked", "failed"]
    snapshot_id: int
    folder: Path
    was_known: bool = False
    gates: list[dict[str, object]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    exit_code: int = 0

    @property
    def reports(self) -> list[Path]:
        """The report files of the run, HTML first."""
        return sorted(self.folder.glob("report.*"), key=lambda f: (f.suffix, f.name))

    def as_json(self) -> dict[str, object]:
        """Return the outcome in the form of `causeway run --json`."""
        published = self.status == "published"
        return {
            "study_id": self.study_id,
            "run_id": self.run_id,
            "status": self.status,
            "snapshot_id": self.snapshot_id,
            "results": str(self.folder / "results.parquet") if published else None,
            "reports": [str(file) for file in self.reports] if published else [],
            "gates": [
                {key: gate[key] for key in ("name", "verdict", "value", "threshold")}
                for gate in self.gates
            ],
            "messages": [
                {"code": m.code, "where": m.where, "what": m.what, "fix": m.fix}
                for m in self.messages
            ],
        }


class RunNotPublishedError(CausewayError):
    """A run ended blocked or failed; carries the outcome."""

    def __init__(self, outcome: RunOutcome) -> None:
        first = outcome.messages[0]
        super().__init__(first.where, first.what, first.fix, first.code)
        self.outcome = outcome
        self.exit_code = outcome.exit_code


def study_run(
    home: Home,
    study: str,
    snapshot: int | None = None,
    call: Caller = directly,
    part: Part | None = None,
) -> RunOutcome:
    """Run one study; a run that is published already is left as it is.

    Args:
        home: The working home.
        study: Id of a study, or the path of its file.
        snapshot: Snapshot of the lake to use; the newest accepted one when absent.
        call: How each step is called.
        part: Run this part alone. Its results and reports lie in a run folder of their own, and
            what is published of the study stays.

    Raises:
        CausewayError: The study is refused, there are no data, or a step failed. Gates that
            block and primary analyses that cannot be estimated do not raise: they are outcomes.
    """
    step = guarded(home, call)
    spec, site = check(study).spec, load_site(home)
    ensure_as_locked(spec, study_file(study))
    spec = spec if part is None else spec.only(part)
    pinned = step("pin snapshot", pin, home, site, spec, snapshot)
    with run_lock(home, pinned.identity.run_id):
        folder = run_folder(home, spec.study.id, pinned.identity.run_id)
        k, base = smallest_count(site, spec, pinned), rounding(site, spec, pinned)
        if is_intact(folder, k, base) and is_kept(home, folder):
            if part is None:
                switch_published(home, pinned.identity, keep_newer=snapshot is not None)
            return _known(pinned.identity, folder)
        work = begin(home, pinned.identity)
        try:
            shown: Shown = "nowhere" if part else "if_newest" if snapshot else "always"
            return _do(home, site, spec, pinned, work, step, shown)
        except CausewayError as exc:
            safe = told_safely(exc, k)
            _close_failed(home, pinned.identity, work, safe)
            raise safe from None


def run_here(home: Home, study: str, snapshot: int | None, part: Part | None) -> RunOutcome:
    """Run one study, or a part of it, in this process."""
    return study_run(home, study, snapshot, part=part)


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


def cohort(home: Home, site: SiteSettings, spec: StudySpec, snapshot: int, database: Path) -> int:
    """Build the cohort tables in the workspace; return the number of people."""
    with open_lake(home, site, snapshot=snapshot, workspace=database) as con:
        load_tables(con, spec)
        return build_cohort(con, spec)


def evidence(
    home: Home, site: SiteSettings, spec: StudySpec, snapshot: int, database: Path
) -> Evidence:
    """Describe cohorts and analyse registry tables: all but the comparison of the arms."""
    with open_lake(home, site, snapshot=snapshot, workspace=database) as con:
        found = describe_cohorts(con, spec)
        rows = mapping_rows(con, tables_read(spec)) if spec.lake else []
        doubts = _doubts(con, spec) if spec.lake else []
        tables = table_evidence(con, spec)
    return replace(found, rows=found.rows + rows, messages=doubts + found.messages, tables=tables)


def comparison(
    home: Home, site: SiteSettings, spec: StudySpec, snapshot: int, database: Path
) -> Evidence:
    """Compare the arms of the study."""
    with open_lake(home, site, snapshot=snapshot, workspace=database) as con:
        return compare_arms(con, spec)


def _doubts(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[Message]:
    """Return what is doubtful about the code lists of a study on these data."""
    return [*vocabulary_warnings(con, spec), *uncaught_lists(con, spec, tables_read(spec))]


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


def protect(found: Evidence, k: int | None, base: int = 0) -> Released:
    """Withhold what may not leave, and round the counts of what may."""
    gates = [gate.as_dict() for gate in found.all_gates]
    released = release(found.rows, found.attrition, found.balance, gates, k)
    return rounded(protected(released, found.tables, k), base)


def write_results(
    spec: StudySpec,
    pinned: Pinned,
    released: Released,
    quality: list[dict[str, object]],
    folder: Path,
) -> None:
    """Write results, attrition, balance, the SQL of cohorts and the quality verdicts of a run."""
    identity = pinned.identity
    for name, text in cohort_sql(spec).items():
        file = folder / "sql" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    frame = results_frame(
        released.rows,
        {
            "study_id": identity.study_id,
            "spec_hash": identity.spec_hash,
            "run_id": identity.run_id,
            "snapshot_id": identity.snapshot_id,
            "data_cutoff": identity.data_cutoff,
        },
    )
    write_table(frame, folder / "results.parquet")
    write_summarised(frame, folder / "results.csv")
    write_table(released.attrition, folder / "attrition.parquet")
    write_table(released.balance, folder / "balance.parquet")
    (folder / "quality").mkdir()
    for verdict in quality:
        text = json.dumps(verdict, indent=2, ensure_ascii=False, sort_keys=True)
        name = f"{verdict['site_id']}.{verdict['delivery_id']}.json"
        (folder / "quality" / name).write_text(text + "\n", encoding="utf-8")


def write_report(
    spec: StudySpec,
    pinned: Pinned,
    quality: list[dict[str, object]],
    gates: list[dict[str, object]],
    k: int | None,
    folder: Path,
) -> list[Path]:
    """Render the report of a run from the tables in its folder."""
    inputs = ReportInputs(
        spec=spec,
        results=read_results(folder),
        attrition=pl.read_parquet(folder / "attrition.parquet"),
        balance=pl.read_parquet(folder / "balance.parquet"),
        quality=quality,
        deliveries=pinned.deliveries,
        gates=gates,
        provenance=provenance(pinned.identity, k),
    )
    return render_report(inputs, folder)


def provenance(identity: RunIdentity, k: int | None) -> dict[str, str]:
    """Return what the footer of a report names: hashes and versions, no clock and no host."""
    return {
        "run_id": identity.run_id,
        "spec_hash": identity.spec_hash,
        "content_hash": identity.content_hash,
        "snapshot_id": str(identity.snapshot_id),
        "data_cutoff": identity.data_cutoff,
        "code_hash": identity.code_hash,
        "lock_hash": lock_hash(),
        **({} if k is None else {"disclosure_threshold": str(k)}),
        **{f"package {name}": number for name, number in package_versions().items()},
    }


def _do(
    home: Home,
    site: SiteSettings,
    spec: StudySpec,
    pinned: Pinned,
    work: Workspace,
    step: Caller,
    shown: Shown,
) -> RunOutcome:
    identity = pinned.identity
    place = (home, site, spec, identity.snapshot_id, work.database)
    step("build cohort", cohort, *place)
    found: Evidence = step("estimate", evidence, *place)
    if spec.has_trial:
        found = joined([found, step(COMPARISON, comparison, *place)])
    k = smallest_count(site, spec, pinned)
    base = rounding(site, spec, pinned)
    safe: Released = step("protect", protect, found, k, base)
    told: Told = step("seal", keep_sealed, home, spec, identity, found, safe, k)
    released, gates = told.released, told.released.gates
    if stopped := _stopped(spec, found, told):
        return _end(home, pinned, work, told, told_safely(stopped, k))
    quality = quality_shown(
        release_quality(quality_of(pinned.deliveries, pinned.ledger), k), spec, released
    )
    step("write results", write_results, spec, pinned, released, quality, work.outputs)
    write_study(spec, work.outputs)
    step("write report", write_report, spec, pinned, quality, gates, k, work.outputs)
    messages = [*found.messages, *released.messages]
    policy = {"disclosure_threshold": k, **({"round_counts_to": base} if base else {})}
    details = {**_details(pinned, gates, messages, told), **policy}
    publish = partial(finish, shown=shown)
    folder = step("publish", publish, home, identity, work, "published", details)
    doubts = told_elsewhere(home, identity, told.marks, seals=bool(told.sealed))
    return RunOutcome(
        identity.study_id,
        identity.run_id,
        "published",
        identity.snapshot_id,
        folder,
        gates=gates,
        messages=[*messages, *doubts],
    )


def _stopped(spec: StudySpec, found: Evidence, told: Told) -> CausewayError | None:
    """Return why this evidence may not be published, if so; with values that may be shown.

    Of an analysis that is sealed not even that it cannot be estimated is told.
    """
    gates = told.released.gates
    missed = [shown for gate, shown in zip(found.all_gates, gates, strict=True) if gate.blocks]
    if missed:
        what = ", ".join(
            f"{gate['name']} {_shown(gate['value'])} (threshold {_shown(gate['threshold'])})"
            for gate in missed
        )
        fix = "read the gates in manifest.json; change the design or the data, not the gate."
        return GateError(spec.study.id, f"gate missed: {what}", fix)
    rows = [row for row in found.all_rows if row["analysis_id"] not in told.blinded]
    if failed := failed_primary(rows):
        fix = "read the note; the design or the data cannot support this analysis."
        return EstimationError(str(failed[0]["analysis_id"]), str(failed[0]["note"]), fix)
    return None


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "not shown"


def _end(
    home: Home,
    pinned: Pinned,
    work: Workspace,
    told: Told,
    why: CausewayError,
) -> RunOutcome:
    identity, gates = pinned.identity, told.released.gates
    status: Literal["blocked", "failed"] = "blocked" if isinstance(why, GateError) else "failed"
    messages = list(why.messages)
    details = _details(pinned, gates, messages, told)
    folder = finish(home, identity, work, status, details)
    return RunOutcome(
        identity.study_id,
        identity.run_id,
        status,
        identity.snapshot_id,
        folder,
        gates=gates,
        messages=messages,
        exit_code=why.exit_code,
    )


def _close_failed(home: Home, identity: RunIdentity, work: Workspace, exc: CausewayError) -> None:
    shutil.rmtree(work.outputs)
    work.outputs.mkdir()
    finish(home, identity, work, "failed", {"messages": [str(m) for m in exc.messages]})


def _known(identity: RunIdentity, folder: Path) -> RunOutcome:
    manifest = read_manifest(folder) or {}
    gates = manifest.get("gates")
    return RunOutcome(
        identity.study_id,
        identity.run_id,
        "published",
        identity.snapshot_id,
        folder,
        was_known=True,
        gates=gates if isinstance(gates, list) else [],
    )


def _details(
    pinned: Pinned, gates: list[dict[str, object]], messages: list[Message], told: Told
) -> Mapping[str, object]:
    waiting = {"sealed": told.sealed.as_list()} if told.sealed else {}
    return {
        **waiting,
        "outcomes": list(told.marks),
        "deliveries": [
            {
                "delivery_id": delivery["delivery_id"],
                "site_id": delivery["site_id"],
                "sha256": delivery["content_sha256"],
            }
            for delivery in pinned.deliveries
        ],
        "gates": gates,
        "seeds": {},
        "messages": [
            {"code": m.code, "where": m.where, "what": m.what, "fix": m.fix} for m in messages
        ],
    }
