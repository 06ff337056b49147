"""One study on one snapshot: pin, build the cohort, estimate, judge, protect, report, publish."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import duckdb

from flows.orders.check import check
from flows.orders.outcome import RunOutcome
from flows.orders.pinned import Pinned, pin, rounding, smallest_count
from flows.orders.run_files import write_report, write_results
from flows.orders.sealed_elsewhere import told_elsewhere
from flows.orders.sealing import Told, is_kept, keep_sealed
from flows.orders.steps import Caller, directly, guarded
from flows.orders.study_quality import quality_of
from flows.orders.study_tables import (
    protected,
    quality_shown,
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
from tasks.cohort.mapping import mapping_rows
from tasks.cohort.tables import load_tables
from tasks.core.disclosure import Released, release
from tasks.core.disclosure_notes import told_safely
from tasks.core.disclosure_quality import release_quality
from tasks.core.disclosure_rounding import rounded
from tasks.core.errors import CausewayError, EstimationError, GateError, Message
from tasks.core.lake import (
    open_lake,
)
from tasks.core.parts import Part
from tasks.core.paths import Home
from tasks.core.runs import (
    RunIdentity,
    Shown,
    Workspace,
    begin,
    finish,
    is_intact,
    read_manifest,
    run_folder,
    run_lock,
    switch_published,
)
from tasks.core.site import SiteSettings, load_site
from tasks.core.spec import StudySpec, study_file
from tasks.core.spec.locks import ensure_as_locked
from tasks.core.spec.written import write_study

COMPARISON = "comparative effectiveness"
"""The step that compares the arms: in the Prefect UI a flow of its own."""


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


def protect(found: Evidence, k: int | None, base: int = 0) -> Released:
    """Withhold what may not leave, and round the counts of what may."""
    gates = [gate.as_dict() for gate in found.all_gates]
    released = release(found.rows, found.attrition, found.balance, gates, k)
    return rounded(protected(released, found.tables, k), base)


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
