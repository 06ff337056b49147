"""Whether this installation can work: each check with what to do when it fails."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from tasks.core.duck import duck, load_extensions
from tasks.core.errors import CausewayError
from tasks.core.paths import PROJECT_ROOT, Home
from tasks.core.site import load_site

GIB = 1024**3
FREE_GIB = 5


def examine(home: Home) -> list[dict[str, str]]:
    """Return one line a check: name, state, what was found, what to do."""
    checks: list[tuple[str, Callable[[], str], str]] = [
        ("python", _python, "install Python 3.11 or newer."),
        ("packages", _packages, "run `make install` again."),
        ("lake extensions", _extensions, "run `make install` again."),
        ("fonts", _fonts, "install manimgx-fonts-cjk from the lock file."),
        ("disk", lambda: _disk(home), f"free at least {FREE_GIB} GiB."),
        ("site.yaml", lambda: _site(home), "correct site.yaml."),
        ("home", lambda: _writable(home), "give this user the right to write the home."),
    ]
    return [_line(name, check, fix) for name, check, fix in checks]


def _line(name: str, check: Callable[[], str], fix: str) -> dict[str, str]:
    try:
        return {"check": name, "state": "pass", "found": check(), "to fix": ""}
    except (CausewayError, OSError, ImportError, RuntimeError) as exc:
        return {"check": name, "state": "fail", "found": str(exc).split("\n")[0], "to fix": fix}


def _python() -> str:
    return sys.version.split()[0]


def _packages() -> str:
    """Every package of the lock file that is needed here stands at its locked version."""
    wrong = []
    for line in (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        name, pinned, rest = line.partition("==")
        if not pinned or name.startswith((" ", "#")) or ";" in rest:
            continue
        found, wanted = _installed(name), rest.split()[0]
        if found is not None and found != wanted:
            wrong.append(f"{name} {found} (locked {wanted})")
    if wrong:
        raise RuntimeError(", ".join(wrong))
    return f"prefect {version('prefect')}, duckdb {version('duckdb')}, as locked"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extensions() -> str:
    with duck() as con:
        load_extensions(con, "sqlite_scanner", "postgres_scanner", "ducklake")
    return "ducklake, sqlite_scanner, postgres_scanner"


def _fonts() -> str:
    if importlib.util.find_spec("manimgx_fonts_cjk") is None:
        raise RuntimeError("the package manimgx-fonts-cjk is missing")
    return "Noto Sans CJK KR"


def _disk(home: Home) -> str:
    place = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free / GIB
    if free < FREE_GIB:
        raise RuntimeError(f"{free:.1f} GiB free")
    return f"{free:.0f} GiB free"


def _site(home: Home) -> str:
    site = load_site(home)
    return (
        f"{site.name}; catalogue {site.catalogue_url.split(':')[0]}; reports {site.report_url}; "
        f"disclosure threshold {site.disclosure_threshold}; {site.time_zone}"
    )


def _writable(home: Home) -> str:
    home.prepare()
    probe = home.work / ".doctor"
    probe.write_text("", encoding="utf-8")
    probe.unlink()
    return str(home.root)
