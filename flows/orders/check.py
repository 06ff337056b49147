"""Look at a study file as closely as can be done without data."""

from dataclasses import dataclass

from tasks.cohort.cohorts import tables_of_cohorts
from tasks.cohort.expected import surprises, tests_of
from tasks.core.errors import Message, SpecError
from tasks.core.spec import StudySpec, check_study, study_file
from tasks.core.strict_yaml import read_yaml


@dataclass(frozen=True, slots=True)
class Checked:
    """A study that is valid, what is doubtful about it, and how many drawn persons agreed."""

    spec: StudySpec
    warnings: list[Message]
    persons: int


def check(study: str) -> Checked:
    """Check a study: its file, the files that it names, and its drawn persons.

    Raises:
        UsageError: There is no such study.
        SpecError: The study is refused; every fault is named with file, line, key and fix.
    """
    spec, warnings = check_study(study)
    tables_of_cohorts(spec)
    document = read_yaml(study_file(study))
    faults = [
        Message(
            "E_SPEC_TEST",
            f"{document.name}:{document.line_of(found.path)}",
            f"{'.'.join(map(str, found.path))}: {found.what}",
            "correct the cohort, or what is expected of the person.",
        )
        for found in surprises(spec)
    ]
    if faults:
        raise SpecError(faults)
    return Checked(spec, warnings, tests_of(spec))
