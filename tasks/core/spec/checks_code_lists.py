"""Code lists that cannot find what they are used for, or only in a part of the time."""

from collections.abc import Iterator

from pydantic import BaseModel

from tasks.core.spec.code_list_files import members_of
from tasks.core.spec.code_lists import CodeList
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.whole import StudySpec

_SUCCESSION = {"KCD8": "KCD9", "KCD9": "KCD8"}


def _roles_have_concepts(spec: StudySpec) -> Iterator[Fault]:
    lists = {item.id: item for item in spec.code_lists}
    for path, name in _lists_of_roles(spec):
        item = lists.get(name)
        if item is not None and item.codes and not _has_concepts(item):
            what = f"is found by concept, and code list {name} holds source codes only"
            yield Fault(path, what, "add concepts to the list.")
        elif item is not None and item.codes:
            what = f"is found by concept; the source codes of code list {name} do not count here"
            fix = "nothing to do if the concepts say it all."
            yield Fault(path, what, fix, "W_CODES_UNUSED", is_warning=True)


def _lists_of_roles(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    """Code lists of a comparison that are looked up by concept alone, each with its place."""
    for block, key in (
        ("design", "image"),
        ("target", "code_list"),
        ("comparator", "code_list"),
        ("outcome", "code_list"),
    ):
        name = getattr(getattr(spec, block), key, None)
        if isinstance(name, str):
            yield (block, key), name
    for block in ("cohorts", "design"):
        yield from _visits(getattr(spec, block), (block,))
    for place, covariate in enumerate(spec.covariates):
        for name in getattr(covariate, "exclude", ()):
            yield ("covariates", place, "exclude"), name
    described = spec.characterisation.incidence if spec.characterisation else ()
    for place, incidence in enumerate(described):
        yield ("characterisation", "incidence", place, "outcome"), incidence.outcome


def _visits(block: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Code lists of kinds of visit, which are told by concept."""
    if isinstance(block, tuple):
        for place, part in enumerate(block):
            yield from _visits(part, (*path, place))
    elif isinstance(block, BaseModel):
        for key, value in block:
            if key == "visit" and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _visits(value, (*path, key))


def roles_without_concepts(spec: StudySpec) -> Iterator[Fault]:
    """Yield the roles whose lists hold no concept, once the files of the lists are read."""
    lists = {item.id: item for item in spec.code_lists}
    for path, name in _lists_of_roles(spec):
        item = lists.get(name)
        if item is not None and item.file and not members_of(item, spec.files).concepts:
            what = (
                f"is found by concept, and code list {name} ({item.file}) holds source codes only"
            )
            yield Fault(path, what, "add concepts to the list.")


def _has_concepts(item: CodeList) -> bool:
    return bool(item.concepts or item.concept_set or item.file)


def _code_systems_follow_one_another(spec: StudySpec) -> Iterator[Fault]:
    for place, item in enumerate(spec.code_lists):
        named = {block.vocabulary.upper() for block in item.codes}
        for one, other in _SUCCESSION.items():
            if one in named and other not in named:
                what = f"codes of {one} and none of {other}: KCD-9 replaced KCD-8 on 2026-01-01"
                fix = f"add the codes of {other}, or leave it where the study ends before."
                path = ("code_lists", place, "codes")
                yield Fault(path, what, fix, "W_CODES_ONE_SIDED", is_warning=True)


CODE_LIST_CHECKS: tuple[Check, ...] = (
    Check(
        (
            "code_lists",
            "design",
            "target",
            "comparator",
            "outcome",
            "cohorts",
            "covariates",
            "characterisation",
        ),
        _roles_have_concepts,
    ),
    Check(("code_lists",), _code_systems_follow_one_another),
)
