"""Flow `comparative-effectiveness`: the comparison of a study's arms, run alone."""

from enum import Enum

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import failure_shown, show_run
from flows.crashed import watched
from flows.orders.outcome import RunNotPublishedError
from flows.orders.study import study_run
from flows.run_study import Snapshot, title
from flows.steps_prefect import as_task
from tasks.core.errors import CausewayError
from tasks.core.paths import home_from
from tasks.core.site import load_site
from tasks.core.spec import load_study, study_ids


def _compares(study: str) -> bool:
    """Whether a study compares two arms; a faulty file is told of by run-study."""
    try:
        return load_study(study).has_trial
    except CausewayError:
        return False


_COMPARING = [study for study in study_ids() if _compares(study)]
ComparedStudy = Enum("ComparedStudy", {study: study for study in _COMPARING}, type=str)  # type: ignore[misc]
ComparedStudy.__doc__ = "Whose arms to compare. " + " · ".join(
    f"{study}: {title(study)}" for study in _COMPARING
)


def _name() -> str:
    study = flow_run.parameters["study"]
    return f"comparative-effectiveness/{getattr(study, 'value', study)}"


@flow(
    name="comparative-effectiveness",
    flow_run_name=_name,
    timeout_seconds=6 * 3600,
    validate_parameters=True,
)
def comparative_effectiveness(study: ComparedStudy, snapshot: Snapshot = 0) -> dict[str, object]:
    """Compare the arms of one study, and nothing else of it. 두 군의 비교만 실행한다.

    Results and reports lie in a run folder of their own; what is published of the study stays.
    Gates and sealing are those of the whole study.
    """
    home = home_from().prepare()
    with watched(home):
        with failure_shown(study.value):
            outcome = study_run(
                home, str(study.value), snapshot or None, as_task, "comparative-effectiveness"
            )
        show_run(outcome, load_site(home))
    if outcome.exit_code:
        raise RunNotPublishedError(outcome)
    return {**outcome.as_json(), "was_known": outcome.was_known}
