"""The command line's runs as flow runs, when PREFECT_API_URL names a server."""

import os
from typing import Any

from flows.comparative_effectiveness import ComparedStudy, comparative_effectiveness
from flows.orders.outcome import RunNotPublishedError, RunOutcome
from flows.run_study import Study, run_study
from tasks.core.errors import Message, UsageError
from tasks.core.parts import Part
from tasks.core.paths import Home
from tasks.core.runs import run_folder
from tasks.core.spec import study_ids


def run_through_prefect(
    home: Home, study: str, snapshot: int | None, part: Part | None
) -> RunOutcome:
    """Run a study as a flow run of the server that PREFECT_API_URL names, in this process.

    Raises:
        UsageError: The study is not in data/studies; a server only knows those.
        CausewayError: As `study_run`.
    """
    if study not in study_ids():
        fix = "unset PREFECT_API_URL to run a study from a file of your own."
        raise UsageError(study, "is not one of the studies that the server knows", fix)
    os.environ["CAUSEWAY_HOME"] = str(home.root)
    try:
        if part is None:
            return _outcome(home, run_study(Study(study), snapshot or 0))
        return _outcome(home, comparative_effectiveness(_compared(study, part), snapshot or 0))
    except RunNotPublishedError as exc:
        return exc.outcome


def _compared(study: str, part: Part) -> ComparedStudy:
    if study not in {member.value for member in ComparedStudy}:
        fix = "name a study with a design, or leave the part out."
        raise UsageError(study, f"has no part {part}", fix)
    return ComparedStudy(study)


def _outcome(home: Home, told: dict[str, Any]) -> RunOutcome:
    """Return the outcome of a published run from what its flow returned."""
    return RunOutcome(
        told["study_id"],
        told["run_id"],
        told["status"],
        told["snapshot_id"],
        run_folder(home, told["study_id"], told["run_id"]),
        was_known=told["was_known"],
        gates=told["gates"],
        messages=[Message(**message) for message in told["messages"]],
    )
