"""Whatever bytes a study holds: it is read or refused, fast, and never with another error."""

import resource
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.core.errors import SpecError
from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec.load import check_study
from tests.unit.test_broken_specs import BASE, in_folder

LINES = BASE.splitlines()
WORDS = [
    *["", "NO", "~", "010", "1:30", ".inf", "*a", "&a x", "!!set", "<<: {}", "[", "{", "? x"],
    *["'", '"', "|", ">", "\x00", "\ufeff", "\u202e", "9" * 40, "x" * 3000, "---", "%YAML 9"],
    *["null", "true", "{nth: 1}", "[[1]]", "2020-13-01", '"\\ud800"', "{age: {}}", "- x"],
]
QUICK = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return in_folder(tmp_path_factory.mktemp("bytes"), BASE)


def is_read_or_refused(file, raw):
    file.write_bytes(raw)
    for message in messages_about(file):
        assert message.what
        assert message.fix
        assert message.where.startswith(("broken_base.yaml:", "lists/"))
        assert len(message.what) < 400


def messages_about(file):
    try:
        return check_study(str(file))[1]
    except SpecError as refused:
        return refused.messages or [None]


@QUICK
@given(
    place=st.integers(0, len(LINES) - 1),
    word=st.sampled_from(WORDS),
    how=st.sampled_from(["value", "line", "indent", "drop"]),
)
def test_a_mutated_study(file, place, word, how):
    lines = list(LINES)
    changed = {
        "value": f"{lines[place].partition(':')[0]}: {word}",
        "line": word,
        "indent": f"  {lines[place]}",
        "drop": "",
    }
    lines[place] = changed[how]
    is_read_or_refused(file, "\n".join(lines).encode("utf-8", "surrogatepass"))


@QUICK
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_random_bytes(file, raw):
    is_read_or_refused(file, raw)


def bombs():
    laughs = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, other in zip("abcdefghi", "bcdefghij", strict=True):
        laughs.append(f"{other}: &{other} [{', '.join(['*' + one] * 9)}]")
    yield "laughs", "\n".join(laughs)
    yield "self", "a: &a [*a, *a]"
    yield "merges", "a: &a {x: 1}\n" + "".join(f"b{n}: {{<<: [*a, *a]}}\n" for n in range(4_000))
    yield "many", "- *x\n" * 190_000
    yield "deep", "[" * 500_000
    yield "deep_blocks", "".join(" " * n + "- a:\n" for n in range(900))
    yield "wide", "a: [" + "1, " * 300_000 + "1]"
    yield "long", "a: '" + "x" * 999_000 + "'"
    yield "huge", "x" * 30_000_000


def small():
    resource.setrlimit(resource.RLIMIT_AS, (500_000_000, 500_000_000))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))


PLAIN = (
    "import sys; from tasks.core.spec.load import check_study; from tasks.core.errors import "
    "SpecError\ntry:\n    check_study(sys.argv[1])\nexcept SpecError as e:\n"
    "    sys.stderr.write(str(e)); sys.exit(e.exit_code)"
)


@pytest.mark.parametrize(("name", "text"), list(bombs()), ids=lambda value: str(value)[:12])
def test_a_bomb_is_stopped_within_five_seconds(tmp_path, name, text):
    """One look costs no more than a large honest file; the process below has 500 MB and 5 s."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(text)
    started = time.process_time()
    with pytest.raises(SpecError):
        check_study(str(file))
    assert time.process_time() - started < 5


def test_a_bomb_is_stopped_within_five_hundred_megabytes(tmp_path):
    file = tmp_path / "laughs.yaml"
    file.write_text(dict(bombs())["laughs"])
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(file)],
        preexec_fn=small,
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert done.returncode == 11, done.stderr[-500:]
    assert "anchors and aliases" in done.stderr
    assert "Traceback" not in done.stderr
