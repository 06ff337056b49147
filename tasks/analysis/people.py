"""The people of a study as arrays: what every estimate of a run is computed from."""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from tasks.core.spec import (
    AgeCovariate,
    ConditionCovariates,
    NamedConditionCovariates,
    SexCovariate,
    StudySpec,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_SEX = {
    8507: ("Sex: male", "성별: 남"),
    8532: ("Sex: female", "성별: 여"),
}
_REFERENCE_SEX = 8507


@dataclass(frozen=True, slots=True)
class Covariate:
    """One column of the covariate matrix."""

    id: str
    label_en: str
    label_ko: str
    is_binary: bool


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The study population, one entry a person, in the order of `person_id`.

    `follow_up_days` counts both ends; `cause` is 0 censored, 1 outcome, 2 competing death;
    `matrix` has one row a person and one column a covariate.
    """

    person_id: IntArray
    is_target: BoolArray
    follow_up_days: FloatArray
    cause: IntArray
    covariates: tuple[Covariate, ...]
    matrix: FloatArray

    @property
    def has_outcome(self) -> BoolArray:
        """True where follow-up ended in the outcome."""
        return np.asarray(self.cause == 1)

    def only(self, members: IntArray) -> "People":
        """Return those of the people whose `person_id` is among `members`."""
        kept = np.isin(self.person_id, members)
        return People(
            self.person_id[kept],
            self.is_target[kept],
            self.follow_up_days[kept],
            self.cause[kept],
            self.covariates,
            self.matrix[kept],
        )


def load_members(con: duckdb.DuckDBPyConnection, population: str) -> IntArray:
    """Return `person_id` of everybody in a population of the design."""
    query = "select person_id from cohort.population where population_id = $id order by person_id"
    found = con.execute(query, {"id": population}).fetchnumpy()["person_id"]
    return np.asarray(found, dtype=np.int64)


def load_people(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> People:
    """Read the study population and its covariates from a run's workspace."""
    subjects = _columns(
        con,
        "select person_id, is_target, follow_up_days, cause, age_years, gender_concept_id "
        "from cohort.subject order by person_id",
    )
    columns: list[tuple[Covariate, FloatArray]] = []
    for covariate in spec.covariates:
        match covariate:
            case AgeCovariate():
                columns.append(_age(covariate.id, subjects["age_years"]))
            case SexCovariate():
                columns.extend(_sexes(covariate.id, subjects["gender_concept_id"]))
            case ConditionCovariates():
                columns.extend(_conditions(con, covariate.id, subjects["person_id"]))
            case NamedConditionCovariates():
                columns.extend(_named(con, spec, covariate, subjects["person_id"]))
    return People(
        person_id=subjects["person_id"].astype(np.int64),
        is_target=subjects["is_target"].astype(bool),
        follow_up_days=subjects["follow_up_days"].astype(float),
        cause=subjects["cause"].astype(np.int64),
        covariates=tuple(covariate for covariate, _ in columns),
        matrix=np.column_stack([values for _, values in columns])
        if columns
        else np.empty((subjects["person_id"].size, 0)),
    )


def _columns(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(column) for name, column in con.execute(query).fetchnumpy().items()}


def _age(name: str, years: IntArray) -> tuple[Covariate, FloatArray]:
    return Covariate(name, "Age (years)", "나이 (세)", False), years.astype(float)


def _sexes(name: str, concept_ids: IntArray) -> list[tuple[Covariate, FloatArray]]:
    """One column for each recorded sex but the reference."""
    found = [int(c) for c in np.unique(concept_ids) if c != _REFERENCE_SEX]
    return [
        (
            Covariate(f"{name}={c}", *_SEX.get(c, (f"Sex: concept {c}", f"성별: 개념 {c}")), True),
            (concept_ids == c).astype(float),
        )
        for c in found
    ]


def _conditions(
    con: duckdb.DuckDBPyConnection, name: str, person_id: IntArray
) -> list[tuple[Covariate, FloatArray]]:
    """One column for each condition concept that some people have and some have not."""
    names = con.execute(
        "select kept.concept_id, coalesce(concept.concept_name, 'concept ' || kept.concept_id) "
        "from (select distinct concept_id from cohort.condition_covariate) as kept "
        "left join clean.concept on kept.concept_id = concept.concept_id order by 1"
    ).fetchall()
    cells = _columns(
        con, "select person_id, concept_id from cohort.condition_covariate order by all"
    )
    matrix = np.zeros((person_id.size, len(names)))
    rows = np.searchsorted(person_id, cells["person_id"])
    matrix[rows, np.searchsorted([c for c, _ in names], cells["concept_id"])] = 1.0
    return [
        (Covariate(f"{name}={c}", label, label, True), matrix[:, i])
        for i, (c, label) in enumerate(names)
    ]


def _named(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    covariate: NamedConditionCovariates,
    person_id: IntArray,
) -> list[tuple[Covariate, FloatArray]]:
    """One column for each code list that some people have and some have not, in their order."""
    cells = _columns(
        con, "select person_id, code_list_id from cohort.named_condition_covariate order by all"
    )
    columns = []
    for code_list in covariate.code_lists:
        having = cells["person_id"][cells["code_list_id"] == code_list]
        if having.size:
            name = spec.concepts_of(code_list).name
            labels = (name.en, name.ko) if name else (code_list, code_list)
            column = np.isin(person_id, having).astype(float)
            columns.append((Covariate(f"{covariate.id}={code_list}", *labels, True), column))
    return columns
