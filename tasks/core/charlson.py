"""The Charlson comorbidity index as a table: components, weights and codes (charlson.yaml)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Component:
    """One component: its weights by name, its codes as prefixes in plain form.

    `not_beside` names the graver form of the same disease, beside which it does not count.
    """

    name: str
    weights: dict[str, int]
    codes: tuple[str, ...]
    not_beside: str | None


@cache
def charlson() -> dict[str, Component]:
    """Return the components by name, in the order of the file."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {name: _component(name, body) for name, body in yaml.safe_load(text).items()}


def _component(name: str, body: dict[str, object]) -> Component:
    weights = {key: int(str(body[key])) for key in ("charlson_1987", "quan_2011")}
    codes = body["codes"]
    assert isinstance(codes, list)  # noqa: S101 - our own file
    graver = body.get("not_beside")
    return Component(name, weights, tuple(codes), str(graver) if graver else None)


COMPONENTS = tuple(charlson())
