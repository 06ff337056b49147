"""The right-hand side of a model, `age + sex * log(dose)`: read by this parser, never evaluated.

Allowed are names of columns, `+` (both), `:` (their product), `*` (both and their product),
parentheses, `log log2 log10 exp sqrt`, and whole powers from 2 to 9. Inside a function, and inside
`I()`, which changes nothing, numbers may be added to a column, taken off, or it is multiplied or
divided by them: `log(nodes + 1)`, `I(age / 10)`. A name that holds blanks or signs stands between
backticks. Anything else is refused with its place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

FUNCTIONS = ("log", "log2", "log10", "exp", "sqrt")
ASIS = "I"
MAX_LENGTH, MAX_TERMS, MAX_DEPTH = 4000, 500, 30

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>`[^`]*`)|(?P<name>[^\W\d][\w.]*)|(?P<number>[0-9]+(?:\.[0-9]*)?)"
    r"|(?P<sign>\*\*|[-+:*^()/])|(?P<bad>\S))"
)
_HINTS = {
    "-": "leave the column out instead",
    "/": "write a + a:b",
    "|": "name strata under `strata`",
    "~": "write the right-hand side only",
    "%": "write the terms out",
}


class TermsError(ValueError):
    """A formula is refused; says where (counted from 1) and why."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(f"terms, character {place}: {what}")


@dataclass(frozen=True, slots=True)
class Factor:
    """A column, and what is done to it, innermost first.

    A step is a function, such as `log`; a power; or a sign and a number, such as `+ 1`.
    """

    column: str
    steps: tuple[str | int, ...] = ()

    @property
    def label(self) -> str:
        """The factor as it is named in results, such as `log(age)^2`."""
        return self.written(self.column)

    def written(self, column: str) -> str:
        """The factor as R writes it, of a column that is named so."""
        text = column
        for step in self.steps:
            text = _stepped(text, step)
        return text


