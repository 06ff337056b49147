"""Covariates of the study population and of described cohorts: what is asked, then one query.

A request is what one covariate asks of one domain: a window, a code list or every concept, and what
is taken. All requests are parameters of one query, which reads each table of events once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import duckdb

from tasks.core.charlson import charlson
from tasks.core.errors import EstimationError
from tasks.core.spec import (
    CharlsonCovariate,
    CohortCovariate,
    ConceptCovariates,
    Covariate,
    DeviceImageCovariate,
    MeasurementCovariates,
    NamedCovariates,
    StudySpec,
    VisitCovariate,
)
from tasks.core.spec.covariates import EVENT_TABLES
from tasks.core.sql import build_table

_NO_TABLES = {
    "cohort.subject": "person_id bigint, time_zero_date date",
    "cohort.cohort": "cohort_id varchar, person_id bigint, start_date date, end_date date",
    "cohort.code_list": "code_list_id varchar, concept_id bigint",
    "cohort.source_code": "code_list_id varchar, vocabulary_id varchar, code varchar, "
    "valid_from date, valid_to date, is_prefix boolean",
}
_FEW = 20  # numbers of records below this are not told


class CovariateError(EstimationError):
    """The records do not give the covariates that the study asks for."""

    default_code = "E_COVARIATE"


@dataclass(frozen=True, slots=True)
class Request:
    """What one covariate asks of one domain; `level` is None where each concept is a level."""

    covariate_id: str
    domain: str | None
    first_day: int
    last_day: int
    takes: str
    level: int | None
    list_id: str | None = None
    cohort_id: str | None = None
    unit: int | None = None
    min_share: float = 0.0
    max_share: float = 1.0
    weight: float | None = None
    not_beside: int | None = None
    excluded: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


_PARAMETERS = {
    "covariate_id": "covariate_ids",
    "domain": "request_domains",
    "first_day": "first_days",
    "last_day": "last_days",
    "list_id": "list_ids",
    "cohort_id": "cohort_ids",
    "takes": "takes",
    "unit": "units",
    "level": "levels",
    "min_share": "min_shares",
    "max_share": "max_shares",
    "weight": "weights",
    "not_beside": "not_beside",
}


def requests_of(covariate: Covariate) -> tuple[Request, ...]:
    """Return what a covariate asks of the records; nothing where it is no history."""
    match covariate:
        case ConceptCovariates():
            return (_concepts(covariate),)
        case NamedCovariates() | VisitCovariate() | MeasurementCovariates() | CohortCovariate():
            return tuple(_named(covariate))
        case CharlsonCovariate():
            return tuple(_components(covariate))
        case _:
            return ()


def tables_of_covariates(spec: StudySpec) -> set[str]:
    """Return the tables of the lake that the covariates of a study read."""
    asked = {r.domain for c in spec.covariates for r in requests_of(c) if r.domain}
    images = any(isinstance(c, DeviceImageCovariate) for c in spec.covariates)
    everything = set(EVENT_TABLES) if spec.covariates else set()
    return asked | everything | ({"device_inference"} if images else set())


def tables_described(spec: StudySpec) -> set[str]:
    """Return the tables of the lake that the covariates and descriptions of a study read."""
    block = spec.characterisation
    if block is None:
        return tables_of_covariates(spec)
    named = {table for item in block.missingness for table in item.tables}
    return tables_of_covariates(spec) | named | {"observation_period", "condition_occurrence"}


def described_cohorts(spec: StudySpec) -> tuple[str, ...]:
    """Return the cohorts that some Table 1 describes: populations 1, 2, … in this order."""
    if spec.characterisation is None:
        return ()
    named = [name for item in spec.characterisation.table_one for name in item.cohorts]
    return tuple(dict.fromkeys(named))


def build_covariates(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build cohort.covariate_index and cohort.covariate, and leave out who lacks a value.

    Raises:
        CovariateError: Values come in several units, or are missing where the study refuses that.
    """
    make_missing_tables(con)
    if not spec.covariates:
        return
    build_table(con, "cohort.covariate_index", {"cohorts": list(described_cohorts(spec))})
    requests = [r for covariate in spec.covariates for r in requests_of(covariate)]
    _check_units(con, requests)
    build_table(con, "cohort.covariate", parameters(requests))
    if any(isinstance(c, DeviceImageCovariate) for c in spec.covariates):
        build_table(con, "cohort.index_image")
    if spec.has_trial:
        _handle_missing(con, spec)


