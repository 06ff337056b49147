"""The command line's runs as flow runs, when PREFECT_API_URL names a server."""

import os

from flows.run_study import Study, run_study
from flows.work.study import RunNotPublishedError, RunOutcome, study_run
from tasks.core.errors import UsageError
from tasks.core.paths import Home
from tasks.core.spec import study_ids


def run_through_prefect(home: Home, study: str, snapshot: int | None) -> RunOutcome:
    """Run a study as a flow run of the server that PREFECT_API_URL names, in this process.

    Raises:
        UsageError: The study is not in data/studies; a server only knows those.
    """
    if study not in study_ids():
        fix = "unset PREFECT_API_URL to run a study from a file of your own."
        raise UsageError(study, "is not one of the studies that the server knows", fix)
    os.environ["CAUSEWAY_HOME"] = str(home.root)
    try:
        run_study(Study(study), snapshot)
    except RunNotPublishedError as exc:
        return exc.outcome
    return study_run(home, study, snapshot)
