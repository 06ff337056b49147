"""From the terms of a model to the columns of its design matrix."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec.columns import Category
from tasks.core.spec.terms import ASIS, Factor, Term


@dataclass(frozen=True, slots=True, eq=False)
class DesignColumns:
    """A design matrix, shape (n, p), with the name of each column and the term it belongs to."""

    x: FloatArray
    names: tuple[str, ...]
    term_of: IntArray
    terms: tuple[str, ...]


def design_columns(rows: TableRows, terms: tuple[Term, ...] | None = None) -> DesignColumns:
    """Return the design matrix of an analysis, or of other terms of it, without intercept.

    A category makes one column for each level but the first, named `column=level`; a product
    makes the products of the columns of its parts, named `a:b`.

    Raises:
        EstimationError: A logarithm or root is asked of numbers that have none.
    """
    terms = rows.analysis.parsed_terms if terms is None else terms
    made = [(place, column) for place, term in enumerate(terms) for column in _term(rows, term)]
    return DesignColumns(
        np.column_stack([values for _, (_, values) in made]),
        tuple(name for _, (name, _) in made),
        np.array([place for place, _ in made], dtype=np.int64),
        tuple(":".join(factor.label for factor in term) for term in terms),
    )


_Column = tuple[str, FloatArray]


def _term(rows: TableRows, term: Term) -> list[_Column]:
    parts = [_factor(rows, factor) for factor in term]
    return [
        (":".join(name for name, _ in chosen), np.asarray(prod(values for _, values in chosen)))
        for chosen in product(*parts)
    ]


def _factor(rows: TableRows, factor: Factor) -> list[_Column]:
    kind = rows.source.columns[factor.column]
    values = rows.values[f"x_{factor.column}"]
    if isinstance(kind, Category):
        return [
            (f"{factor.column}={level}", (values == level).astype(np.float64))
            for level in kind.category[1:]
        ]
    return [(factor.label, _changed(factor, np.asarray(values, dtype=np.float64)))]


def _changed(factor: Factor, values: FloatArray) -> FloatArray:
    for step in factor.steps:
        _check_domain(factor, step, values)
        with np.errstate(over="ignore"):
            values = _apply(step, values)
    if bad := int((~np.isfinite(values)).sum()):
        what = f"{bad} rows are too large to be computed"
        raise EstimationError(f"term {factor.label}", what, "scale the column, or drop the term.")
    return values


def _apply(step: str | int, values: FloatArray) -> FloatArray:
    if isinstance(step, int):
        return np.asarray(values**step)
    if step in _FUNCTIONS:
        return np.asarray(_FUNCTIONS[step](values))
    return np.asarray(_ARITHMETIC[step[0]](values, float(step[2:])))


_LOGARITHMS = ("log", "log2", "log10")
_FUNCTIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    ASIS: np.asarray,
}
_ARITHMETIC: Mapping[str, Callable[[FloatArray, float], FloatArray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


def _check_domain(factor: Factor, step: str | int, values: FloatArray) -> None:
    is_log = step in _LOGARITHMS
    wrong = values <= 0 if is_log else values < 0
    if (is_log or step == "sqrt") and (bad := int(wrong.sum())):
        what = f"{bad} rows have no {step}: they are {'not above' if is_log else 'below'} 0"
        raise EstimationError(f"term {factor.label}", what, "use the column as it is, or mend it.")
