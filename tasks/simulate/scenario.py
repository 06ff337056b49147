"""What is planted: one YAML file a scenario, each saying only what differs from its base."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tasks.core.errors import UsageError
from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec import Text
from tasks.core.strict_yaml import Document, read_yaml
from tasks.core.validate import validated

SCENARIOS_DIR = PROJECT_ROOT / "data" / "scenarios"

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=10)]
LogRatio = Annotated[float, Field(ge=-5, le=5)]
Months = Annotated[int, Field(ge=0, le=24)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Assignment(_Frozen):
    """Who gets the device's output shown at first read."""

    randomised: Annotated[bool, Field(description="By the toss of a coin at every site, always.")]
    plateau: Annotated[Share, Field(description="Share shown long after go-live.")]
    ramp_months: Annotated[float, Field(gt=0, le=24, description="Time constant of the uptake.")]
    severity_log_odds: Annotated[LogRatio, Field(description="Per SD of the severity index.")]


class Censoring(_Frozen):
    """Loss to follow-up before the data cut-off."""

    yearly_rate: Rate
    shown_log_ratio: LogRatio
    severity_log_ratio: LogRatio


class Verification(_Frozen):
    """Whose truth is looked for, by what the device said."""

    positive: Share
    negative: Share


class Update(_Frozen):
    """Change from version 1.0 to 2.0, month of the enrolment; sites follow one month apart."""

    month: Months | None


class Drift(_Frozen):
    """A scanner change that makes scores of healthy images rise at the first sites."""

    sites: Annotated[int, Field(ge=0, le=50)]
    month: Months
    score_shift: Annotated[float, Field(ge=0, le=3)]


class Sizes(_Frozen):
    """How unequal the hospitals are: `spread` is the SD of the log of their size."""

    spread: Annotated[float, Field(ge=0, le=2)]
    small_sites: Annotated[Share, Field(description="Share of the hospitals that are small.")]
    small_size: Annotated[Share, Field(description="Size of a small one, as a share of the mean.")]


class Scenario(_Frozen):
    """A consortium's faults and biases, complete."""

    scenario: Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,30}$")]
    title: Text
    planted: Annotated[tuple[Text, ...], BeforeValidator(lambda v: tuple(v)), Field(min_length=1)]
    assignment: Assignment
    censoring: Censoring
    verification: Verification
    update: Update
    drift: Drift
    sizes: Sizes
    negative_controls: Annotated[int, Field(ge=0, le=60)]
    dirt_share: Annotated[Share, Field(description="Share of rows with a fault, of each kind.")]


@cache
def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios, sorted."""
    return tuple(sorted(file.stem for file in SCENARIOS_DIR.glob("*.yaml")))


def load_scenario(name: str) -> Scenario:
    """Return the scenario of this name.

    Raises:
        UsageError: There is no such scenario.
        SpecError: Its file has a fault; all faults are named.
    """
    if name not in scenario_names():
        known = ", ".join(scenario_names())
        raise UsageError(name, f"no such scenario; known: {known}", "name one of them.")
    document = read_yaml(SCENARIOS_DIR / f"{name}.yaml")
    return validated(Scenario, Document(document.name, _whole(document.value), document.lines))


def base_of(name: str) -> str | None:
    """Return the scenario that a scenario's file starts from, if it names one."""
    value = read_yaml(SCENARIOS_DIR / f"{name}.yaml").value
    return str(value["based_on"]) if isinstance(value, dict) and "based_on" in value else None


def _whole(value: object) -> object:
    """Lay what a file says over its base, if it names one."""
    if not isinstance(value, dict) or "based_on" not in value:
        return value
    base = read_yaml(Path(SCENARIOS_DIR, f"{value['based_on']}.yaml")).value
    own = {key: item for key, item in value.items() if key != "based_on"}
    return _laid_over(_whole(base), own)


def _laid_over(base: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, item in own.items():
        both = isinstance(item, dict) and isinstance(merged.get(key), dict) and key != "title"
        merged[key] = _laid_over(merged[key], item) if both else item
    return merged
