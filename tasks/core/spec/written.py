"""The study that a run rests on, written into its folder so that it can be read and run again."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tasks.core.errors import CausewayError
from tasks.core.spec.load import load_study
from tasks.core.spec.whole import StudySpec

FOLDER = "study"


class _Writer(yaml.SafeDumper):
    """YAML as the strict reader wants it: texts in quotes, numbers in full, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - every value is written out
        return True


def _text(writer: _Writer, value: str) -> yaml.ScalarNode:
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style='"')


def _number(writer: _Writer, value: float) -> yaml.ScalarNode:
    digits = format(Decimal(repr(value)), "f")
    return writer.represent_scalar(
        "tag:yaml.org,2002:float", digits if "." in digits else f"{digits}.0"
    )


_Writer.add_representer(str, _text)
_Writer.add_representer(float, _number)


def study_text(spec: StudySpec) -> str:
    """Return a study as YAML: every key that it gives, in the order of the schema."""
    said = spec.model_dump(mode="python", exclude_unset=True)
    return yaml.dump(said, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=10_000)


def write_study(spec: StudySpec, folder: Path) -> Path:
    """Write a study, and every file that it names, below `folder`/study; return its file."""
    place = folder / FOLDER
    for name, text in {f"{spec.study.id}.yaml": study_text(spec), **spec.files}.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    return place / f"{spec.study.id}.yaml"


def written_study(folder: Path) -> StudySpec | None:
    """Return the study that a run folder holds; None where it holds none that this code reads."""
    for file in sorted((folder / FOLDER).glob("*.yaml")):
        try:
            return load_study(str(file))
        except CausewayError:
            return None
    return None
