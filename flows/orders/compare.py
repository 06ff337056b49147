"""Compare two versions of a study: what changed in protocol terms, and what it did to counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.core.errors import UsageError
from tasks.core.paths import Home
from tasks.core.runs import published_run_id, read_manifest, run_folder
from tasks.core.spec import StudySpec, load_study
from tasks.core.spec.written import written_study
from tasks.report.changes import Change, changes
from tasks.report.model import Language

_FIX = "name a study, the path of its file, STUDY@RUN_ID, or a run folder."
_GROUPS = ("arm", "cohort_id")
_COUNTS = ("remaining", "persons")


@dataclass(frozen=True, slots=True)
class Side:
    """One version of a study, and the newest published run of it, if it was run."""

    name: str
    spec: StudySpec
    run: Path | None

    def as_json(self) -> dict[str, object]:
        """Return the version as plain values."""
        study = self.spec.study
        return {
            "study_id": study.id,
            "version": study.version,
            "spec_hash": self.spec.spec_hash,
            "run_id": self.run.name if self.run else None,
            "snapshot_id": (read_manifest(self.run) or {}).get("snapshot_id") if self.run else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side; `counts` is empty unless both were run."""

    before: Side
    after: Side
    changes: list[Change]
    counts: list[dict[str, object]]

    @property
    def is_same_data(self) -> bool:
        """Whether both runs read the same rows."""
        runs = [side.run for side in (self.before, self.after)]
        hashes = [(read_manifest(run) or {}).get("content_hash") for run in runs if run]
        return len(set(hashes)) == 1

    def as_json(self) -> dict[str, object]:
        """Return the comparison in the form of `study diff --json`."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "changes": [change.as_json() for change in self.changes],
            "counts": self.counts,
            "same_data": self.is_same_data if self.counts else None,
        }


def compare(home: Home, before: str, after: str, language: Language = "en") -> Comparison:
    """Compare two versions of a study, each an id, a file, STUDY@RUN_ID or a run folder.

    Raises:
        UsageError: There is no such study or run, or the run holds no study that can be read.
        SpecError: A file is refused.
    """
    first, second = _side(home, before), _side(home, after)
    counts = []
    if first.run and second.run and first.run != second.run:
        counts = _counts(first.run, second.run, language)
    return Comparison(first, second, changes(first.spec, second.spec, language), counts)


def published_name(home: Home, study: str) -> str:
    """Return STUDY@RUN_ID of the published run of a study.

    Raises:
        UsageError: Nothing of it is published.
    """
    study_id = load_study(study).study.id
    run_id = published_run_id(home, study_id)
    if run_id is None:
        raise UsageError(study_id, "has no published run", "run it: `causeway run`.")
    return f"{study_id}@{run_id}"


def _side(home: Home, name: str) -> Side:
    folder = _run_folder(home, name)
    if folder is None:
        spec = load_study(name)
        return Side(name, spec, newest_run(home, spec))
    written = written_study(folder)
    if written is None:
        raise UsageError(name, "holds no study that this version can read", _FIX)
    return Side(name, written, folder if _is_published(folder) else None)


def _run_folder(home: Home, name: str) -> Path | None:
    if (Path(name) / "manifest.json").is_file():
        return Path(name).resolve()
    study_id, at, run_id = name.rpartition("@")
    if not at:
        return None
    folder = run_folder(home, study_id, run_id)
    if not (folder / "manifest.json").is_file():
        raise UsageError(name, "there is no such run in this home", _FIX)
    return folder


def _is_published(folder: Path) -> bool:
    return (read_manifest(folder) or {}).get("status") == "published"


def newest_run(home: Home, spec: StudySpec) -> Path | None:
    """Return the newest published run of exactly this specification: on the newest snapshot."""
    found = []
    for file in sorted((home.runs / spec.study.id).glob("*/manifest.json")):
        manifest = read_manifest(file.parent) or {}
        if manifest.get("spec_hash") == spec.spec_hash and manifest.get("status") == "published":
            found.append((int(str(manifest["snapshot_id"])), file.stat().st_mtime_ns, file.parent))
    return max(found)[2] if found else None


def _counts(before: Path, after: Path, language: Language) -> list[dict[str, object]]:
    """Return what remained after each step in both runs; null where withheld or not a step."""
    old, new = _remaining(before, language), _remaining(after, language)
    keys = [*new, *(key for key in old if key not in new)]
    return [
        {
            "group": group,
            "step": (new.get(key) or old[key])["label"],
            "before": old[key]["shown"] if key in old else None,
            "after": new[key]["shown"] if key in new else None,
            "change": _change(
                *(side[key]["shown"] if key in side else None for side in (old, new))
            ),
        }
        for key in sorted(keys, key=lambda key: key[0])
        for group in [key[0]]
    ]


def _change(before: object, after: object) -> int | None:
    """Return by how much a count grew; None where a side is withheld or has no such step."""
    is_known = isinstance(before, int) and isinstance(after, int)
    return after - before if is_known else None  # type: ignore[operator]


def is_unchanged(row: Mapping[str, object]) -> bool:
    """Whether a count is known to be the same on both sides."""
    return row["change"] == 0


def _remaining(run: Path, language: Language) -> dict[tuple[str, str], dict[str, Any]]:
    file = run / "attrition.parquet"
    rows = list(_rows(pl.read_parquet(file), language)) if file.is_file() else []
    return {(row["group"], row["step_id"]): row for row in rows}


def _rows(attrition: pl.DataFrame, language: Language) -> Iterator[dict[str, Any]]:
    """Yield the steps of arms or cohorts; a count that was withheld is shown as such."""
    group = next((name for name in _GROUPS if name in attrition.columns), "")
    counted = next((name for name in _COUNTS if name in attrition.columns), "")
    for row in attrition.to_dicts() if group and counted else []:
        is_shown = row.get("status") in {None, "ok"}
        yield {
            "group": str(row[group]),
            "step_id": str(row.get("step_id") or row.get("step")),
            "label": str(row.get(f"label_{language}") or row.get("step_id")),
            "shown": row[counted] if is_shown else "withheld",
        }
