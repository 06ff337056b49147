"""The people of a study as arrays: what every estimate of a run is computed from."""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tasks.analysis.covariates import (
    BoolArray,
    Covariate,
    CovariateMatrix,
    FloatArray,
    IntArray,
    load_covariates,
)
from tasks.core.spec import GraceDesign, StudySpec

__all__ = [
    "BoolArray",
    "Covariate",
    "CovariateMatrix",
    "FloatArray",
    "IntArray",
    "People",
    "load_people",
]


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The study population, one entry a person, in the order of `person_id`.

    `follow_up_days` counts both ends; `cause` is 0 censored, 1 outcome, 2 competing death;
    `matrix` has one row a person and one column a covariate, and is sparse
    (CSR). With a grace period `start_days`
    says when treatment started, in days of follow-up: infinite where it never did.
    """

    person_id: IntArray
    is_target: BoolArray
    follow_up_days: FloatArray
    cause: IntArray
    covariates: tuple[Covariate, ...]
    matrix: Any
    start_days: FloatArray | None = None

    def dense(self, columns: IntArray | slice = slice(None)) -> FloatArray:
        """Return columns of the matrix with every 0 written out, for models that need it."""
        return np.asarray(self.matrix[:, columns].toarray(), dtype=np.float64)

    @property
    def has_outcome(self) -> BoolArray:
        """True where follow-up ended in the outcome."""
        return np.asarray(self.cause == 1)

    def only(self, members: IntArray) -> "People":
        """Return those of the people whose `person_id` is among `members`."""
        return self.at(np.flatnonzero(np.isin(self.person_id, members)))

    def at(self, kept: IntArray) -> "People":
        """Return the people at these places."""
        return People(
            self.person_id[kept],
            self.is_target[kept],
            self.follow_up_days[kept],
            self.cause[kept],
            self.covariates,
            self.matrix[kept],
            None if self.start_days is None else self.start_days[kept],
        )


def load_members(
    con: duckdb.DuckDBPyConnection, population: str, schema: str = "cohort"
) -> IntArray:
    """Return `person_id` of everybody in a population of the design."""
    from_here = f"from {schema}.population where population_id = $id order by person_id"
    query = f"select person_id {from_here}"
    found = con.execute(query, {"id": population}).fetchnumpy()["person_id"]
    return np.asarray(found, dtype=np.int64)


def load_people(con: duckdb.DuckDBPyConnection, spec: StudySpec, schema: str = "cohort") -> People:
    """Read the study population and its covariates from a run's workspace.

    Args:
        con: The workspace.
        spec: The study.
        schema: Where the people stand; those of a negative control stand in one of their own.
    """
    columns = "person_id, is_target, follow_up_days, cause"
    query = f"select {columns} from {schema}.subject order by person_id"  # noqa: S608 - our own
    subjects = _columns(con, query)
    asked = spec.covariates
    made = load_covariates(con, spec, asked, schema=schema) if asked else None
    return People(
        person_id=subjects["person_id"].astype(np.int64),
        is_target=subjects["is_target"].astype(bool),
        follow_up_days=subjects["follow_up_days"].astype(float),
        cause=subjects["cause"].astype(np.int64),
        covariates=made.covariates if made else (),
        matrix=made.sparse if made else sparse.csr_array((subjects["person_id"].size, 0)),
        start_days=_start_days(con) if isinstance(spec.design, GraceDesign) else None,
    )


def _start_days(con: duckdb.DuckDBPyConnection) -> FloatArray:
    """Return when treatment started, in the order of `person_id`; day 1 follows time zero."""
    found = _columns(
        con,
        "select coalesce(treatment_start.start_day, 'infinity'::double) as start_day "
        "from cohort.subject inner join cohort.treatment_start using (person_id) "
        "order by subject.person_id",
    )
    return found["start_day"].astype(float)


def _columns(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(column) for name, column in con.execute(query).fetchnumpy().items()}