def make_missing_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make empty those tables that queries read and that this study has no use for."""
    con.execute("create schema if not exists cohort")
    for table, columns in _NO_TABLES.items():
        con.execute(f"create table if not exists {table} ({columns})")


def parameters(requests: Sequence[Request]) -> Mapping[str, object]:
    """Return requests as the parameters of the query of all covariates."""
    numbered = list(enumerate(requests))
    columns = {f.name for f in fields(Request)} & set(_PARAMETERS)
    prefixes = [(i, prefix) for i, r in numbered for prefix in r.prefixes]
    excluded = [(i, name) for i, r in numbered for name in r.excluded]
    return {
        "any_domains": sorted({str(r.domain) for r in requests if _is_any(r)}),
        "detail_domains": sorted({r.domain for r in requests if r.domain and not _is_any(r)}),
        "reads_source": any(r.list_id or r.prefixes for r in requests),
        "first_day": min((r.first_day for r in requests), default=0),
        "last_day": max((r.last_day for r in requests), default=0),
        "request_ids": [i for i, _ in numbered],
        **{_PARAMETERS[name]: [getattr(r, name) for r in requests] for name in columns},
        "prefix_requests": [i for i, _ in prefixes],
        "prefixes": [prefix for _, prefix in prefixes],
        "excluding": [i for i, _ in excluded],
        "excluded": [name for _, name in excluded],
    }


def _is_any(request: Request) -> bool:
    """Whether every concept of a domain is asked for, and only whether it is there."""
    return request.level is None and request.takes == "any"


def _concepts(covariate: ConceptCovariates) -> Request:
    return Request(
        covariate.id,
        covariate.table,
        covariate.window_start_days,
        covariate.window_end_days,
        "any",
        None,
        min_share=covariate.min_share,
        max_share=1 - covariate.min_share,
        excluded=covariate.exclude,
    )


def _named(
    covariate: NamedCovariates | VisitCovariate | MeasurementCovariates | CohortCovariate,
) -> Iterator[Request]:
    """One request a code list or cohort; one for everything where none is named."""
    window = (covariate.window_start_days, covariate.window_end_days)
    least, most = covariate.min_share, 1 - covariate.min_share
    match covariate:
        case CohortCovariate():
            for level, name in enumerate(covariate.cohorts):
                yield Request(
                    covariate.id, None, *window, "any", level, cohort_id=name,
                    min_share=least, max_share=most,
                )  # fmt: skip
        case NamedCovariates():
            for level, name in enumerate(covariate.code_lists):
                yield Request(
                    covariate.id, covariate.table, *window, "any", level, name,
                    min_share=least, max_share=most,
                )  # fmt: skip
        case VisitCovariate():
            lists: tuple[str | None, ...] = covariate.code_lists or (None,)
            for level, wanted in enumerate(lists):
                yield Request(
                    covariate.id, "visit_occurrence", *window, "count", level, wanted,
                    min_share=least,
                )  # fmt: skip
        case MeasurementCovariates():
            yield from _measurements(covariate, window)


def _measurements(covariate: MeasurementCovariates, window: tuple[int, int]) -> Iterator[Request]:
    everybody = 1 - covariate.min_share if covariate.value == "any" else 1.0
    named: list[tuple[int | None, str | None]] = list(enumerate(covariate.code_lists))
    for level, name in named or [(None, None)]:
        yield Request(
            covariate.id, "measurement", *window, covariate.value, level, name,
            unit=covariate.unit, min_share=covariate.min_share, max_share=everybody,
        )  # fmt: skip


def _components(covariate: CharlsonCovariate) -> Iterator[Request]:
    levels = {name: level for level, name in enumerate(charlson())}
    for name, component in charlson().items():
        graver = component.not_beside
        yield Request(
            covariate.id,
            "condition_occurrence",
            covariate.window_start_days,
            covariate.window_end_days,
            "component",
            levels[name],
            covariate.components.get(name),
            weight=float(component.weights[covariate.weights]),
            not_beside=levels[graver] if graver else None,
            prefixes=() if covariate.components else component.codes,
        )


def _check_units(con: duckdb.DuckDBPyConnection, requests: Sequence[Request]) -> None:
    """Refuse values that come in several units: their mean would mean nothing."""
    asked = [r for r in requests if r.takes in {"last", "mean"} and r.unit is None]
    if not asked:
        return
    build_table(con, "cohort.covariate_unit", parameters(asked))
    mixed = con.execute(
        "select covariate_id, level, list((unit_concept_id, records) order by unit_concept_id) "
        "from cohort.covariate_unit group by all having count(*) > 1 order by 1, 2"
    ).fetchall()
    for covariate_id, level, units in mixed:
        told = ", ".join(f"{unit} ({_told(records)} records)" for unit, records in units)
        what = f"values of level {level} come in several units: concepts {told}"
        fix = "name the unit to use: `unit: <concept id>`."
        raise CovariateError(f"covariate {covariate_id}", what, fix, "E_COVARIATE_UNITS")


def _told(records: int) -> str:
    return str(records) if records >= _FEW else f"fewer than {_FEW}"


def _handle_missing(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    valued = [c for c in spec.covariates if isinstance(c, MeasurementCovariates)]
    if refusing := [c for c in valued if c.missing == "refuse"]:
        _refuse_missing(con, refusing)
    if incomplete := [c for c in valued if c.missing == "complete_case"]:
        build_table(con, "cohort.missing_covariate", _levels(incomplete, _levels_kept(con)))
        build_table(con, "cohort.complete_subject")
        build_table(con, "cohort.complete_attrition")
        for table in ("subject", "attrition"):
            con.execute(f"drop table cohort.{table}")
            con.execute(f"alter table cohort.complete_{table} rename to {table}")


def _levels(
    covariates: Sequence[MeasurementCovariates], kept: set[tuple[str, int]] | None = None
) -> Mapping[str, object]:
    levels = [(c.id, level) for c in covariates for level in range(len(c.code_lists))]
    wanted = [pair for pair in levels if kept is None or pair in kept]
    return {"covariate_ids": [i for i, _ in wanted], "levels": [level for _, level in wanted]}


def _levels_kept(con: duckdb.DuckDBPyConnection) -> set[tuple[str, int]]:
    """Levels that enough people have: what is no covariate may be missing."""
    query = "select distinct covariate_id, level from cohort.covariate where population_id = 0"
    return {(str(name), int(level)) for name, level in con.execute(query).fetchall()}


def _refuse_missing(
    con: duckdb.DuckDBPyConnection, covariates: Sequence[MeasurementCovariates]
) -> None:
    build_table(con, "cohort.missing_covariate", _levels(covariates))
    found = con.execute(
        "select distinct covariate_id from cohort.missing_covariate order by 1"
    ).fetchall()
    for (covariate_id,) in found:
        what = "some persons have no value"
        fix = "choose missing: complete_case or indicator, or a longer window."
        raise CovariateError(f"covariate {covariate_id}", what, fix, "E_COVARIATE_MISSING")
