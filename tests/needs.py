"""What a test needs beyond Python: skipped with a reason where absent, failed where required.

CAUSEWAY_REQUIRE names, with commas, what must be there: browser, postgres, shared, network.
"""

import os
import shutil
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def need(what, present, reason):
    """Skip the test when `what` is absent; fail it when CAUSEWAY_REQUIRE demands it."""
    if present:
        return
    if what in os.environ.get("CAUSEWAY_REQUIRE", "").split(","):
        pytest.fail(f"CAUSEWAY_REQUIRE demands {what}: {reason}")
    pytest.skip(f"{what} absent: {reason}")


def shared(name):
    """Return a file beside the project, or skip."""
    path = SHARED / name
    need("shared", path.exists(), f"no {name} in the folder `shared` beside the project")
    return path


def chromium():
    """Return the path of a Chromium, or skip."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    need("browser", found, "install Debian's package chromium")
    return found


def postgres_binaries():
    """Return the folder of a PostgreSQL server's programs, or skip."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    need("postgres", found, "install Debian's package postgresql")
    return found[-1].parent
