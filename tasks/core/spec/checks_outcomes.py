"""Whether analyses of outcomes other than time fit their tables: families, counts, series."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import AnalysisTable, SeriesTable, TableSource, type_of
from tasks.core.spec.whole import StudySpec


def _outcomes_suit_their_methods(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source = tables.get(analysis.source or "")
        if source is not None and source.kind in analysis.rule.kinds:
            yield from _suits(source, analysis, ("analyses", place))


def _suits(source: TableSource, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    yield from _has_family(analysis, path)
    yield from _names_its_errors(analysis, path)
    if isinstance(source, SeriesTable) and analysis.method != "describe":
        yield from _is_a_series(source, analysis, path)
    if not isinstance(source, AnalysisTable):
        return
    if analysis.rule.outcome == "count or time":
        yield from _has_counts(source, analysis, path)
    if analysis.method == "risk":
        yield from _pools(source, analysis, path)
    if analysis.method == "gee":
        yield from _suits_gee(source, analysis, path)


def _has_family(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    allowed = _FAMILIES.get(analysis.method, ())
    if analysis.family is not None and allowed and analysis.family not in allowed:
        what = f"{analysis.method} has no family {analysis.family}"
        yield Fault((*path, "family"), what, f"choose one of {', '.join(allowed)}.")
    if analysis.season_period is not None and not analysis.season_terms:
        what = "season_period is given without season_terms: no season is fitted"
        yield Fault((*path, "season_period"), what, "write season_terms: 1 or more, or remove it.")


_FAMILIES = {
    "gee": ("gaussian", "binomial", "poisson"),
    "interrupted_time_series": ("gaussian", "poisson", "quasi_poisson"),
}


def _names_its_errors(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.hc is not None and analysis.std_error != "robust":
        what = "hc is a kind of robust standard errors, and std_error is not robust"
        yield Fault((*path, "hc"), what, "write std_error: robust, or remove hc.")
    if analysis.hc is not None and analysis.cluster is not None:
        what = "hc takes rows as independent, and cluster does not"
        yield Fault((*path, "hc"), what, "keep one; kinds of errors by cluster are named by cr.")
    if analysis.cr is not None and analysis.cluster is None:
        what = "cr is a kind of errors by cluster, and no cluster is named"
        yield Fault((*path, "cr"), what, "name the cluster, or remove cr.")


def _has_counts(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    roles, where = source.roles, f"source {source.id}"
    if roles.outcome is None and roles.event is None:
        what = f"{analysis.method} needs a count, or events and follow-up; {where} has neither"
        yield Fault((*path, "method"), what, "add the role outcome, or follow_up and event.")
    if roles.outcome is None and analysis.exposure is not None:
        what = f"the follow-up of {where} is its person-time already"
        yield Fault((*path, "exposure"), what, "remove exposure, or add the role outcome.")
    if roles.outcome and not source.outcome_is_number and analysis.method == "negative_binomial":
        what = f"negative_binomial needs a count; the outcome of {where} is 0 or 1"
        fix = f"declare it: columns: {{{roles.outcome.column}: number}}, or use poisson."
        yield Fault((*path, "method"), what, fix)


def _pools(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """Risks are pooled over strata by counts of persons, who are independent."""
    if analysis.strata and (source.roles.weight or analysis.cluster):
        what = "Mantel and Haenszel's method over strata takes no weights and no clusters"
        yield Fault((*path, "strata"), what, "remove strata, or the weights and the cluster.")


def _suits_gee(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.roles.outcome and source.outcome_is_number == (analysis.family == "binomial"):
        kind = "a number" if source.outcome_is_number else "coded 0 and 1"
        what = f"family {analysis.family} does not fit an outcome that is {kind}"
        fix = "write binomial for 0 and 1; declare the column number for gaussian and poisson."
        yield Fault((*path, "family"), what, fix)
    if analysis.exposure is not None and analysis.family != "poisson":
        what = f"exposure is of counts, and the family is {analysis.family}"
        yield Fault((*path, "exposure"), what, "write family: poisson, or remove exposure.")
    yield from _has_waves(source, analysis, path)


def _has_waves(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    kind = analysis.correlation
    if kind in _OF_WAVES and analysis.wave is None:
        what = f"{kind} needs the order of the rows of a cluster"
        yield Fault((*path, "wave"), what, "add wave: a column declared number.")
    if analysis.wave is not None and kind not in _OF_WAVES:
        what = f"wave orders rows for {' and '.join(_OF_WAVES)}, and the correlation is {kind}"
        yield Fault((*path, "wave"), what, "write correlation: ar1, or remove wave.")
    if analysis.wave is not None and type_of(source.columns, analysis.wave) != "number":
        what = f"column {analysis.wave} is not declared as number of source {source.id}"
        yield Fault((*path, "wave"), what, f"declare it: columns: {{{analysis.wave}: number}}.")


_OF_WAVES = ("ar1", "unstructured")


def _is_a_series(source: SeriesTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    roles, method = source.roles, analysis.method
    needed = ["intervention"] + (["site"] if method == "difference_in_differences" else [])
    if lacking := [name for name in needed if getattr(roles, name) is None]:
        what = f"{method} needs the role {' and '.join(lacking)}; source {source.id} has none"
        yield Fault((*path, "method"), what, "add the role to the source.")
    if roles.covariates:
        what = f"{method} takes no covariates yet"
        yield Fault((*path, "method"), what, "remove the role covariates of the source.")


OUTCOME_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _outcomes_suit_their_methods),)
