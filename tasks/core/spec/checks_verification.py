"""Whether readings can be corrected as a study asks: weights, sampling, tests and populations."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import ReadingTable
from tasks.core.spec.verification import ImperfectReference
from tasks.core.spec.whole import StudySpec

_METHODS = ("verification_bias", "latent_class")
_REFUSED = ("e_value", "subgroups", "missing_data")


def _readings_can_be_corrected(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if not isinstance(source, ReadingTable) or analysis.method not in _METHODS:
            continue
        yield from _takes_what_it_can(source, analysis, path)
        if analysis.method == "latent_class":
            yield from _is_identified(source, analysis, path)


def _takes_what_it_can(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.roles.weight is not None:
        what = f"method {analysis.method} has no weighted form, and source {source.id} has weights"
        yield Fault((*path, "method"), what, "name a source without the role weight.")
    if source.sampling == "case_control" and analysis.method == "verification_bias":
        what = "cases drawn by their truth were all verified before they were drawn"
        yield Fault((*path, "method"), what, "take method accuracy.")
    for key in (key for key in _REFUSED if getattr(analysis, key)):
        yield Fault((*path, key), f"method {analysis.method} has no {key}", "remove it.")


def _is_identified(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """There are three tests, or two in two populations; else only known errors can be used."""
    asked = analysis.imperfect_reference or ImperfectReference()
    if asked.populations == "sites" and source.roles.site is None:
        what = f"populations are sites, and source {source.id} has no role site"
        yield Fault((*path, "imperfect_reference", "populations"), what, "add the role site.")
    tests = _tests(source, asked)
    enough = 3 if asked.populations == "one" else 2
    if tests is not None and tests < enough and not asked.known:
        what = f"not identified: {tests} test(s), and {enough} are needed"
        fix = (
            "add a modality, or reference_is_a_test: true; take sites as populations (two tests "
            "are then enough); or give the accuracy of the reference under known."
        )
        yield Fault((*path, "imperfect_reference"), what, fix)


def _tests(source: ReadingTable, asked: ImperfectReference) -> int | None:
    """Return how many tests a table tells of; None where its column of modalities may hold any."""
    if source.roles.modality is None:
        return 1 + asked.reference_is_a_test
    kind = source.columns.get(source.roles.modality)
    return len(kind.category) + asked.reference_is_a_test if isinstance(kind, Category) else None


_OF_READINGS = ("cases", "with_condition", "without_condition", "readers")
_WITH_PERSONS = ("analysis_table", "reading_table")


def _sizes_can_be_counted(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        if analysis.sample_size is None:
            continue
        path, source = ("analyses", place, "sample_size"), tables.get(analysis.source or "")
        if source is None or source.kind not in _WITH_PERSONS or analysis.missing_data:
            what = "planned numbers are held against a table of persons or readings as it stands"
            yield Fault(path, what, "remove sample_size, or missing_data.")
            continue
        for name in analysis.sample_size.planned:
            if name in _OF_READINGS and not isinstance(source, ReadingTable):
                what = f"{name} are of a table of readings; source {source.id} is none"
                yield Fault((*path, name), what, "plan persons or events.")
            elif name == "events" and isinstance(source, ReadingTable):
                fix = "plan cases with_condition."
                yield Fault((*path, name), "a table of readings has no events here", fix)
            elif name == "readers" and getattr(source.roles, "reader", None) is None:
                what = f"source {source.id} has no role reader"
                yield Fault((*path, name), what, "add the role, or remove it.")


VERIFICATION_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _readings_can_be_corrected),
    Check(("sources", "analyses"), _sizes_can_be_counted),
)
