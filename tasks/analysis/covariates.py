"""Covariates of a population as a sparse matrix: one row a person, one column a covariate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import sparse

from tasks.core.spec import (
    AgeCovariate,
    CalendarCovariate,
    CharlsonCovariate,
    CohortCovariate,
    ConceptCovariates,
    DeviceImageCovariate,
    MeasurementCovariates,
    NamedCovariates,
    SexCovariate,
    SiteCovariate,
    StudySpec,
    VisitCovariate,
)
from tasks.core.spec import Covariate as CovariateSpec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Label = tuple[str, str]
_REFERENCE_SEX = 8507
_MONTHS = {"year": 12, "quarter": 3, "month": 1}


@dataclass(frozen=True, slots=True)
class Covariate:
    """One column of the covariate matrix.

    `group` joins the levels of one category, of which every person has exactly one; the level
    that is left out as the reference belongs to it too. `is_sparse` says that most persons have 0
    because there is no record of them; `among_measured` that a 0 without a record is no value.
    """

    id: str
    label_en: str
    label_ko: str
    is_binary: bool
    group: str = ""
    is_sparse: bool = True
    among_measured: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CovariateMatrix:
    """Covariates of a population; rows are in the order of `person_id`."""

    person_id: IntArray
    covariates: tuple[Covariate, ...]
    sparse: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Columns that stand side by side, as the cells that are not 0: row, column, value."""

    covariates: tuple[Covariate, ...]
    rows: IntArray
    columns: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Population:
    """Persons of one population, in order, and how their columns are made."""

    con: duckdb.DuckDBPyConnection
    spec: StudySpec
    number: int
    persons: dict[str, NDArray[Any]]
    with_reference: bool
    schema: str

    @property
    def index_id(self) -> IntArray:
        """Number of each person in cohort.covariate_index."""
        return np.asarray(self.persons["index_id"], dtype=np.int64)


def load_covariates(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    covariates: Sequence[CovariateSpec],
    population: int = 0,
    *,
    with_reference: bool = False,
    schema: str = "cohort",
) -> CovariateMatrix:
    """Read the covariates of a population from a run's workspace.

    Args:
        con: The workspace, with cohort.covariate_index and cohort.covariate.
        spec: The study.
        covariates: Those of its covariates that are wanted, in the order of the columns.
        population: Number of the population: 0 is the study population.
        with_reference: Keep every level of a category; a model needs one left out.
        schema: Where the tables stand; those of a negative control stand in one of their own.
    """
    persons = _persons(con, population, schema)
    place = _Population(con, spec, population, persons, with_reference, schema)
    blocks = [block for covariate in covariates for block in _blocks(place, covariate)]
    return CovariateMatrix(
        np.asarray(persons["person_id"], dtype=np.int64),
        tuple(covariate for block in blocks for covariate in block.covariates),
        _matrix(blocks, persons["person_id"].size),
    )


def _persons(
    con: duckdb.DuckDBPyConnection, population: int, schema: str
) -> dict[str, NDArray[Any]]:
    """Read who is in a population; of the study population, who is still in it."""
    return _arrays(
        con,
        "select covariate_index.index_id, person_id, site_id, gender_concept_id, age_years, "  # noqa: S608
        "age_exact_years, year(time_zero_date) * 12 + month(time_zero_date) - 1 as month, "
        f"time_zero_date - date '2000-01-01' as day from {schema}.covariate_index "
        "where population_id = $population and (population_id > 0 or person_id in "
        f"(select person_id from {schema}.subject)) order by index_id",
        {"population": population},
    )


def _arrays(
    con: duckdb.DuckDBPyConnection, query: str, params: dict[str, object]
) -> dict[str, NDArray[Any]]:
    found = con.execute(query, params).fetchnumpy()
    return {name: np.ma.getdata(column) for name, column in found.items()}


def _matrix(blocks: Sequence[_Block], persons: int) -> Any:
    widths = [len(block.covariates) for block in blocks]
    shape = (persons, sum(widths))
    if not blocks:
        return sparse.csr_array(shape)
    starts = np.cumsum([0, *widths])[:-1]
    rows = np.concatenate([block.rows for block in blocks])
    columns = np.concatenate([b.columns + s for b, s in zip(blocks, starts, strict=True)])
    values = np.concatenate([block.values for block in blocks])
    return sparse.csr_array((values, (rows, columns)), shape=shape)


def _blocks(place: _Population, covariate: CovariateSpec) -> Iterator[_Block]:
    match covariate:
        case AgeCovariate():
            yield from _age(place, covariate)
        case CalendarCovariate():
            yield from _calendar(place, covariate)
        case SexCovariate():
            yield from _sexes(place, covariate.id)
        case SiteCovariate():
            sites = place.persons["site_id"]
            yield from _category(place, covariate.id, sites, lambda s: _said("site", s))
        case DeviceImageCovariate():
            yield from _image(place, covariate)
        case _:
            yield from _history(place, covariate)


