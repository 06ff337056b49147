"""Whether the models of hazards are asked for what they can give."""

from collections.abc import Iterator, Mapping

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import AnalysisTable, type_of
from tasks.core.spec.terms import columns_in
from tasks.core.spec.whole import StudySpec

Value = bool | float | str


def _hazards_are_defined(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source = tables.get(analysis.source or "")
        table = source if isinstance(source, AnalysisTable) else None
        path: KeyPath = ("analyses", place)
        yield from _exact_ties(analysis, table, path)
        yield from _penalty(analysis, table, path)
        yield from _variant(analysis, table, path)
        if analysis.predict is not None and table is not None:
            yield from _predicts(analysis, analysis.predict.at, table, path)


def _has_weights(analysis: Analysis, table: AnalysisTable | None) -> list[str]:
    """Say what makes rows weighted or clustered."""
    found = ["weights"] if table is not None and table.roles.weight else []
    found += ["cluster"] if analysis.cluster else []
    return found + ([f"adjustment {analysis.adjustment}"] if analysis.adjustment != "none" else [])


def _exact_ties(analysis: Analysis, table: AnalysisTable | None, path: KeyPath) -> Iterator[Fault]:
    if analysis.ties != "exact":
        return
    refused = _has_weights(analysis, table)
    refused += ["std_error robust"] if analysis.std_error == "robust" else []
    if refused:
        what = f"the exact likelihood of ties takes no {' and no '.join(refused)}"
        yield Fault((*path, "ties"), what, "write ties: efron.")


def _penalty(analysis: Analysis, table: AnalysisTable | None, path: KeyPath) -> Iterator[Fault]:
    if analysis.penalty is None:
        return
    refused = _has_weights(analysis, table)
    refused += ["ties exact"] if analysis.ties == "exact" else []
    refused += ["prediction"] if analysis.predict is not None else []
    if analysis.std_error not in (None, "model"):
        refused.append(f"std_error {analysis.std_error}")
    if refused:
        what = f"a penalised model takes no {' and no '.join(refused)}"
        yield Fault((*path, "penalty"), what, "remove the one or the other.")


def _variant(analysis: Analysis, table: AnalysisTable | None, path: KeyPath) -> Iterator[Fault]:
    if analysis.method != "fine_gray" or analysis.variant != "crr":
        return
    refused = _has_weights(analysis, table) + (["strata"] if analysis.strata else [])
    if refused:
        what = f"variant crr takes no {' and no '.join(refused)}"
        yield Fault((*path, "variant"), what, "write variant: finegray_cluster.")


def _predicts(
    analysis: Analysis, at: Mapping[str, Value], table: AnalysisTable, path: KeyPath
) -> Iterator[Fault]:
    """Every column of the terms and every stratum has one value, of its kind; nothing else has."""
    of_terms = set(columns_in(analysis.parsed_terms))
    wanted = of_terms | set(analysis.strata)
    for name in sorted(wanted ^ set(at)):
        what = f"{name} has no value" if name in wanted else f"{name} is not among the terms"
        fix = "give each column of terms and strata one value."
        yield Fault((*path, "predict", "at"), what, fix)
    for name in sorted((wanted - of_terms) & set(at)):
        if not isinstance(at[name], str):
            what = f"{name} names a stratum by {at[name]!r}, which is no text"
            yield Fault((*path, "predict", "at", name), what, "write the stratum between quotes.")
    for name in sorted(of_terms & set(at)):
        if fault := _misfit(table, name, at[name]):
            yield Fault((*path, "predict", "at", name), *fault)


def _misfit(table: AnalysisTable, name: str, value: Value) -> tuple[str, str] | None:
    kind = type_of(table.columns, name)
    if kind == "category":
        column = table.columns[name]
        levels = column.category if isinstance(column, Category) else ()
        if value not in levels or not isinstance(value, str):
            return f"{value!r} is no level of {name}", f"write one of {list(levels)}, as text."
    elif isinstance(value, str) or (kind == "number" and isinstance(value, bool)):
        return f"{name} is a {kind}", "write a number, or true and false for a boolean."
    return None


HAZARD_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _hazards_are_defined),)
