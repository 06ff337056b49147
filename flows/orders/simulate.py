"""Simulated deliveries: made by name of scenario, told from what lies beside them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tasks.core.errors import UsageError
from tasks.simulate.consortium import Consortium, is_by_product, simulate_consortium
from tasks.simulate.world import Form

log = logging.getLogger("causeway")


def simulate(
    out: Path, persons: int, sites: int, seed: int, scenario: str, form: str | None
) -> Consortium:
    """Write a simulated consortium; each step is logged.

    Raises:
        UsageError: The folder is not empty, or a scenario, a form or a number cannot be.
    """
    forms: dict[str, Form] = {name: name for name in get_args(Form)}
    if form is not None and form not in forms:
        fix = f"choose one of {', '.join(forms)}, or leave it out."
        raise UsageError(form, "no such form of a delivery", fix)
    chosen = forms[form] if form else None
    return simulate_consortium(
        out, persons, sites, seed, scenario, form=chosen, progress=lambda text: log.info("%s", text)
    )


def deliveries_among(paths: Sequence[Path]) -> list[Path]:
    """Return the paths without the truth and the defects that the simulator wrote beside them.

    Raises:
        UsageError: Nothing is left.
    """
    left = [path for path in paths if not is_by_product(path)]
    if not left:
        what = "is no delivery: the simulator wrote it beside the deliveries"
        raise UsageError(str(paths[0]), what, "name the folders of the deliveries.")
    return left
