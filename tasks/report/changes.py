"""What changed between two versions of a study, in the terms of a protocol."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from tasks.core.spec.base import Text
from tasks.core.spec.cohorts import Entry, Rule
from tasks.core.spec.conditions import events_of, lists_of
from tasks.core.spec.design import Design
from tasks.core.spec.whole import StudySpec
from tasks.report.generic import items_of, said, spoken_text, told, value_text
from tasks.report.model import Language
from tasks.report.phrases import Phrases
from tasks.report.protocol.opening import anchor_text
from tasks.report.voice import Voice

Path = tuple[str, ...]
SECTIONS = (
    "study",
    "sources",
    "device",
    "time_zero",
    "eligibility",
    "cohorts",
    "exposure",
    "outcome",
    "follow_up",
    "estimands",
    "covariates",
    "code_lists",
    "design",
    "primary",
    "analyses",
    "gates",
    "waivers",
    "privacy",
    "report",
)
_OF_DESIGN = {
    "time_zero": "time_zero",
    "image": "time_zero",
    "enrolment": "eligibility",
    "prior_observation_days": "eligibility",
    "prior_outcome_days": "eligibility",
    "common_period": "eligibility",
    "in_both_arms": "eligibility",
    "eligibility": "eligibility",
    "populations": "eligibility",
    "entry_cohort": "eligibility",
    "treatment_cohort": "exposure",
    "strategies": "exposure",
    "assignment": "exposure",
    "grace_period_days": "exposure",
    "risk_start": "follow_up",
    "risk_end": "follow_up",
    "censor_at": "follow_up",
    "censor_events": "follow_up",
    "competing": "follow_up",
    "observability": "follow_up",
    "estimand": "estimands",
    "estimands": "estimands",
}
_OF_BLOCK = {"target": "exposure", "comparator": "exposure"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where in the protocol, of what, and what it was and is.

    `path` is the place in the study file; `before` or `after` is empty where there was nothing.
    """

    section: str
    title: str
    item: str
    before: str
    after: str
    text: str
    path: str

    def as_json(self) -> dict[str, str]:
        """Return the change as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.item}: {self.text}" if self.item else self.text


def changes(old: StudySpec, new: StudySpec, language: Language = "en") -> list[Change]:
    """Return every difference between two versions of a study, in the order of a protocol."""
    differ = _Differ(Voice(old, language), Voice(new, language))
    found = [*differ.blocks(), *differ.files()]
    rank = {name: place for place, name in enumerate(SECTIONS)}
    return sorted(found, key=lambda change: rank.get(change.section, len(SECTIONS)))


class _Differ:
    """Walks two studies side by side; lists go by the ids of their entries."""

    def __init__(self, old: Voice, new: Voice) -> None:
        self.old, self.new = old, new

    def blocks(self) -> Iterator[Change]:
        for name, after in items_of(self.new.spec):
            yield from self.walk((name,), (), getattr(self.old.spec, name), after)

    def files(self) -> Iterator[Change]:
        """Compare the files that both studies name."""
        before, after = self.old.spec.files, self.new.spec.files
        for name in sorted(set(before) & set(after)):
            if before[name] != after[name]:
                yield self._change(
                    ("cohorts", name), (), "", "", self.new("change.file", file=name)
                )

    def walk(self, path: Path, items: Path, before: Any, after: Any) -> Iterator[Change]:
        """Yield the differences below one place of the file."""
        if before == after:
            return
        if _is_list(before) and _is_list(after):
            yield from self._lists(path, items, tuple(before), tuple(after))
            return
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for key in dict.fromkeys([*before, *after]):
                below = ((*path, str(key)), (*items, str(key)))
                yield from self.walk(*below, before.get(key), after.get(key))
            return
        texts = self._texts(path, before, after)
        if type(before) is type(after) and isinstance(before, BaseModel):
            if self._is_one_thing(path, before) and texts[0] != texts[1]:
                yield self._part(path, items, before, after) or self._change(path, items, *texts)
                return
            yield from self._keys(path, items, before, after)
            return
        yield self._change(path, items, *texts)

    def _keys(
        self, path: Path, items: Path, before: BaseModel, after: BaseModel
    ) -> Iterator[Change]:
        for key, value in items_of(after):
            below = (*path, key)
            named = items if _is_list(value) else (*items, self.new.term("field", key))
            yield from self.walk(below, named, getattr(before, key), value)

    def _part(self, path: Path, items: Path, before: BaseModel, after: BaseModel) -> Change | None:
        """Return the one value of an entry that changed; None where more did."""
        found = list(_leaves(before, after)) if isinstance(before, Entry) else []
        if len(found) != 1:
            return None
        [(keys, *values)] = found
        old, new = (
            self._leaf(voice, keys[-1], value)
            for voice, value in zip((self.old, self.new), values, strict=True)
        )
        named = [self.new.term("field", key) for key in keys if not key.isdecimal()]
        return self._change((*path, *keys), (*items, *named), old, new)

    def _leaf(self, voice: Voice, key: str, value: Any) -> str:
        if key.endswith("_days") and isinstance(value, int):
            return voice.cohort.days(value)
        return said(voice, key, value, voice.cohort)

    def _is_one_thing(self, path: Path, value: BaseModel) -> bool:
        """Whether a block is told as a whole: a sentence, a text, a day relative to another."""
        is_sentence = bool(spoken_text(self._phrases(self.new, path), value))
        return is_sentence or isinstance(value, Text) or hasattr(value, "anchor")

    def _lists(self, path: Path, items: Path, before: Path, after: Path) -> Iterator[Change]:
        old, new = _by_id(before), _by_id(after)
        if old is None or new is None:
            yield from self._values(path, items, before, after)
            return
        for name in [*old, *(name for name in new if name not in old)]:
            named = (*items, self._item(path[-1], name))
            yield from self.walk((*path, name), named, old.get(name), new.get(name))
        kept_before, kept_after = ([n for n in a if n in b] for a, b in ((old, new), (new, old)))
        if kept_before != kept_after:
            named = (*items, self.new.term("field", path[-1]))
            yield self._change(path, named, "", "", self.new("change.order"))

    def _values(self, path: Path, items: Path, before: Path, after: Path) -> Iterator[Change]:
        """Compare lists of plain values, or of blocks without an id."""
        old = [self._text(self.old, path, value) for value in before]
        new = [self._text(self.new, path, value) for value in after]
        family = "value" if self.new.knows("value", path[-1]) else "field"
        what = self.new.term(family, path[-1])
        gone, come = ([text for text in a if text not in b] for a, b in ((old, new), (new, old)))
        for text in gone:
            said_so = self.new("change.value_removed", what=what, value=text)
            yield self._change(path, items, text, "", said_so)
        for text in come:
            said_so = self.new("change.value_added", what=what, value=text)
            yield self._change(path, items, "", text, said_so)
        if not gone and not come:
            yield self._change(path, (*items, what), "", "", self.new("change.order"))

    def _item(self, block: str, name: str) -> str:
        key = f"item.{block}"
        return self.new(key, id=name) if self.new.knows("item", block) else name

    def _texts(self, path: Path, before: Any, after: Any) -> tuple[str, str]:
        """Write both values; texts that agree in this language in the other one."""
        if isinstance(before, Text) and isinstance(after, Text):
            here, there = ("ko", "en") if self.new.language == "ko" else ("en", "ko")
            same = before.in_language(here) == after.in_language(here)
            chosen = there if same else here
            return before.in_language(chosen), after.in_language(chosen)
        return self._text(self.old, path, before), self._text(self.new, path, after)

    def _text(self, voice: Voice, path: Path, value: Any) -> str:
        if hasattr(value, "anchor") and isinstance(value, BaseModel):
            return anchor_text(voice, value)
        if isinstance(value, BaseModel) and hasattr(value, "id") and not isinstance(value, Rule):
            pairs = told(voice, value, skip=("id",))
            return "; ".join(f"{name}: {text}" for name, text in pairs)
        key = "gate" if path[0] == "gates" and path[-1] == "name" else path[-1]
        return said(voice, key, value, self._phrases(voice, path)) or value_text(voice, value)

    def _phrases(self, voice: Voice, path: Path) -> Phrases:
        return voice.cohort if path[0] == "cohorts" else voice.zero

    def _change(self, path: Path, items: Path, before: str, after: str, text: str = "") -> Change:
        section = self._section(path)
        if not text:
            kind = "changed" if before and after else "removed" if before else "added"
            nothing = self.new("change.empty")
            text = self.new(f"change.{kind}", before=before or nothing, after=after or nothing)
        title = self.new.term("changes", section)
        return Change(section, title, ": ".join(items), before, after, text, ".".join(path))

    def _section(self, path: Path) -> str:
        """Return the part of the protocol that a place of the file belongs to."""
        block = path[0]
        if block == "design" and len(path) > 1:
            return _OF_DESIGN.get(path[1], "design")
        if block == "code_lists" and len(path) > 1:
            return _use_of(self.new.spec, path[1]) or _use_of(self.old.spec, path[1]) or block
        if block == "analyses" and len(path) > 1:
            return "primary" if path[1] in self._primaries() else block
        return _OF_BLOCK.get(block, block)

    def _primaries(self) -> set[str]:
        both = (*self.old.spec.analyses, *self.new.spec.analyses)
        return {analysis.id for analysis in both if analysis.role == "primary"}


_Leaf = tuple[Path, Any, Any]


def _leaves(before: Any, after: Any, path: Path = ()) -> Iterator[_Leaf]:
    """Yield every place at which two values differ, as deep as both are of one kind."""
    if before == after:
        return
    if isinstance(before, BaseModel) and type(before) is type(after):
        for key, value in items_of(before):
            yield from _leaves(value, getattr(after, key), (*path, key))
    elif _is_list(before) and _is_list(after) and len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _leaves(old, new, (*path, str(place)))
    else:
        yield path, before, after


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _by_id(values: tuple[Any, ...]) -> Mapping[str, Any] | None:
    """Return the entries of a list by id (or name); None where some have none of their own."""
    names = [getattr(value, "id", None) or _name_of(value) for value in values]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return {str(name): value for name, value in zip(names, values, strict=True)}


def _name_of(value: Any) -> str | None:
    name = getattr(value, "name", None) if isinstance(value, BaseModel) else None
    return f"{name} ({value.adjustment})" if name and hasattr(value, "adjustment") else name


def lists_of_eligibility(design: Design) -> set[str]:
    """Return the code lists that decide who is eligible, or in a population within the study."""
    conditions = [rule.condition for rule in design.eligibility]
    conditions += [population.require for population in design.populations]
    return lists_of(events for condition in conditions for events in events_of(condition))


def _use_of(spec: StudySpec, code_list: str) -> str | None:
    """Return the part of the protocol that a code list is used in first."""
    used = (
        ("outcome", spec.outcome),
        ("exposure", spec.target),
        ("exposure", spec.comparator),
    )
    for section, block in used:
        if getattr(block, "code_list", None) == code_list:
            return section
    if getattr(spec.design, "image", None) == code_list:
        return "time_zero"
    if spec.design is not None:
        if code_list in lists_of_eligibility(spec.design):
            return "eligibility"
        if code_list in lists_of(spec.design.censor_events):
            return "follow_up"
    lists = [getattr(covariate, "code_lists", ()) for covariate in spec.covariates]
    return "covariates" if any(code_list in named for named in lists) else None
