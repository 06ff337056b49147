"""Flow `run-study`: one study on one snapshot, started by analysts or by the nightly refresh."""

from enum import Enum
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field, WithJsonSchema

from flows.artifacts import failure_shown, show_run
from flows.crashed import watched
from flows.orders.outcome import RunNotPublishedError
from flows.orders.study import study_run
from flows.steps_prefect import as_task_or_flow
from tasks.core.errors import CausewayError
from tasks.core.paths import home_from
from tasks.core.site import load_site
from tasks.core.spec import load_study, study_ids


def title(study: str) -> str:
    """Return the title of a study; a faulty file is told of when it is run."""
    try:
        return load_study(study).study.title.en
    except CausewayError:
        return "its file has faults"


Study = Enum("Study", {study: study for study in study_ids()}, type=str)  # type: ignore[misc]
Study.__doc__ = "Which study to run. " + " · ".join(f"{s}: {title(s)}" for s in study_ids())

# 0, not None, is the newest: the form then has a plain number field.
_SNAPSHOT = {
    "type": "integer",
    "minimum": 0,
    "description": "Number of a lake snapshot, to repeat an earlier state of the data; "
    "0 takes the newest accepted data. 0이면 최신 자료를 쓴다.",
}
Snapshot = Annotated[int, Field(ge=0), WithJsonSchema(_SNAPSHOT)]


def _name() -> str:
    study = flow_run.parameters["study"]
    return f"run-study/{getattr(study, 'value', study)}"


@flow(name="run-study", flow_run_name=_name, timeout_seconds=6 * 3600, validate_parameters=True)
def run_study(study: Study, snapshot: Snapshot = 0) -> dict[str, object]:
    """Run one study: cohort, estimates, gates, report. 연구 하나를 실행한다.

    A run of the same study on the same data with the same code is already published: it is
    shown again, not computed again. A gate that is missed ends the run as Failed, and nothing
    is published.
    """
    home = home_from().prepare()
    with watched(home):
        with failure_shown(study.value):
            outcome = study_run(home, str(study.value), snapshot or None, as_task_or_flow)
        show_run(outcome, load_site(home))
    if outcome.exit_code:
        raise RunNotPublishedError(outcome)
    return {**outcome.as_json(), "was_known": outcome.was_known}
