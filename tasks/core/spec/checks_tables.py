"""Whether the analyses of registry tables fit their tables: methods, roles, columns, levels."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.methods import methods_of_kind, methods_of_lake
from tasks.core.spec.sources import AnalysisTable, TableSource, role_columns, type_of
from tasks.core.spec.table_fields import follows_persons, group_column, reads_time
from tasks.core.spec.terms import Term, columns_in
from tasks.core.spec.whole import StudySpec

_WITHOUT_ENTRY = "start every person at time 0, or use a method that takes entry, such as cox"


def _sources_are_named(spec: StudySpec) -> Iterator[Fault]:
    known = {source.id: source.kind for source in spec.sources}
    for place, analysis in enumerate(spec.analyses):
        path: KeyPath = ("analyses", place, "source")
        if analysis.source is not None and known.get(analysis.source, "lake") == "lake":
            tables = [name for name, kind in known.items() if kind != "lake"]
            what = f"{analysis.source} is not a registry table of `sources`"
            fix = f"name one of {tables}." if tables else "add the table to sources."
            yield Fault(path, what, fix)
        elif analysis.source is None and spec.lake is None:
            fix = f"add source: {spec.tables[0].id}, or another table of `sources`."
            yield Fault(path, "the study has no lake; say which table is analysed", fix)


def _lake_methods_exist(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.source is None and not analysis.rule.of_lake:
            what = f"method {analysis.method} is of registry tables, not of cohorts of the lake"
            fix = f"choose one of {', '.join(methods_of_lake())}, or name the source."
            yield Fault(("analyses", place, "method"), what, fix)


def _gates_judge_a_comparison(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is not None or spec.lake is not None:
        return
    for place, gate in enumerate(spec.gates):
        if not spec.bound_by(gate):
            what = "gates judge the arms of a comparison, and this study has none"
            fix = f"let an analysis declare it (gates: [{gate.name}]), or remove it."
            yield Fault(("gates", place), what, fix)


def _one_lake(spec: StudySpec) -> Iterator[Fault]:
    lakes = [place for place, source in enumerate(spec.sources) if source.kind == "lake"]
    for place in lakes[1:]:
        yield Fault(("sources", place), "a study has one lake", "keep one source of kind lake.")


def _columns_play_their_roles(spec: StudySpec) -> Iterator[Fault]:
    """A column is read in one way: as what it is declared, or as its role demands."""
    for place, source in enumerate(spec.sources):
        if source.kind == "lake":
            continue
        once = [(role, name) for role, name in role_columns(source) if role in _ALONE]
        for role, name in once:
            if name in [other for other_role, other in once if other_role != role]:
                what = f"column {name} has the role {role} and another that cannot be with it"
                fix = "give each of these roles a column of its own."
                yield Fault(("sources", place, "roles", role), what, fix)


_REGRESSIONS = ("logistic", "linear", "poisson", "negative_binomial")
_OF_LOG_TIME = ("parametric_survival", "poisson", "negative_binomial")
_ALONE = ("follow_up", "event", "outcome", "entry", "start", "stop", "weight", "tp", "fp", "fn")


def _tables_suit_their_analyses(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        if source := tables.get(analysis.source or ""):
            yield from _suits(source, analysis, ("analyses", place))


def _suits(source: TableSource, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    methods = methods_of_kind(source.kind)
    if analysis.method not in methods:
        what = f"method {analysis.method} does not exist for a {source.kind}"
        yield Fault((*path, "method"), what, f"choose one of {', '.join(methods)}.")
    elif isinstance(source, AnalysisTable):
        yield from _has_roles(source, analysis, path)
        yield from _has_no_time_0(source, analysis, path)
        yield from _takes_weights(source, analysis, path)
        yield from _has_columns(source, analysis, path)
        yield from _marginal(source, analysis, path)


def _has_roles(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    roles, method, rule = source.roles, analysis.method, analysis.rule
    where = f"source {source.id}"
    yield from _has_outcome(source, analysis, path)
    is_timed = follows_persons(source, analysis)
    if is_timed and roles.event is None:
        either = "the role outcome, or " if rule.outcome == "outcome or time" else ""
        what = f"{method} needs {either}the roles follow_up and event; {where} has none"
        yield Fault((*path, "method"), what, "add the roles to the source.")
    elif not rule.takes_entry and is_timed and (roles.entry or roles.start):
        late = "entry" if roles.entry else "start and stop"
        what = f"method {method} does not take rows with {late} yet"
        yield Fault((*path, "method"), what, f"{_WITHOUT_ENTRY}.")
    if method in ("log_rank", "gray_test") and group_column(source, analysis) is None:
        fix = f"add by, or the role treatment to {where}."
        yield Fault((*path, "by"), f"{method} compares groups and none are named", fix)
    is_curve = method in ("kaplan_meier", "nelson_aalen")
    uses_cluster = "cluster" in rule.keys and not is_curve
    if uses_cluster and roles.cluster and analysis.cluster is None:
        what = f"rows are clustered by {roles.cluster}; {method} takes them as independent"
        fix = f"add cluster: {roles.cluster}, or remove the role."
        yield Fault((*path, "cluster"), what, fix, "W_TABLE_CLUSTER", is_warning=True)


def _has_no_time_0(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """Logarithms of times need times above 0."""
    follow_up = source.roles.follow_up
    if analysis.method not in _OF_LOG_TIME or not reads_time(source, analysis):
        return
    if follow_up is not None and follow_up.zero == "keep":
        what = f"{analysis.method} has no time 0, and source {source.id} says zero: keep"
        yield Fault((*path, "method"), what, "remove zero: keep, or name a source without it.")


def _has_outcome(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """The outcome is there, and of the kind that the method reads."""
    wanted, where = analysis.rule.outcome, f"source {source.id}"
    if wanted in {"none", "time", "count or time"} or reads_time(source, analysis):
        return
    if source.roles.outcome is None:
        what = f"{analysis.method} needs the role outcome; {where} has none"
        yield Fault((*path, "method"), what)
    elif wanted == "outcome or time":
        return
    elif source.outcome_is_number and "number" not in wanted:
        what = f"{analysis.method} needs an outcome of 0 and 1; that of {where} is a number"
        fix = "remove its column from columns, or give the role codes."
        yield Fault((*path, "method"), what, fix)
    elif not source.outcome_is_number and "binary" not in wanted:
        column = source.roles.outcome.column
        what = f"{analysis.method} needs an outcome that is a number; that of {where} is coded"
        yield Fault((*path, "method"), what, f"declare it: columns: {{{column}: number}}.")


def _takes_weights(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    method, std_error = analysis.method, analysis.std_error
    if method in _REGRESSIONS and std_error in ("profile_likelihood", "bootstrap"):
        what = f"{method} has no standard errors of kind {std_error} yet"
        yield Fault((*path, "std_error"), what, "write std_error: model, or robust.")
    if analysis.cluster is not None and std_error not in (None, "robust", "bootstrap"):
        yield Fault((*path, "std_error"), "cluster makes standard errors robust", "write robust.")
    if source.roles.weight is None or method == "describe":
        return
    if not analysis.rule.takes_weights:
        what = f"method {method} has no weighted form, and source {source.id} has weights"
        yield Fault((*path, "method"), what, "choose another method, or a source without weight.")
    if method in ("cox", *_REGRESSIONS) and std_error is None and analysis.cluster is None:
        what = f"source {source.id} has weights: say how standard errors are made"
        fix = "write std_error: robust for sampling weights, model for counts."
        yield Fault((*path, "std_error"), what, fix)
    if std_error == "profile_likelihood":
        yield Fault((*path, "std_error"), "a profile likelihood takes no weights", "write robust.")


def _has_columns(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    groups = ("category", "boolean")
    if analysis.by is not None and type_of(source.columns, analysis.by) not in groups:
        what = f"column {analysis.by} is not declared as category or boolean of source {source.id}"
        fix = f"declare it: columns: {{{analysis.by}: {{category: [levels]}}}}."
        yield Fault((*path, "by"), what, fix)
    yield from _has_terms(source, analysis.parsed_terms, (*path, "terms"))
    yield from _has_terms(source, analysis.parsed_censoring_terms, (*path, "censoring_terms"))


def _has_terms(source: AnalysisTable, terms: tuple[Term, ...], path: KeyPath) -> Iterator[Fault]:
    for name in columns_in(terms):
        kind = type_of(source.columns, name)
        if kind not in ("number", "boolean", "category"):
            what = f"term {name} is {kind or 'not among the columns'} of source {source.id}"
            fix = f"declare {name} under columns as number, boolean or category."
            yield Fault(path, what, fix)
        if kind in ("boolean", "category") and _is_changed(terms, name):
            what = f"column {name} is {kind}: it has no log, exp, sqrt or power"
            yield Fault(path, what, f"write {name} as it is, or declare it number.")


def _is_changed(terms: tuple[Term, ...], column: str) -> bool:
    return any(f.steps for term in terms for f in term if f.column == column)


def _marginal(source: AnalysisTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    """A product with a category is coded against its reference: its parts must be there too.

    A part that makes the strata is: each stratum has a baseline of its own.
    """
    there = {frozenset(term) for term in analysis.parsed_terms}
    for term in analysis.parsed_terms:
        parts = [tuple(f for f in term if f != left) for left in term] if len(term) > 1 else []
        parts = [part for part in parts if not {f.column for f in part} <= set(analysis.strata)]
        lacking = [_name(part) for part in parts if frozenset(part) not in there]
        if lacking and _has_category(source, term):
            what = f"{_name(term)} stands without {' and '.join(lacking)}"
            yield Fault((*path, "terms"), what, "write a * b, or add the columns themselves.")


def _name(term: Term) -> str:
    return ":".join(factor.label for factor in term)


def _has_category(source: AnalysisTable, term: Term) -> bool:
    return any(type_of(source.columns, factor.column) == "category" for factor in term)


TABLE_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _sources_are_named),
    Check(("analyses",), _lake_methods_exist),
    Check(("sources", "gates", "design", "analyses"), _gates_judge_a_comparison),
    Check(("sources",), _one_lake),
    Check(("sources",), _columns_play_their_roles),
    Check(("sources", "analyses"), _tables_suit_their_analyses),
)
