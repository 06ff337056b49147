"""Documents tell the truth of now: generated ones are current, commands and links exist."""

import re
import subprocess

import pytest
import typer.main

from flows.cli import app
from flows.documents import DOCS, STUDY_CODES, documents
from tasks.core.paths import PROJECT_ROOT

PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("name", documents())
def test_generated_documents_are_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == documents()[name], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT_ROOT)))
def test_links_between_documents_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands():
    """Every command, those of groups with the name of the group."""
    found = set()
    for name, command in typer.main.get_command(app).commands.items():
        within = getattr(command, "commands", None)
        found |= {f"{name} {inner}" for inner in within} if within else {name}
    return found


def test_the_readme_names_every_command_and_no_other():
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`causeway ((?:(?:study|simulate|import|audit|power) )?[a-z]+)", text))
    assert named == commands()


def test_the_make_targets_of_the_documents_exist():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for page in PAGES
        for word in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= targets


def test_no_tracked_file_names_a_registry_or_a_machine():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    pattern = re.compile(
        rb"index-url +http|https?://[^ ]+/simple|(?<![\w/])/w[o]rk/|\"resolved\": *\"http"
    )
    for name in filter(None, listed):
        content = (PROJECT_ROOT / name.decode()).read_bytes()
        assert not pattern.search(content), name


def test_the_lock_file_has_a_hash_for_every_package():
    lines = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [i for i, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
    assert len(pinned) > 150
    for i in pinned:
        assert "==" in lines[i]
        assert lines[i + 1].strip().startswith("--hash=sha256:")


def test_every_code_of_a_study_is_in_the_table():
    rooms = ("tasks/core/spec", "tasks/cohort", "tasks/analysis")
    orders = ("check.py", "sealing.py", "sealed_elsewhere.py")
    files = [file for room in rooms for file in (PROJECT_ROOT / room).rglob("*.py")]
    files += [PROJECT_ROOT / "flows" / "orders" / name for name in orders]
    files += [PROJECT_ROOT / "tasks/core/vault.py", PROJECT_ROOT / "flows/commands/audit.py"]
    said = {code for f in files for code in re.findall(r'"([EW]_[A-Z_]+)"', f.read_text("utf-8"))}
    assert said - {"E_NOT_ESTIMABLE"} == set(STUDY_CODES) - {"E_SPEC_LIMIT"}
