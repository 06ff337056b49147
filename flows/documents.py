"""Documents that are made from the code, so that they cannot say anything else. `make docs`."""

from flows.scenario_pages import scenario_page
from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec import study_schema
from tasks.ingest.rules import RULES, Rule

DOCS = PROJECT_ROOT / "docs"
_HEADS = {"E": "error", "W": "accepted with a warning", "I": "information"}
STUDY_CODES = {
    "E_SPEC_PARSE": "a value, a key or the YAML itself is not what a study holds there",
    "E_SPEC_IDENTIFIER": "a name, code or path holds characters that none may hold",
    "E_SPEC_LIMIT": "the file, a text, a list or its depth is beyond every sensible size",
    "E_SPEC_PATH": "a file that the study names is missing, too large, or leaves its folder",
    "E_SPEC_TEST": "a drawn person is not where the study expects",
    "W_CODES_ONE_SIDED": "a code list has codes of KCD-8 or of KCD-9, not of both",
    "W_CODES_UNUSED": "source codes of a list do not count where it is used, concepts do",
    "W_NO_VOCABULARY": "a list wants concepts below or mapped to its own; that table is not there",
    "W_CONCEPT_UNKNOWN": "a list names concepts that the delivered vocabulary does not have",
    "W_CONCEPT_NOT_STANDARD": "a list names concepts that records are not coded with",
    "W_LIST_EMPTY": "all that a list names is excluded",
}


def documents() -> dict[str, str]:
    """Return the text of every generated document, by file name in docs/."""
    return {
        "study.schema.json": study_schema(),
        "codes.md": _codes(),
        "scenarios.md": scenario_page(),
    }


def write_documents() -> None:
    """Write every generated document."""
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def _codes() -> str:
    lines = [
        "# Codes of a delivery",
        "Written by `make docs` from `tasks/ingest/rules.py`. Words in braces are filled in.",
        "",
        "| code | action | says | to fix |",
        "|---|---|---|---|",
        *(
            f"| `{code}` | {' | '.join(_cell(text) for text in _texts(rule))} |"
            for code, rule in sorted(RULES.items())
        ),
        "",
        "The quality gate adds `E_DQ_CRITICAL` (a critical expectation failed), `E_DQ_ERROR` (one",
        "could not run), `W_DQ` (a warning), or the code that an expectation of its own names.",
        "",
        "## Codes of a study",
        "Faults (exit code 11) and doubts of `causeway study check`, and doubts of a run.",
        "",
        "| code | says |",
        "|---|---|",
        *(f"| `{code}` | {_cell(says)} |" for code, says in sorted(STUDY_CODES.items())),
        "",
        f"First letter: {', '.join(f'{letter} {word}' for letter, word in _HEADS.items())}.",
    ]
    return "\n".join(lines) + "\n"


def _texts(rule: Rule) -> tuple[str, str, str]:
    return rule.action.replace("_", " "), rule.what, rule.fix


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write_documents()
