"""Formulas are read by our own parser: what it takes, what it makes of it, what it refuses where."""

import random

import pytest

from tasks.core.spec.terms import TermsError, columns_in, parse_terms


def names(text):
    return [":".join(factor.label for factor in term) for term in parse_terms(text)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("age", ["age"]),
        ("age + sex + log(age)", ["age", "sex", "log(age)"]),
        ("a * b", ["a", "b", "a:b"]),
        ("a:b + a", ["a", "a:b"]),
        ("(age + surgery) * transplant", ["age", "surgery", "transplant", "age:transplant", "surgery:transplant"]),
        ("a * b * c", ["a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"]),
        ("a + a + b:a + a:b + a:a", ["a", "b:a"]),
        ("log(age)^2 + age**3", ["log(age)^2", "age^3"]),
        ("sqrt(exp(log(x)))", ["sqrt(exp(log(x)))"]),
        ("(age)^2", ["age^2"]),
        ("((a + b)):c", ["a:c", "b:c"]),
        ("나이 + `검사 결과` * ph.ecog", ["나이", "검사 결과", "ph.ecog", "검사 결과:ph.ecog"]),
        ("log", ["log"]),
        ("log(nodes+1) + I( age/10 )", ["log(nodes + 1)", "I(age/10)"]),
        ("log2(x) * log10(y)", ["log2(x)", "log10(y)", "log2(x):log10(y)"]),
        ("I(age^2) + I(x * 2 - 0.5)^3", ["I(age^2)", "I(x * 2 - 0.5)^3"]),
        ("exp(log(x / 10 + 1) * 2)", ["exp(log(x/10 + 1) * 2)"]),
    ],
)  # fmt: skip
def test_what_a_formula_means(text, want):
    assert names(text) == want


def test_columns_are_named_once_in_their_order():
    assert columns_in(parse_terms("b + log(a) + a:b")) == ("b", "a")


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("", 1, "a column is expected, the end found"),
        ("age +", 6, "the end found"),
        ("age - 1", 5, "'-' is not allowed; leave the column out"),
        ("age / sex", 5, "write a + a:b"),
        ("age sex", 5, "an operator is expected, 'sex' found"),
        ("strata(inst) + age", 1, "use the key `strata`"),
        ("poly(age, 2)", 9, "',' is not allowed"),
        ("poly(age)", 1, "poly() is not one of log, log2, log10, exp, sqrt"),
        ("1 + age", 1, "1 is a number"),
        ("log(age + bmi)", 11, "one column and numbers stand in a function"),
        ("I(age + 1 / 10)", 11, "a sum stands last"),
        ("log(age / 0)", 11, "nothing is divided by 0"),
        ("log(1 - age)", 5, "1 is a number"),
        ("I(age - )", 9, "')' found"),
        ("age^10", 5, "whole number from 2 to 9"),
        ("age^1.5", 5, "whole number from 2 to 9"),
        ("(a + b)^2", 8, "a power is of one column"),
        ("(a + b", 7, "')' is expected, the end found"),
        ("a + b)", 6, "')' found"),
        ("__import__('os')", 12, "is not allowed"),
        ("age; drop table t", 4, "';' is not allowed"),
        ("log(", 5, "the end found"),
        ("``", 1, "empty"),
        ("(" * 99 + "a", 31, "nest deeper"),
        ("+".join(f"a{i}" for i in range(900)), None, "longer than 4000 characters"),
        ("*".join(f"(a{i}+b{i}+c{i})" for i in range(20)), None, "more than 500 terms"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_anything_else_is_refused_with_its_place(text, place, told):
    with pytest.raises(TermsError) as refused:
        parse_terms(text)
    assert told in str(refused.value)
    if place:
        assert str(refused.value).startswith(f"terms, character {place}: ")


def test_no_text_makes_anything_but_terms_or_a_refusal():
    rng = random.Random(7)
    pieces = [
        "a",
        "b",
        "나",
        "log",
        "(",
        ")",
        "+",
        "*",
        ":",
        "^",
        "2",
        " ",
        "`x y`",
        "**",
        "-",
        "/",
        "I",
        ".",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 12)))
        try:
            terms = parse_terms(text)
        except TermsError:
            continue
        assert terms
        assert len({frozenset(term) for term in terms}) == len(terms)
