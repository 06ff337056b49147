"""Whether curves and their tests are asked for what they have: variances, intervals, weightings."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.sources import AnalysisTable, TableSource
from tasks.core.spec.table_fields import group_column
from tasks.core.spec.whole import StudySpec

_VARIANCES = {"cumulative_incidence": ("ij", "aalen"), "nelson_aalen": ("poisson", "greenwood")}


def _curves_have_what_is_asked(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        path: KeyPath = ("analyses", place)
        source = tables.get(analysis.source or "")
        yield from _variance_exists(analysis, path)
        yield from _weighting_is_one(analysis, path)
        yield from _clusters_of_curves(analysis, path)
        yield from _takes_weights(analysis, source, path)
        yield from _means_are_compared(analysis, source, path)


def _variance_exists(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    known = _VARIANCES.get(analysis.method, ())
    if analysis.variance is not None and known and analysis.variance not in known:
        what = f"{analysis.method} has no variance {analysis.variance}"
        yield Fault((*path, "variance"), what, f"choose {' or '.join(known)}.")
    if analysis.method == "kaplan_meier" and analysis.conf_type == "cloglog":
        what = "cloglog is a scale of cumulative_incidence"
        yield Fault((*path, "conf_type"), what, "write log-log: of survival it is the same.")
    if analysis.method != "nelson_aalen":
        return
    if analysis.conf_type not in (None, "log", "plain"):
        what = f"a cumulative hazard has no interval on the scale {analysis.conf_type}"
        yield Fault((*path, "conf_type"), what, "choose log or plain.")
    if analysis.ctype == 2 and analysis.variance == "greenwood":
        what = "ctype 2 takes tied events one after the other; greenwood takes them together"
        yield Fault((*path, "variance"), what, "write variance: poisson, or ctype: 1.")


def _weighting_is_one(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if analysis.weighting and (analysis.rho or analysis.gamma):
        what = f"weighting {analysis.weighting} and rho or gamma are two weightings"
        yield Fault((*path, "weighting"), what, "keep one of them.")


def _takes_weights(
    analysis: Analysis, source: TableSource | None, path: KeyPath
) -> Iterator[Fault]:
    """A variance by name is that of rows that count once; weights have the robust one."""
    is_weighted = analysis.adjustment in ("iptw_ate", "overlap")
    is_late = False
    if isinstance(source, AnalysisTable):
        is_weighted = source.roles.weight is not None
        is_late = bool(source.roles.entry or source.roles.start)
    if analysis.variance == "aalen" and (is_weighted or is_late):
        what = "variance aalen takes neither weights nor late entry"
        yield Fault((*path, "variance"), what, "write variance: ij.")
    is_robust = is_weighted or analysis.cluster is not None
    if is_robust and (analysis.variance in ("poisson", "greenwood") or analysis.ctype == 2):
        what = "weighted and clustered hazards have the robust variance and ctype 1 only"
        yield Fault((*path, "variance"), what, "remove variance and ctype.")


def _clusters_of_curves(analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """Robust errors of clusters are those of plain curves, or of the weights of the table."""
    if analysis.method != "kaplan_meier" or analysis.cluster is None:
        return
    if analysis.adjustment != "none" or analysis.censoring_terms is not None:
        made = "adjustment" if analysis.adjustment != "none" else "censoring_terms"
        what = f"a curve with {made} takes no cluster"
        yield Fault((*path, "cluster"), what, "remove cluster, or the other.")


def _means_are_compared(
    analysis: Analysis, source: TableSource | None, path: KeyPath
) -> Iterator[Fault]:
    """The regression of restricted means compares groups of persons that start at 0."""
    if analysis.method != "rmst" or not analysis.terms or not isinstance(source, AnalysisTable):
        return
    roles = source.roles
    if group_column(source, analysis) is None:
        what = "terms adjust a comparison of restricted means, and no groups are named"
        yield Fault((*path, "by"), what, f"add by, or the role treatment to source {source.id}.")
    if roles.weight or roles.entry or roles.start:
        what = "the regression of restricted means takes neither weights nor late entry"
        yield Fault((*path, "terms"), what, "remove terms: the weighted means stand without.")


CURVE_CHECKS: tuple[Check, ...] = (Check(("sources", "analyses"), _curves_have_what_is_asked),)