def _full(covariate: Covariate, values: NDArray[Any]) -> _Block:
    rows = np.flatnonzero(values)
    column = np.zeros(rows.size, dtype=np.int64)
    return _Block((covariate,), rows, column, np.asarray(values, dtype=np.float64)[rows])


def _age(place: _Population, covariate: AgeCovariate) -> Iterator[_Block]:
    name = "age_years" if covariate.method == "calendar_year" else "age_exact_years"
    ages = place.persons[name]
    if not covariate.bands:
        yield _full(Covariate(covariate.id, *_said("age"), False, is_sparse=False), ages)
        return
    bands = np.searchsorted(covariate.bands, ages, side="right")
    names = band_names(covariate.bands)
    labels = np.array([f"{i:02d}" for i in range(len(names))])
    yield from _category(
        place, covariate.id, labels[bands], lambda i: _said("age_band", names[int(i)]),
        lambda i: names[int(i)],
    )  # fmt: skip


def band_names(bands: Sequence[int]) -> list[str]:
    """Return the names of age bands: <18, 18–39, 40+ for 18 and 40."""
    if not bands:
        return ["all"]
    inner = [f"{low}-{high - 1}" for low, high in pairwise(bands)]
    return [f"<{bands[0]}", *inner, f"{bands[-1]}+"]


def _calendar(place: _Population, covariate: CalendarCovariate) -> Iterator[_Block]:
    if covariate.unit == "linear":
        label = _said("calendar_linear")
        line = Covariate(covariate.id, *label, False, is_sparse=False)
        yield _full(line, place.persons["day"] / 365.25)
        return
    size = _MONTHS[covariate.unit]
    starts = place.persons["month"].astype(np.int64) // size * size
    names = np.array([interval_name(int(month), covariate.unit) for month in starts], dtype=str)
    yield from _category(place, covariate.id, names, lambda n: _said("calendar", n))


def interval_name(month: int, unit: str) -> str:
    """Return the name of a calendar interval that starts in a month, counted from year 0."""
    year, month = divmod(month, 12)
    return {"year": f"{year}", "quarter": f"{year}-Q{month // 3 + 1}"}.get(
        unit, f"{year}-{month + 1:02d}"
    )


def _sexes(place: _Population, name: str) -> Iterator[_Block]:
    """One column for each recorded sex but the reference."""
    concepts = place.persons["gender_concept_id"]
    for concept in (int(c) for c in np.unique(concepts)):
        if place.with_reference or concept != _REFERENCE_SEX:
            known = f"sex_{concept}" in _labels()
            level = _said(f"sex_{concept}") if known else _said("concept", concept)
            label = tuple(_labels()["sex"][i].format(name=level[i]) for i in (0, 1))
            column = Covariate(f"{name}={concept}", label[0], label[1], True, name, is_sparse=False)
            yield _full(column, concepts == concept)


def _category(
    place: _Population, name: str, levels: NDArray[Any], label: Any, level_id: Any = str
) -> Iterator[_Block]:
    """One column a level that somebody has; the first is the reference."""
    found = np.unique(levels)
    for level in found if place.with_reference else found[1:]:
        english, korean = label(level)
        covariate = Covariate(
            f"{name}={level_id(level)}", english, korean, True, name, is_sparse=False
        )
        yield _full(covariate, levels == level)


def _image(place: _Population, covariate: DeviceImageCovariate) -> Iterator[_Block]:
    found = _arrays(
        place.con,
        f"select index_id, {covariate.column} as level from {place.schema}.index_image "  # noqa: S608
        f"where population_id = $population and {covariate.column} is not null order by index_id",
        {"population": place.number},
    )
    levels = np.full(place.index_id.size, "", dtype=object)
    rows, known = _rows(place, found["index_id"])
    levels[rows] = found["level"][known]

    def label(level: str) -> Label:
        if level:
            return _said(covariate.column, level)
        words = _said("not_recorded")
        return (
            _labels()[covariate.column][0].format(name=words[0]),
            _labels()[covariate.column][1].format(name=words[1]),
        )

    yield from _category(
        place, covariate.id, levels.astype(str), label, lambda level: str(level) or "missing"
    )


def _rows(place: _Population, index_id: IntArray) -> tuple[IntArray, BoolArray]:
    """Rows of these numbers, and which of them are still in the population."""
    mine = place.index_id
    if mine.size and mine[-1] - mine[0] + 1 == mine.size:  # nobody was left out
        at = index_id - mine[0]
        known = np.asarray((at >= 0) & (at < mine.size))
        return at[known], known
    at = np.searchsorted(mine, index_id)
    known = np.asarray(at < mine.size)
    known[known] = mine[at[known]] == index_id[known]
    return at[known], known


History = (
    ConceptCovariates
    | NamedCovariates
    | VisitCovariate
    | MeasurementCovariates
    | CharlsonCovariate
    | CohortCovariate
)


