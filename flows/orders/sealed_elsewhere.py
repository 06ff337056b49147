"""Whether one study tells what another one keeps sealed: seen in the manifests of their runs."""

from collections.abc import Iterable, Iterator

from tasks.core.audit import record
from tasks.core.errors import Message
from tasks.core.paths import Home
from tasks.core.runs import RunIdentity, published_run_id, read_manifest, run_folder

Manifest = dict[str, object]
CODE = "W_SEALED_ELSEWHERE"
_FIX = "agree with who answers for the other study; read docs/gates.md, Other studies."


def told_elsewhere(
    home: Home, identity: RunIdentity, marks: Iterable[str], *, seals: bool
) -> list[Message]:
    """Return a warning for each study that seals what this run tells, or tells what it seals.

    Each warning is a line of the audit log too. It is no part of the manifest, which does not
    depend on other studies.

    Args:
        home: The working home.
        identity: This run, which is published.
        marks: The marks of its outcomes.
        seals: Whether this run keeps an outcome sealed.
    """
    messages = []
    for other in _others(home, identity):
        is_same = set(marks) & set(_marks(other))
        if not is_same or seals == bool(other.get("sealed")):
            continue
        if seals and other["status"] != "published":
            continue
        messages.append(_message(identity, other, seals=seals))
        record(
            home,
            "sealed-outcome-told",
            code=CODE,
            study_id=identity.study_id,
            run_id=identity.run_id,
            other_study=str(other["study_id"]),
            other_run=str(other["run_id"]),
        )
    return messages


def _others(home: Home, identity: RunIdentity) -> Iterator[Manifest]:
    """Yield the run that counts of every other study, and runs of earlier versions of this one."""
    for folder in sorted(path for path in home.runs.glob("*") if path.is_dir()):
        runs = [found for run in sorted(folder.iterdir()) if (found := read_manifest(run))]
        if folder.name == identity.study_id:
            earlier = [run for run in runs if run["spec_hash"] != identity.spec_hash]
            yield from [run for run in earlier if run.get("sealed")][:1]
            continue
        shown = published_run_id(home, folder.name)
        published = read_manifest(run_folder(home, folder.name, shown)) if shown else None
        yield from [published] if published else [run for run in runs if run.get("sealed")][:1]


def _message(identity: RunIdentity, other: Manifest, *, seals: bool) -> Message:
    name = str(other["study_id"])
    if seals:
        what = "has published the outcome by arm that this run keeps sealed"
    elif name == identity.study_id:
        what = f"kept this outcome sealed in version {other['study_version']}, and tells it now"
    else:
        what = "keeps the outcome sealed that this run tells by arm"
    return Message(CODE, f"study {name}", what, _FIX)


def _marks(manifest: Manifest) -> list[str]:
    found = manifest.get("outcomes")
    return [str(mark) for mark in found] if isinstance(found, list) else []
