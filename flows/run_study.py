"""Flow `run-study`: one study on one snapshot, started by analysts or by the nightly refresh."""

from enum import Enum
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field, WithJsonSchema

from flows.artifacts import show_run
from flows.crashed import watched
from flows.steps_prefect import as_task
from flows.work.study import RunNotPublishedError, study_run
from tasks.core.paths import home_from
from tasks.core.site import load_site
from tasks.core.spec import study_ids

Study = Enum("Study", {study: study for study in study_ids()}, type=str)  # type: ignore[misc]
Study.__doc__ = "Which study to run. - **aaa**: bbb\n- **ccc**: ddd"
Snapshot = Annotated[
    int | None, Field(ge=1), WithJsonSchema({"type": "integer", "minimum": 1})
]

def _name() -> str:
    study = flow_run.parameters["study"]
    return f"run-study/{getattr(study, 'value', study)}"


@flow(name="run-study", flow_run_name=_name, timeout_seconds=6 * 3600, validate_parameters=True)
def run_study(study: Study, snapshot: Snapshot = None) -> dict[str, object]:
    """Run one study: cohort, estimates, gates, report. 연구 하나를 실행한다.

    A run of the same study on the same data with the same code is already published: it is
    shown again, not computed again. A gate that is missed ends the run as Failed, and nothing
    is published.

    Args:
        snapshot: Snapshot of the lake; the newest accepted one when empty.
    """
    home = home_from().prepare()
    with watched(home):
        outcome = study_run(home, str(study.value), snapshot, as_task)
    show_run(outcome, load_site(home))
    if outcome.exit_code:
        raise RunNotPublishedError(outcome)
    return outcome.as_json()
