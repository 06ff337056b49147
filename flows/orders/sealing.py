"""What a run keeps sealed, and how somebody opens it: never without a line in the audit log."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from tasks.analysis.analyse import Evidence
from tasks.core.audit import record
from tasks.core.disclosure import Released, is_small
from tasks.core.errors import Message, UsageError
from tasks.core.outcome_marks import outcome_marks
from tasks.core.paths import Home
from tasks.core.results import SCHEMA, results_frame, write_table
from tasks.core.runs import RunIdentity, published_run_id, read_manifest
from tasks.core.sealing import Row, Sealed, sealed_by, split
from tasks.core.spec import StudySpec, load_study
from tasks.core.spec.gates import SEALING
from tasks.core.vault import seal, sealed_file, unseal

_FIX = "read docs/gates.md; numbers are opened by `causeway unseal`, which the audit log notes."


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What may be published now, with blinded rows for the rest, and what stays sealed."""

    released: Released
    sealed: Sealed
    blinded: tuple[str, ...]
    marks: tuple[str, ...] = ()


def keep_sealed(
    home: Home,
    spec: StudySpec,
    identity: RunIdentity,
    found: Evidence,
    released: Released,
    k: int | None,
) -> Told:
    """Seal every number that may not be told yet; return what may be published.

    Args:
        home: The working home.
        spec: The study.
        identity: The run.
        found: What the study found, before anything is withheld.
        released: The same after disclosure control.
        k: Smallest count that may be shown.
    """
    gates = [gate.as_dict() for gate in found.all_gates]
    gates += _of_the_whole_study(spec, found)
    sealed = sealed_by(spec, gates, identity.data_cutoff, found.all_rows)
    if k is not None:
        sealed = replace(sealed, fractions=_large(spec, sealed, k))
    rows, kept = split(spec, released.rows, sealed)
    file = sealed_file(home, identity.study_id, identity.run_id)
    if kept:
        seal(home, identity.study_id, identity.run_id, _content(kept, identity))
    else:
        file.unlink(missing_ok=True)
    ids = {str(row["analysis_id"]) for row in rows if row["status"] == "blinded"}
    told = [message for message in released.messages if message.where not in ids]
    blinded = tuple(analysis.id for analysis in spec.analyses if analysis.id in ids)
    messages = [*told, *_messages(sealed, blinded), *_told_all_the_same(spec, sealed)]
    marks = tuple(outcome_marks(spec))
    return Told(replace(released, rows=rows, messages=messages), sealed, blinded, marks)


def _of_the_whole_study(spec: StudySpec, found: Evidence) -> list[dict[str, object]]:
    """Return the gates that no analysis declares and that block: they bind all but replications."""
    everything = [a.id for a in spec.analyses if a.role != "replication"]
    return [
        {**gate.as_dict(), "analyses": everything}
        for gate in found.all_gates
        if gate.blocks and not gate.analyses
    ]


def _large(spec: StudySpec, sealed: Sealed, k: int) -> dict[str, float]:
    """Return the fractions that tell about no few events, to two places."""
    planned = {a.id: a.planned.events for a in spec.analyses if a.planned and a.planned.events}
    return {
        name: round(fraction, 2)
        for name, fraction in sealed.fractions.items()
        if not is_small(round(fraction * planned[name]), k)
    }


def _messages(sealed: Sealed, blinded: Sequence[str]) -> list[Message]:
    """Say which analyses are sealed and why: first those that wait themselves."""
    alone = [
        Message("W_SEALED", f"analysis {name}", f"sealed: {why}", _FIX)
        for name, why in sorted(sealed.why.items())
    ]
    others = [name for name in blinded if name not in sealed.why]
    if not others:
        return alone
    what = f"the same outcome of the same persons is sealed with {', '.join(sorted(sealed.why))}"
    return [*alone, Message("W_SEALED", f"analyses {', '.join(others)}", what, _FIX)]


def _told_all_the_same(spec: StudySpec, sealed: Sealed) -> list[Message]:
    """Say which analyses somebody decided to tell while others wait."""
    what = f"is told while {', '.join(sorted(sealed.why))} waits"
    return [
        Message(
            "W_SEALING_WAIVED",
            f"analysis {waiver.analysis}",
            f"{what}: {waiver.by}, {waiver.date.isoformat()}: {waiver.reason}",
            "nothing to do where that is meant; else remove the waiver of sealing.",
        )
        for waiver in spec.waivers
        if sealed and waiver.gate == SEALING
    ]


def _identity(identity: RunIdentity) -> dict[str, object]:
    return {
        "study_id": identity.study_id,
        "spec_hash": identity.spec_hash,
        "run_id": identity.run_id,
        "snapshot_id": identity.snapshot_id,
        "data_cutoff": identity.data_cutoff,
    }


def _content(rows: Sequence[Row], identity: RunIdentity) -> bytes:
    frame = results_frame(rows, _identity(identity))
    return json.dumps(frame.to_dicts(), ensure_ascii=False).encode()


def is_kept(home: Home, folder: Path) -> bool:
    """Whether what a published run sealed can still be opened."""
    manifest = read_manifest(folder) or {}
    if not manifest.get("sealed"):
        return True
    return sealed_file(home, str(manifest["study_id"]), str(manifest["run_id"])).is_file()


@dataclass(frozen=True, slots=True)
class Opened:
    """Numbers that were sealed: where they lie now."""

    study_id: str
    run_id: str
    rows: int
    folder: Path

    def as_json(self) -> dict[str, object]:
        """Return the outcome in the form of `causeway unseal --json`."""
        return {
            "study_id": self.study_id,
            "run_id": self.run_id,
            "rows": self.rows,
            "folder": str(self.folder),
        }


def open_sealed(home: Home, study: str, run: str | None, by: str, reason: str) -> Opened:
    """Write the sealed numbers of a run into the restricted store; the audit log says who and why.

    Args:
        home: The working home.
        study: Id of a study, or the path of its file.
        run: The run; the published one when absent, else the only one that has something sealed.
        by: Who opens it.
        reason: Why.

    Raises:
        UsageError: There is no such run, or nobody or nothing is named.
        SealError: The key is missing, or the sealed file was changed.
    """
    study_id = _study_id(study)
    by, reason = by.strip(), reason.strip()
    if not by or len(reason) < 10:
        fix = 'write --by "Name" --reason "…" (ten letters or more).'
        raise UsageError("unseal", "says neither who opens it nor why", fix)
    run_id = run or _only_run(home, study_id)
    content = unseal(home, study_id, run_id)
    # The line comes first: numbers that are out have always been noted.
    record(home, "unsealed", study_id=study_id, run_id=run_id, by=by, reason=reason)
    rows = json.loads(content)
    folder = home.restricted / "unsealed" / study_id / run_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    frame = pl.DataFrame(rows, schema=SCHEMA)
    write_table(frame, folder / "results.parquet")
    text = io.StringIO()
    frame.write_csv(text)
    (folder / "results.csv").write_text(text.getvalue(), encoding="utf-8")
    return Opened(study_id, run_id, frame.height, folder)


def _study_id(study: str) -> str:
    return load_study(study).study.id


def _only_run(home: Home, study_id: str) -> str:
    published = published_run_id(home, study_id)
    if published and sealed_file(home, study_id, published).is_file():
        return published
    found = sorted((home.restricted / "sealed" / study_id).glob("*.json"))
    if len(found) != 1:
        names = ", ".join(file.stem for file in found) or "none"
        what = f"runs with something sealed: {names}"
        raise UsageError(study_id, what, "name one: --run RUN_ID.")
    return found[0].stem
