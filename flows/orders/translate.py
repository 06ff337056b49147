"""The Circe files of a study in our own language, for its protocol."""

from typing import Any

from pydantic import TypeAdapter

from tasks.cohort.circe import read_expression
from tasks.cohort.from_circe import translate
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import CirceCohort, NativeCohort
from tasks.report.voice import Translated


def translations(spec: StudySpec) -> dict[str, Translated]:
    """Return each Circe cohort that has an equal in our own language, by its id."""
    circe = [cohort for cohort in spec.cohorts if isinstance(cohort, CirceCohort)]
    found = {cohort.id: _translated(spec, cohort) for cohort in circe}
    return {name: cohort for name, cohort in found.items() if cohort is not None}


def _translated(spec: StudySpec, cohort: CirceCohort) -> Translated | None:
    made = translate(read_expression(spec.files[cohort.circe], cohort.circe))
    if made.cohort is None:
        return None
    native = TypeAdapter(NativeCohort).validate_python({"id": cohort.id, **made.cohort})
    return Translated(native, {block["id"]: _name(block) for block in made.code_lists})


def _name(block: dict[str, Any]) -> str:
    """Return the name of a concept set as ATLAS has it; the concepts of a list without one."""
    _, _, name = str(block["source"]).partition(": ")
    return name or f"{', '.join(map(str, block['concepts']))}"
