"""Documents that are made from the code, so that they cannot say anything else. `make docs`."""

from pathlib import Path

import yaml

from flows.scenario_pages import scenario_page
from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec import study_schema
from tasks.ingest.rules import RULES, Rule

DOCS = PROJECT_ROOT / "docs"
_HEADS = {"E": "error", "W": "accepted with a warning", "I": "information"}
STUDY_CODES: dict[str, str] = yaml.safe_load(
    Path(__file__).with_name("study_codes.yaml").read_text(encoding="utf-8")
)
"""What each code of a study says."""


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
