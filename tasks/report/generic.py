"""Any block of a study as names and texts, also blocks that these pages have never heard of."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.base import Text
from tasks.core.spec.cohorts import Entry, EraEnd, EventEnd, FixedEnd, ObservationEnd, Rule
from tasks.core.spec.columns import CodedColumn, TimeColumn
from tasks.core.spec.conditions import (
    Age,
    AgeRule,
    Counted,
    Events,
    Group,
    Observed,
    ObservedRule,
    Period,
    SexRule,
    Where,
    Window,
)
from tasks.report.phrases import Phrases
from tasks.report.voice import Voice

_CONDITIONS = (Counted, AgeRule, SexRule, ObservedRule, Group)
_ENDS = (ObservationEnd, EventEnd, FixedEnd, EraEnd)
_SPOKEN: tuple[tuple[tuple[type, ...], str], ...] = (
    (_CONDITIONS, "condition"),
    (_ENDS, "end"),
    ((Events,), "events"),
    ((Window,), "window"),
    ((Age,), "age"),
    ((Period,), "period"),
    ((Observed,), "observed"),
    ((Rule,), "rule"),
)


def told(voice: Voice, block: Any, skip: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return every key of a block that says something, with its value in words."""
    return [
        (voice.term("field", key), text)
        for key, value in items_of(block)
        if key not in set(skip) and (text := said_of(voice, block, key, value))
    ]


def said_of(voice: Voice, block: Any, key: str, value: Any) -> str:
    """Return the value of a key of a block; what an analysis reads goes by its id."""
    if key == "source" and isinstance(block, Analysis):
        return str(value or "")
    return said(voice, key, value)


def said(voice: Voice, key: str, value: Any, phrases: Phrases | None = None) -> str:
    """Return the value of a key as text; a coded value of that key by its word."""
    if isinstance(value, str) and voice.knows(key, value):
        return voice.term(key, value)
    if isinstance(value, str) and key in _NAMED_ELSEWHERE:
        return _named_elsewhere(voice, key, value)
    if isinstance(value, str) and key in {"code_list", "image", "visit"}:
        return voice.zero.code_list(value)
    if key in {"code_lists", "exclude"} and _are_texts(value):
        return ", ".join(voice.zero.code_list(item) for item in value)
    if key == "columns" and isinstance(value, Mapping):
        return joined(f"{name}: {_column_text(voice, kind)}" for name, kind in value.items())
    return value_text(voice, value, phrases)


_NAMED_ELSEWHERE = ("kind", "domain")


def _named_elsewhere(voice: Voice, key: str, value: str) -> str:
    """Return the word for a kind of covariate or source, or for a kind of record."""
    if key == "domain":
        return voice.zero.domain(value)
    family = next((name for name in ("covariate", "source") if voice.knows(name, value)), key)
    return voice.term(family, value)


def _column_text(voice: Voice, kind: Any) -> str:
    """Say what a column of a delivered table holds."""
    return voice.term("column_type", kind) if isinstance(kind, str) else value_text(voice, kind)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def value_text(voice: Voice, value: Any, phrases: Phrases | None = None) -> str:
    """Return any value of a study as text; empty for what is left out.

    Args:
        voice: The study and its language.
        value: A scalar, a text, a block or a list of them.
        phrases: Words of the cohort language; those that count from time zero when absent.
    """
    phrases = phrases or voice.zero
    if spoken := spoken_text(phrases, value) or _role_text(voice, value):
        return spoken
    each = partial(value_text, voice, phrases=phrases)
    match value:
        case None:
            return ""
        case bool():
            return voice("value.yes" if value else "value.no")
        case Text():
            return voice.text(value)
        case BaseModel() | Mapping():
            pairs = [(key, said(voice, key, item, phrases)) for key, item in items_of(value)]
            name = partial(_name, voice, is_key=isinstance(value, BaseModel))
            return joined(f"{name(key)}: {text}" for key, text in pairs if text)
        case tuple() | list() | set() | frozenset():
            nested = any(isinstance(item, BaseModel | Mapping) for item in value)
            return (" / " if nested else ", ").join(filter(None, map(each, value)))
        case _:
            return str(value)


def _role_text(voice: Voice, value: Any) -> str:
    """Name a column that fills a role, with its unit or with what its values stand for."""
    if isinstance(value, TimeColumn):
        return f"{value.column} ({voice.term('unit', value.unit)})"
    if not isinstance(value, CodedColumn):
        return ""
    codes = ", ".join(f"{cell} = {code}" for cell, code in (value.codes or {}).items())
    return f"{value.column} ({codes})" if codes else value.column


def spoken_text(phrases: Phrases, value: Any) -> str:
    """Return the sentence of a value of the cohort language; empty for any other value."""
    if isinstance(value, Entry):
        return " ".join(phrases.entry(value))
    if isinstance(value, Where):
        return "; ".join(phrases.where(value))
    for kinds, name in _SPOKEN:
        if isinstance(value, kinds):
            return str(getattr(phrases, name)(value))
    return ""


def joined(texts: Iterable[str]) -> str:
    """Return texts in one line; only the last keeps its full stop."""
    *first, last = [text for text in texts if text] or [""]
    return "; ".join([*(text.rstrip(".") for text in first), last])


def _name(voice: Voice, key: str, *, is_key: bool) -> str:
    """Return the word for a key of the file; what a study names itself stays as it is."""
    return voice.term("field", key) if is_key or voice.knows("field", key) else key


def items_of(block: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a block with their values; none of anything else."""
    if isinstance(block, BaseModel):
        yield from ((name, getattr(block, name)) for name in type(block).model_fields)
    elif isinstance(block, Mapping):
        yield from ((str(name), value) for name, value in block.items())
