"""The smallest pieces of SQL: literals, days, ages, conditions on columns, membership of lists."""

from collections.abc import Iterable, Iterator
from datetime import date
from textwrap import indent

from tasks.core.domains import Domain, domains
from tasks.core.duck import quoted
from tasks.core.spec.conditions import Age, Period, Scalar, Where

PLAIN_CODE = "upper(replace(trim({0}), '.', ''))"
SEX = {"female": 8532, "male": 8507}
TAB = "    "
AND = f"\n{TAB}and "


def literal(value: Scalar) -> str:
    """Return a value of a study as an SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return quoted(value) if isinstance(value, str) else repr(value)


def shifted(day: str, days: int) -> str:
    """Return a day so many days later, or earlier."""
    if days == 0:
        return day
    return f"{day} {'+' if days > 0 else '-'} {abs(days)}"


def within(day: str, period: Period) -> Iterator[str]:
    """Yield what makes `day` lie in a period."""
    if period.start:
        yield f"{day} >= {literal(period.start)}"
    if period.end:
        yield f"{day} <= {literal(period.end)}"


def conditions(parts: Iterable[str]) -> str:
    """Return `where …`, one condition a line; empty for none."""
    lines = [part.replace("\n", f"\n{TAB}") for part in parts]
    return f"where {AND.join(lines)}" if lines else ""


def age_on(day: str, age: Age) -> Iterator[str]:
    """Yield what makes the age of the person of `born` on `day` lie within its bounds."""
    years = f"year({day}) - born.year_of_birth"
    if age.method == "exact":
        before = f"strftime({day}, '%m%d') < strftime(born.birth_date, '%m%d')"
        years = f"{years} - if({before}, 1, 0)"
    bounds = ((">=", age.at_least), ("<=", age.at_most), (">", age.more_than), ("<", age.less_than))
    yield from (f"{years} {sign} {bound}" for sign, bound in bounds if bound is not None)


def holds(domain: Domain, where: Where, row: str) -> Iterator[str]:
    """Yield what a condition on a column demands of a row."""
    column = _typed(domain, where.column, row)
    if where.is_missing is not None:
        yield f"{column} is {'null' if where.is_missing else 'not null'}"
    if where.equals is not None:
        yield f"{column} = {literal(where.equals)}"
    for word, values in (("in", where.is_in), ("not in", where.not_in)):
        if values:
            yield f"{column} {word} ({', '.join(literal(v) for v in values)})"
    signs = {">=": where.at_least, "<=": where.at_most, ">": where.more_than, "<": where.less_than}
    yield from (f"{column} {s} {literal(v)}" for s, v in signs.items() if v is not None)
    if where.more_than_column:
        yield f"{column} > {_typed(domain, where.more_than_column, row)}"
    if where.less_than_column:
        yield f"{column} < {_typed(domain, where.less_than_column, row)}"


def _typed(domain: Domain, column: str, row: str) -> str:
    """A column as conditions see it: a moment by its day."""
    is_moment = domain.type_of(column) == "TIMESTAMP"
    return f"{row}.{column}::date" if is_moment else f"{row}.{column}"


def in_list(domain: Domain, code_list: str, by: str, row: str, *, has_codes: bool) -> str:
    """Return what makes a row a member of a code list, by its concept or by its source code."""
    column = domain.concept if by == "concept" else domain.source_concept
    named = f"where code_list.code_list_id = {quoted(code_list)}"
    by_concept = f"{row}.{column} in (select concept_id from cohort.code_list {named})"
    if not has_codes or domain.source_value is None:
        return by_concept
    code, start = PLAIN_CODE.format(f"{row}.{domain.source_value}"), f"{row}.{domain.start}::date"
    by_code = f"""exists (
    select 1
    from cohort.source_code
    where source_code.code_list_id = {quoted(code_list)}
        and starts_with({code}, source_code.code)
        and (source_code.is_prefix or {code} = source_code.code)
        and {start} >= coalesce(source_code.valid_from, date '0001-01-01')
        and {start} <= coalesce(source_code.valid_to, date '9999-12-31')
)"""
    return f"({by_concept} or {by_code})"


def domain_of(name: str) -> Domain:
    """Return a domain by its name."""
    return domains()[name]


def block(text: str, depth: int = 1) -> str:
    """Indent a piece of SQL."""
    return indent(text, TAB * depth)
