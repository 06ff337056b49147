"""Homes for tests of the whole pipeline: one demonstration, made once, copied for each test."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from filelock import FileLock

from flows.cli import main
from tasks.core.paths import PROJECT_ROOT, Home

STUDY = "gibleed_celecoxib_diclofenac"


def causeway(*words, home=None, env=None, wait=True, prefix=()):
    """Run the command line in a process of its own; return it finished (or started)."""
    command = [
        *prefix,
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        *map(str, words),
    ]
    if home is not None:
        command += ["--home", str(home)]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=variables | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if not wait:
        return process
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def called(*words, home=None):
    """Run the command line in this process, which spares two seconds; return it finished.

    For what a command does. What processes are for (kills, threads, locale) takes `causeway`.
    """
    words = [*map(str, words), *(["--home", str(home)] if home is not None else [])]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr("sys.argv", ["causeway", *words])
        patch.delenv("PREFECT_API_URL", raising=False)
        with redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(words, ended.value.code, out.getvalue(), err.getvalue())


def made_once(folder):
    """Run the demonstration in `folder`, once for all processes; return its home."""
    home, done = folder / "demo-home", folder / "demo-home.done"
    with FileLock(folder / "demo-home.lock"):
        if not done.exists():
            ran = causeway("demo", "--study", STUDY, home=home)
            assert ran.returncode == 0, ran.stderr
            done.write_text(ran.stdout)
    return Home(home)


def copy_of(home, target, *, with_runs=False):
    """Copy a home; without its runs, so that the study has yet to be run."""
    shutil.copytree(home.root, target, symlinks=True)
    copy = Home(target)
    # The catalogue holds the path of its data as it was given at creation.
    if not with_runs:
        shutil.rmtree(copy.runs)
        shutil.rmtree(copy.published)
        shutil.rmtree(copy.work)
    return copy.prepare()


def published(home, study=STUDY):
    """Return the folder of the published run."""
    return (home.published / study).resolve()


def published_bytes(home, study=STUDY):
    """Return every published file but the manifest, by name."""
    folder = published(home, study)
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "manifest.json"
    }


def delivered(home):
    """Return the folder of the demonstration's delivery, as it was delivered."""
    [manifest] = home.deliveries.glob("*/*/manifest.json")
    return manifest.parent


def shuffled_delivery(folder, target, seed):
    """Copy a delivery with the rows of every file in another order; checksums are those of now."""
    import hashlib

    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    for entry in manifest["files"]:
        file = target / entry["name"]
        header, *rows = file.read_text(encoding="utf-8").splitlines(keepends=True)
        if not any('"' in row for row in rows):
            random.Random(seed).shuffle(rows)
        file.write_text("".join([header, *rows]), encoding="utf-8")
        entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return target
