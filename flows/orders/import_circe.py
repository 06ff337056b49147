"""A study file from a cohort definition of ATLAS: in our own language where that says the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.cohort.circe import read_expression
from tasks.cohort.circe.read import MAX_BYTES
from tasks.cohort.circe.slugs import slugs
from tasks.cohort.from_circe import Translation, translate
from tasks.core.errors import Message, SpecError, UsageError
from tasks.core.spec import check_study

_BOTH = """\
# From {file}: everything in it has its equal in our own language, and stands twice:
# {native} is written in the study, {circe} is the file itself. Keep the one that you want.
"""
_KEPT = """\
# From {file}, which stays as it is. In our own language there is no equal of
{kept}
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """A study file made from a Circe expression.

    Attributes:
        text: The file.
        is_native: Whether the cohort stands in it in our own language.
        kept: What has no equal there, by its place in the expression.
        file: Where it was written; None when it was not.
    """

    text: str
    is_native: bool
    kept: tuple[str, ...]
    file: Path | None

    def as_json(self) -> dict[str, object]:
        """Return what `--json` shows."""
        file = str(self.file) if self.file else None
        return {
            "native": self.is_native,
            "kept": list(self.kept),
            "file": file,
            "study": self.text,
        }


def import_circe(source: Path, out: Path | None) -> Imported:
    """Make a study file from a cohort definition, and write it where `out` says.

    Args:
        source: The definition, as JSON.
        out: The file to write, in the folder of the definition or above it; printed when absent.

    Raises:
        UsageError: There is no such definition, or the study would not find it.
        SpecError: The definition is refused; every fault is named.
    """
    if source.suffix != ".json" or not source.is_file():
        raise UsageError(str(source), "is no file of JSON", "name a .json file exported by ATLAS.")
    name = _name_from(source, out)
    expression = read_expression(_text(source), name)
    text, translation = _study(source.stem, name, translate(expression))
    if out is not None:
        _write(out, text)
    return Imported(text, translation.cohort is not None, translation.kept, out)


def _name_from(source: Path, out: Path | None) -> str:
    """Return the name by which the study finds the definition: beside it, or below."""
    if out is None:
        return source.name
    if out.suffix != ".yaml" or out.exists():
        raise UsageError(str(out), "exists, or does not end in .yaml", "name a new .yaml file.")
    folder = out.parent.resolve()
    if not source.resolve().is_relative_to(folder):
        fix = f"copy it to {out.parent}, and import it from there."
        raise UsageError(str(source), f"does not lie in the folder of {out.name}", fix)
    return source.resolve().relative_to(folder).as_posix()


def _text(source: Path) -> str:
    try:
        if source.stat().st_size > MAX_BYTES:
            raise OSError(0, f"is larger than {MAX_BYTES:,} bytes")
        return source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
        fix = "export the cohort definition from ATLAS again, as JSON."
        raise SpecError([Message("E_CIRCE_LIMIT", source.name, str(why), fix)]) from None


def _write(out: Path, text: str) -> None:
    out.write_text(text, encoding="utf-8")
    try:
        check_study(str(out))
    except SpecError:
        out.unlink()
        raise


def _study(stem: str, file: str, translation: Translation) -> tuple[str, Translation]:
    """Return the text of the study, and what it holds."""
    (name,) = slugs([stem], "cohort")
    kept = "".join(f"#   - {_line(reason)}\n" for reason in translation.kept).rstrip("\n")
    if translation.cohort is None:
        head = _KEPT.format(file=file, kept=kept)
        cohorts: list[dict[str, Any]] = [{"id": name, "circe": file}]
    else:
        head = _BOTH.format(file=file, native=name, circe=f"{name}_circe")
        native = {"id": name, **translation.cohort}
        cohorts = [native, {"id": f"{name}_circe", "circe": file}]
    blocks: list[dict[str, Any]] = [
        {"study": _about(name, stem)},
        {"sources": [{"id": "lake", "kind": "lake"}]},
        {"code_lists": list(translation.code_lists)},
        {"cohorts": cohorts},
    ]
    written = [_yaml(block) for block in blocks if all(block.values())]
    return head + "\n".join(["spec_version: 1\n", *written]), translation


def _line(text: str) -> str:
    return " ".join(text.split())


def _about(name: str, stem: str) -> dict[str, Any]:
    return {
        "id": name,
        "version": "0.1",
        "title": {"en": f"Cohort {stem}", "ko": f"{stem} 코호트"},
        "question": {
            "en": "How many persons enter the cohort, and at which step do others leave it?",
            "ko": "몇 명이 코호트에 들어오고, 나머지는 어느 단계에서 제외되는가?",
        },
    }


class _Plain(yaml.SafeDumper):
    """Writes each value where it stands: the study file knows no anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the dumper calls it so
        """Say that nothing is repeated by reference."""
        return True


def _yaml(block: dict[str, Any]) -> str:
    layout: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 96}
    return str(yaml.dump(block, Dumper=_Plain, default_flow_style=None, **layout))