def _stepped(text: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{text}^{step}"
    if step[0] == "/":
        return f"{text}/{step[2:]}"
    return f"{text} {step}" if step[0] in "+-*" else f"{step}({text})"


Term = tuple[Factor, ...]
"""One factor, or several whose product is meant."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def parse_terms(text: str) -> tuple[Term, ...]:
    """Return the terms of a formula, main effects first, each once.

    Raises:
        TermsError: The formula holds anything but what is allowed.
    """
    if len(text) > MAX_LENGTH:
        raise TermsError(MAX_LENGTH, f"the formula is longer than {MAX_LENGTH} characters")
    parser = _Parser(list(_tokens(text)))
    terms = parser.sum(0)
    parser.expect("end")
    return tuple(sorted(terms, key=len))


def columns_in(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """Return the columns that terms use, each once, in the order they are first named."""
    return tuple(dict.fromkeys(factor.column for term in terms for factor in term))


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while match := _TOKEN.match(text, place):
        kind = str(match.lastgroup)
        start = match.start(kind)
        if kind == "bad":
            raise _not_allowed(match[kind], start + 1)
        yield _Token(kind, match[kind], start + 1)
        place = match.end()
    yield _Token("end", "", len(text) + 1)


def _not_allowed(sign: str, place: int) -> TermsError:
    hint = f"; {_HINTS[sign]}" if sign in _HINTS else ""
    return TermsError(place, f"{sign!r} is not allowed{hint}")


class _Parser:
    """Recursive descent: sum > product (`*`) > interaction (`:`) > factor."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def take(self) -> _Token:
        token = self.next
        self._at += 1
        return token

    def meets(self, *signs: str) -> bool:
        return self.next.kind == "sign" and self.next.text in signs

    def expect(self, sign: str) -> _Token:
        token = self.next
        if self.meets("-", "/"):
            raise _not_allowed(token.text, token.place)
        if token.kind != sign and not (token.kind == "sign" and token.text == sign):
            found = repr(token.text) if token.text else "the end"
            wanted = "an operator" if sign == "end" else repr(sign)
            raise TermsError(token.place, f"{wanted} is expected, {found} found")
        return token if token.kind == "end" else self.take()

    def sum(self, depth: int) -> list[Term]:
        terms = self.product(depth)
        while self.meets("+"):
            self.take()
            terms = self._each_once([*terms, *self.product(depth)])
        return terms

    def product(self, depth: int) -> list[Term]:
        terms = self.interaction(depth)
        while self.meets("*"):
            self.take()
            right = self.interaction(depth)
            terms = self._each_once([*terms, *right, *self._crossed(terms, right)])
        return terms

    def interaction(self, depth: int) -> list[Term]:
        terms = self.part(depth)
        while self.meets(":"):
            self.take()
            terms = self._each_once(self._crossed(terms, self.part(depth)))
        return terms

    def part(self, depth: int) -> list[Term]:
        if not self.meets("("):
            return [(self.factor(depth),)]
        start = self.take()
        if depth >= MAX_DEPTH:
            raise TermsError(start.place, f"parentheses nest deeper than {MAX_DEPTH}")
        terms = self.sum(depth + 1)
        self.expect(")")
        if self.meets("^", "**"):
            if len(terms) > 1 or len(terms[0]) > 1:
                raise TermsError(self.next.place, "a power is of one column; write the terms out")
            return [(self._powers(terms[0][0]),)]
        return terms

    def factor(self, depth: int) -> Factor:
        token = self.take()
        if token.kind == "sign" and token.text in _HINTS:
            raise _not_allowed(token.text, token.place)
        if token.kind not in ("name", "quoted"):
            raise TermsError(token.place, _unexpected(token))
        if token.kind == "name" and self.meets("("):
            return self._powers(self._function(token, depth))
        name = token.text.strip("`")
        if not name.strip():
            raise TermsError(token.place, "the name between backticks is empty")
        return self._powers(Factor(name))

    def _function(self, token: _Token, depth: int) -> Factor:
        if token.text not in (*FUNCTIONS, ASIS):
            known = ", ".join(FUNCTIONS)
            hint = f"; use the key `{token.text}`" if token.text in ("strata", "cluster") else ""
            raise TermsError(token.place, f"{token.text}() is not one of {known}{hint}")
        if depth >= MAX_DEPTH:
            raise TermsError(token.place, f"parentheses nest deeper than {MAX_DEPTH}")
        self.take()
        inner = self._arithmetic(self.factor(depth + 1))
        self.expect(")")
        return replace(inner, steps=(*inner.steps, token.text))

    def _arithmetic(self, factor: Factor) -> Factor:
        """Numbers that are added, taken off, multiplied or divided by, from left to right."""
        while self.meets("+", "-", "*", "/"):
            sign, token = self.take(), self.take()
            if token.kind != "number":
                what = f"one column and numbers stand in a function; {_unexpected(token)}"
                raise TermsError(token.place, what)
            if sign.text == "/" and float(token.text) == 0:
                raise TermsError(token.place, "nothing is divided by 0")
            steps = factor.steps
            if sign.text in "*/" and any(str(s)[0] in "+-" for s in steps[_last(steps) :]):
                raise TermsError(sign.place, "a sum stands last: write I(age/10 + 1)")
            factor = replace(factor, steps=(*steps, f"{sign.text} {token.text}"))
        return factor

    def _powers(self, factor: Factor) -> Factor:
        while self.meets("^", "**"):
            self.take()
            token = self.take()
            if token.kind != "number" or token.text not in "23456789":
                raise TermsError(token.place, "a power is a whole number from 2 to 9")
            factor = replace(factor, steps=(*factor.steps, int(token.text)))
        return factor

    def _crossed(self, left: list[Term], right: list[Term]) -> list[Term]:
        if len(left) * len(right) > MAX_TERMS:
            raise TermsError(self.next.place, f"this makes more than {MAX_TERMS} terms")
        return [tuple(dict.fromkeys((*a, *b))) for a in left for b in right]

    def _each_once(self, terms: list[Term]) -> list[Term]:
        kept = list({frozenset(term): term for term in reversed(terms)}.values())[::-1]
        if len(kept) > MAX_TERMS:
            raise TermsError(self.next.place, f"this makes more than {MAX_TERMS} terms")
        return kept


def _last(steps: tuple[str | int, ...]) -> int:
    """Return the place after the last function: where the arithmetic of these parentheses began."""
    named = [place for place, step in enumerate(steps) if step in (*FUNCTIONS, ASIS)]
    return named[-1] + 1 if named else 0


def _unexpected(token: _Token) -> str:
    if token.kind == "number":
        return f"{token.text} is a number; a formula holds columns"
    if token.kind in ("name", "quoted"):
        return f"a number is expected, {token.text!r} found"
    return f"a column is expected, {repr(token.text) if token.text else 'the end'} found"
