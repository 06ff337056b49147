"""The page of the documents that says what each simulated consortium plants, and what is true."""

from tasks.simulate.estimands import ESTIMANDS, STRATEGY
from tasks.simulate.scenario import Scenario, load_scenario, scenario_names

_INTRO = """\
# Simulated consortiums
<!-- Written by `make docs` from data/scenarios and tasks/simulate; do not edit. -->

`causeway simulate consortium --persons 20000 --sites 4 --seed 1 --out DIR` writes the deliveries of
hospitals that do not exist: adults with a chest X-ray, a device that reads some of them, and what
happens to everybody afterwards. Everything is simulated and without clinical meaning; every delivery
says so (`data_class: synthetic_public`). The same seed gives the same bytes.

| in DIR | |
|---|---|
| `sim-01/`, `sim-02/`, … | one delivery a hospital, in turn: CSV in CP949 with dates as `%Y%m%d`, FHIR R4 NDJSON, Parquet, CSV in UTF-8; `--format` gives all the same |
| `sim-04-device/` | where the company delivers the device log itself: an increment of its own, with the governance that joining it needs |
| `truth.json` | the planted truth: each value with its Monte Carlo error, and the sentence that says what it means |
| `defects.json` | every planted fault: delivery, file, line, column, code, and what becomes of the row |

`causeway ingest DIR/*` passes the last two over. `--scenario` chooses what is planted.

## What is the same everywhere
Hospitals differ in size, age, comorbidity, prevalence, scanner and the day on which the device goes
live; for 60 days before, it runs in silence. A severity index (age and ten conditions, all recorded)
moves assignment, outcome and loss, and nothing else confounds. The device finds part of the disease;
the reader finds part of it alone, and more when shown what the device says. Disease that is missed at
first read leads to respiratory failure more often, which costs, hurts and kills. Device and readers
share how conspicuous a finding is; four readers of each hospital read the same 120 cases in both ways.
"""
_TRUTH = """
## What each value of truth.json means
`ai_shown`: {shown}

`ai_not_shown`: {not_shown}

Values come from the potential outcomes of at least a million new persons of the same hospitals,
managed under both strategies; `mcse` is the spread of 20 batches.

| estimand | sentence |
|---|---|
"""


def scenario_page() -> str:
    """Return docs/scenarios.md."""
    base = load_scenario("clean")
    plans = [load_scenario(name) for name in scenario_names()]
    parts = [_INTRO, "\n## Scenarios\n"]
    parts += [_scenario(plan, base) for plan in plans]
    parts.append(
        _TRUTH.format(shown=STRATEGY["ai_shown"]["en"], not_shown=STRATEGY["ai_not_shown"]["en"])
    )
    parts += [f"| `{name}` | {text['en']} |\n" for name, text in ESTIMANDS.items()]
    return "".join(parts)


def _scenario(plan: Scenario, base: Scenario) -> str:
    planted = "".join(f"- {text.en}\n" for text in plan.planted)
    changed = _changed(plan, base)
    settings = f"\nDiffers from `clean` in {', '.join(changed)}.\n" if changed else ""
    return f"\n### `{plan.scenario}`: {plan.title.en}\n{planted}{settings}"


def _changed(plan: Scenario, base: Scenario) -> list[str]:
    """Name every setting that is not that of the base, with its value."""
    mine, theirs = _flat(plan), _flat(base)
    return [f"`{key}` {mine[key]}" for key in mine if mine[key] != theirs[key]]


def _flat(plan: Scenario) -> dict[str, object]:
    flat = dict[str, object]()
    for key, value in plan.model_dump(exclude={"scenario", "title", "planted"}).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return flat
