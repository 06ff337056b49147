"""The page of the documents that says what each simulated consortium plants, and what is true."""

from tasks.simulate.estimands import ESTIMANDS, POPULATIONS, STRATEGY
from tasks.simulate.scenario import Scenario, base_of, load_scenario, scenario_names

_HEAD = """\
# Scenarios of simulated consortiums
Written by `make docs` from `data/scenarios` and `tasks/simulate`. Writing a consortium to disk:
[simulation.md](simulation.md).

## What is planted
"""
_TRUTH = """
## What each value of truth.json means
`ai_shown`: {shown}

`ai_not_shown`: {not_shown}

Values come from the potential outcomes of at least a million new persons of the same hospitals,
managed under both strategies; `mcse` is the spread of 20 batches.

| population | |
|---|---|
{populations}
| estimand | sentence |
|---|---|
"""


def scenario_page() -> str:
    """Return docs/scenarios.md."""
    parts = [_HEAD, *(_scenario(name) for name in scenario_names())]
    populations = "".join(f"| `{name}` | {text['en']} |\n" for name, text in POPULATIONS.items())
    shown, not_shown = STRATEGY["ai_shown"]["en"], STRATEGY["ai_not_shown"]["en"]
    parts.append(_TRUTH.format(shown=shown, not_shown=not_shown, populations=populations))
    parts += [f"| `{name}` | {text['en']} |\n" for name, text in ESTIMANDS.items()]
    return "".join(parts)


def _scenario(name: str) -> str:
    plan, base = load_scenario(name), base_of(name)
    planted = "".join(f"- {text.en}\n" for text in plan.planted)
    mine, theirs = _flat(plan), _flat(load_scenario(base)) if base else {}
    changed = [f"`{key}: {mine[key]}`" for key in mine if mine[key] != theirs.get(key)]
    settings = f"As `{base}`, but " if base else "Settings: "
    return f"\n### `{name}`: {plan.title.en}\n{planted}\n{settings}{', '.join(changed)}.\n"


def _flat(plan: Scenario) -> dict[str, object]:
    flat = dict[str, object]()
    for key, value in plan.model_dump(exclude={"scenario", "title", "planted"}).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return flat
