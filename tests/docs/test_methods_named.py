"""Each method of registry tables has one row in docs/sources.md, which names every key it takes."""

import re

from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec.methods import RULES

PAGE = (PROJECT_ROOT / "docs" / "sources.md").read_text("utf-8")
ROW = re.compile(r"^\|[^|]*\| `(\w+)` \|.*$", re.M)


def rows():
    table = PAGE.partition("## Analyses")[2].partition("### Adjustment")[0]
    return [(found[1], found[0]) for found in ROW.finditer(table)]


def test_each_method_has_one_row():
    assert sorted(name for name, _ in rows()) == sorted(RULES)


def test_the_row_names_every_key_of_the_method():
    lacking = {
        name: missing
        for name, row in rows()
        if (missing := [key for key in RULES[name].keys if f"`{key}" not in row])
    }
    assert lacking == {}


def test_what_takes_late_rows_and_weights_is_told_as_it_is():
    said = {line.partition("**")[2]: line for line in PAGE.splitlines() if line.startswith("- **")}
    late = next(line for line in said.values() if "`entry`, and intervals" in line)
    weights = next(line for line in said.values() if line.startswith("- **Weights**"))
    takes = late.partition("`gray_test`")[0]
    of_time = [name for name, rule in RULES.items() if rule.takes_entry]
    assert [name for name in of_time if f"`{name}`" not in takes] == []
    without = [name for name, rule in RULES.items() if not rule.takes_weights]
    assert [name for name in without if f"`{name}`" not in weights.partition(".")[0]] == []