def _history(place: _Population, covariate: History) -> Iterator[_Block]:
    """One column a level that some people have, and others have not."""
    cells = _arrays(
        place.con,
        f"select index_id, level, value from {place.schema}.covariate "  # noqa: S608
        "where population_id = $population and covariate_id = $covariate",
        {"population": place.number, "covariate": covariate.id},
    )
    rows, known = _rows(place, cells["index_id"])
    found = _levels(place, covariate.id)
    columns = np.searchsorted(found, cells["level"][known])
    values = np.asarray(cells["value"][known], dtype=np.float64)
    names = _names(place, covariate, found)
    made = tuple(
        Covariate(
            _id_of(covariate, int(c)),
            *_label(covariate, name),
            _is_binary(covariate),
            among_measured=isinstance(covariate, MeasurementCovariates)
            and covariate.missing is not None,
        )
        for c, name in zip(found, names, strict=True)
    )
    if isinstance(covariate, MeasurementCovariates) and covariate.missing == "indicator":
        yield from _with_indicators(place, _Block(made, rows, columns, values), names)
        return
    yield _Block(made, rows, columns, values)


def _levels(place: _Population, covariate_id: str) -> IntArray:
    found = place.con.execute(
        f"select distinct level from {place.schema}.covariate "  # noqa: S608
        "where population_id = $population and covariate_id = $covariate order by level",
        {"population": place.number, "covariate": covariate_id},
    ).fetchall()
    return np.array([level for (level,) in found], dtype=np.int64)


def _with_indicators(place: _Population, block: _Block, names: Sequence[Label]) -> Iterator[_Block]:
    """Each column followed by one that marks who has no value."""
    for i, covariate in enumerate(block.covariates):
        mine = block.columns == i
        yield _Block(
            (covariate,), block.rows[mine], np.zeros(mine.sum(), dtype=np.int64), block.values[mine]
        )
        gone = np.ones(place.index_id.size, dtype=bool)
        gone[block.rows[mine]] = False
        if gone.any():
            english, korean = _of("missing", names[i])
            yield _full(Covariate(f"{covariate.id}=missing", english, korean, True), gone)


def _is_binary(covariate: History) -> bool:
    match covariate:
        case VisitCovariate() | CharlsonCovariate():
            return False
        case MeasurementCovariates():
            return covariate.value in {"any", "abnormal"}
        case _:
            return True


def _id_of(covariate: History, level: int) -> str:
    match covariate:
        case NamedCovariates():
            return f"{covariate.id}={covariate.code_lists[level]}"
        case CohortCovariate():
            return f"{covariate.id}={covariate.cohorts[level]}"
        case VisitCovariate() | MeasurementCovariates() if covariate.code_lists:
            return f"{covariate.id}={covariate.code_lists[level]}"
        case VisitCovariate() | CharlsonCovariate():
            return covariate.id
        case _:
            return f"{covariate.id}={level}"


def _label(covariate: History, name: Label) -> Label:
    match covariate:
        case VisitCovariate():
            return _of("count", name) if covariate.code_lists else _said("visits")
        case MeasurementCovariates():
            return _of("measured" if covariate.value == "any" else covariate.value, name)
        case CharlsonCovariate():
            return _said("charlson")
        case _:
            return name


def _names(place: _Population, covariate: History, levels: IntArray) -> list[Label]:
    """What each level is called: a concept, a code list or a cohort."""
    match covariate:
        case CohortCovariate():
            texts = {c.id: getattr(c, "name", None) for c in place.spec.cohorts}
            names = covariate.cohorts
        case NamedCovariates() | VisitCovariate() | MeasurementCovariates() if covariate.code_lists:
            texts = {item.id: item.name for item in place.spec.code_lists}
            names = covariate.code_lists
        case _:
            return _concept_names(place.con, levels)
    said = [texts.get(names[int(level)]) for level in levels]
    return [
        (text.en, text.ko) if text else (names[int(level)],) * 2
        for text, level in zip(said, levels, strict=True)
    ]


def _concept_names(con: duckdb.DuckDBPyConnection, levels: IntArray) -> list[Label]:
    found = con.execute(
        "select levels.concept_id, concept.concept_name "
        "from (select unnest($levels::bigint[]) as concept_id) as levels "
        "left join clean.concept on levels.concept_id = concept.concept_id order by 1",
        {"levels": [int(level) for level in levels]},
    ).fetchall()
    names = {concept: name for concept, name in found if name}
    return [(names.get(int(c), f"concept {c}"),) * 2 for c in levels]


def _said(key: str, name: object = "") -> Label:
    english, korean = _labels()[key]
    return english.format(name=name), korean.format(name=name)


def _of(key: str, name: Label) -> Label:
    """A label about something that has a name in each language."""
    english, korean = _labels()[key]
    return english.format(name=name[0]), korean.format(name=name[1])


@cache
def _labels() -> dict[str, Label]:
    text = Path(__file__).with_name("covariate_labels.yaml").read_text(encoding="utf-8")
    return {key: (both["en"], both["ko"]) for key, both in yaml.safe_load(text).items()}
