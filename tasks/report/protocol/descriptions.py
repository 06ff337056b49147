"""Descriptions that a study asks for, each as a sentence."""

from collections.abc import Callable, Iterator
from typing import Any

from tasks.core.spec.characterisation import (
    EVERYBODY,
    Incidence,
    Missingness,
    Prevalence,
    TableOne,
    TimeToEvent,
    TreatmentPatterns,
)
from tasks.report.blocks import Block, Bullets, Run, Runs, runs
from tasks.report.diagrams import Bar, days_of
from tasks.report.protocol.parts import paragraph
from tasks.report.voice import Voice


def descriptions(voice: Voice) -> list[Block]:
    """Return every description of the study, those of a kind together."""
    asked = voice.spec.characterisation
    if asked is None:
        return []
    blocks: list[Block] = []
    for kind, say in _KINDS.items():
        if found := getattr(asked, kind):
            blocks.append(paragraph(Run(f"{voice(f'describe.{kind}')}.", tone="strong")))
            blocks.append(Bullets(tuple(_line(voice, item, say) for item in found)))
    return blocks


def _line(voice: Voice, item: Any, say: Callable[[Voice, Any], Iterator[str]]) -> Runs:
    return runs(Run(item.id, tone="code"), ": ", " ".join(say(voice, item)))


def name_of(voice: Voice, name: str) -> str:
    """Return what a cohort or a code list is called; everybody, where that is meant."""
    if name == EVERYBODY:
        return voice("describe.everybody")
    for cohort in voice.spec.cohorts:
        if cohort.id == name:
            return voice.text(cohort.name) or name
    return voice.zero.code_list(name)


def _quoted(voice: Voice, names: tuple[str, ...]) -> str:
    return ", ".join(voice("describe.quoted", name=name_of(voice, name)) for name in names)


def _table_one(voice: Voice, item: TableOne) -> Iterator[str]:
    covariates = ", ".join(item.covariates)
    if item.of == "arms":
        yield voice("describe.of_arms", covariates=covariates)
    else:
        cohorts = _quoted(voice, item.cohorts)
        yield voice("describe.of_cohorts", cohorts=cohorts, covariates=covariates)


def _incidence(voice: Voice, item: Incidence) -> Iterator[str]:
    yield voice(
        "describe.new_events",
        outcome=name_of(voice, item.outcome),
        population=name_of(voice, item.at_risk),
    )
    if item.clean_window_days == "ever":
        yield voice("describe.clean_ever")
    else:
        days = voice.zero.days(int(item.clean_window_days))
        yield voice("describe.clean_days", days=days)
    yield voice("describe.repeated" if item.repeated else "describe.once")
    yield voice("describe.interval", interval=voice.term("interval", item.interval))
    yield from _strata(voice, item)


def _prevalence(voice: Voice, item: Prevalence) -> Iterator[str]:
    yield voice(
        f"describe.{item.type}",
        condition=name_of(voice, item.condition),
        population=name_of(voice, item.population),
        interval=voice.term("interval_unit", item.interval),
    )
    yield from _strata(voice, item)


def _strata(voice: Voice, item: Incidence | Prevalence) -> Iterator[str]:
    """Say which days count, and of which persons a number is given apart."""
    if item.calendar:
        yield voice("describe.calendar", period=voice.zero.period(item.calendar))
    groups = [voice("describe.sex")] if item.by_sex else []
    if item.age_bands:
        first = ", ".join(map(str, item.age_bands))
        groups.append(voice("describe.age_bands", first=first))
    if groups:
        yield voice("describe.apart", groups=", ".join(groups))


def _time_to_event(voice: Voice, item: TimeToEvent) -> Iterator[str]:
    bins = zip(item.bins_days, item.bins_days[1:], strict=False)
    yield voice(
        "describe.around",
        event=name_of(voice, item.event),
        index=name_of(voice, item.index),
        bins=", ".join(days_of(Bar(low, high - 1)) for low, high in bins),
    )


def _treatment_patterns(voice: Voice, item: TreatmentPatterns) -> Iterator[str]:
    yield voice(
        "describe.order",
        index=name_of(voice, item.index),
        treatments=_quoted(voice, item.treatments),
        days=voice.zero.days(item.days),
        steps=str(item.max_steps),
    )
    if item.combine_days:
        yield voice("describe.combined", days=voice.zero.days(item.combine_days))


def _missingness(voice: Voice, item: Missingness) -> Iterator[str]:
    yield voice("describe.complete", tables=", ".join(item.tables))


_KINDS: dict[str, Callable[[Voice, Any], Iterator[str]]] = {
    "table_one": _table_one,
    "incidence": _incidence,
    "prevalence": _prevalence,
    "time_to_event": _time_to_event,
    "treatment_patterns": _treatment_patterns,
    "missingness": _missingness,
}
