"""What YAML readers disagree on is refused; every fault is told with its line."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.strict_yaml import parse_yaml


def faults(text):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text.encode(), "s.yaml")
    return [str(message) for message in caught.value.messages]


def test_plain_values_are_read_as_written():
    got = parse_yaml(b"a: 1\nb: 1.5\nc: true\nd: null\ne: 2020-02-29\nf: 'NO'\ng: [x, y]", "s.yaml")
    assert str(got.value) == (
        "{'a': 1, 'b': 1.5, 'c': True, 'd': None, "
        "'e': datetime.date(2020, 2, 29), 'f': 'NO', 'g': ['x', 'y']}"
    )
    assert got.line_of(("g", 1)) == 7
    assert got.line_of(("g", "nothing")) == 7


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2", 2),
        ("country: NO", 1),
        ("x: 1\ndays: 010", 2),
        ("days: 0x1F", 1),
        ("days: 1_000", 1),
        ("risk: 1:30", 1),
        ("threshold: 1e3", 1),
        ("threshold: .5", 1),
        ("when: 2021-02-30", 1),
        ("when: 2021-02-03 04:05:06", 1),
        ("a: &x 1\nb: *x", 1),
        ("a: !!python/object/apply:os.system ['true']", 1),
        ("<<: {a: 1}", 1),
        ("a: [1, 2", 1),
        ("? [a, b]\n: 1", 1),
    ],
)
def test_traps_are_refused_with_their_line(text, line):
    assert any(f"s.yaml:{line}: " in fault for fault in faults(text))


def test_all_faults_are_told_at_once():
    assert len(faults("a: NO\nb: 010\nc: ok\nc: twice")) == 3


def test_an_alias_bomb_is_stopped_before_it_grows():
    bomb = "a: &a [x]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(1000))
    assert "anchors and aliases" in faults(bomb)[0]


def test_depth_and_size_have_limits():
    assert "E_SPEC_LIMIT" in faults("[" * 60 + "]" * 60)[0]
    assert "E_SPEC_LIMIT" in faults("a: " + "x" * 1_100_000)[0]


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(SpecError, match="not UTF-8"):
        parse_yaml("제목: 연구".encode("cp949"), "s.yaml")
