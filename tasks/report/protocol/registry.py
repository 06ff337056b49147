"""The variables of a study of analysis-ready tables, each in its place of the protocol."""

from collections.abc import Iterator

from tasks.core.spec.columns import Category, CodedColumn, TimeColumn
from tasks.core.spec.sources import AnalysisTable
from tasks.report.blocks import Block, Run
from tasks.report.protocol.adjusting import covariates_of
from tasks.report.protocol.parts import Cell, table
from tasks.report.voice import Voice

Row = tuple[Cell, ...]


def variables(voice: Voice) -> list[Block]:
    """Return exposure, outcome, follow-up and covariates, as the roles of the columns say."""
    found = [source for source in voice.spec.tables if isinstance(source, AnalysisTable)]
    rows = (
        ("exposure", [row for source in found for row in _exposure(voice, source)]),
        ("outcome", [row for source in found for row in _outcome(voice, source)]),
        ("follow_up", [row for source in found for row in _follow_up(voice, source)]),
        ("covariates", [row for source in found for row in _covariates(voice, source)]),
    )
    heads = [
        (voice("registry.column"), 1.2),
        (voice("registry.source"), 1.0),
        (voice("pico.definition"), 3.5),
    ]
    return [
        table(f"registry_{name}", voice(f"{name}.caption"), heads, body)
        for name, body in rows
        if body
    ]


def _row(source: AnalysisTable, column: str, text: str) -> Row:
    return Run(column, tone="code"), Run(source.id, tone="code"), text


def type_text(voice: Voice, source: AnalysisTable, column: str) -> str:
    """Say what a column holds; the first level of a category is the reference."""
    kind = source.columns.get(column)
    if isinstance(kind, Category):
        first, *others = kind.category
        return voice("registry.levels", first=first, others=", ".join(others))
    return voice.term("column_type", kind) if kind else ""


def _exposure(voice: Voice, source: AnalysisTable) -> Iterator[Row]:
    if column := source.roles.treatment:
        yield _row(source, column, type_text(voice, source, column))


def _outcome(voice: Voice, source: AnalysisTable) -> Iterator[Row]:
    for key in ("event", "outcome"):
        coded: CodedColumn | None = getattr(source.roles, key)
        if coded is not None:
            yield _row(source, coded.column, codes_text(voice, coded, key))


def codes_text(voice: Voice, coded: CodedColumn, key: str) -> str:
    """Say what each value of a coded column stands for."""
    meanings = coded.meanings.items()
    if key == "outcome" and coded.codes is None:
        meanings = {"0": 0, "1": 1}.items()
    return "; ".join(
        voice("registry.code", value=value, meaning=voice(f"registry.{key}_{code}"))
        for value, code in meanings
    )


def _follow_up(voice: Voice, source: AnalysisTable) -> Iterator[Row]:
    for key in ("follow_up", "entry", "start", "stop"):
        time: TimeColumn | None = getattr(source.roles, key)
        if time is not None:
            unit = voice.term("unit", time.unit)
            yield _row(source, time.column, voice(f"registry.{key}", unit=unit))


def _covariates(voice: Voice, source: AnalysisTable) -> Iterator[Row]:
    users: dict[str, list[str]] = {name: [] for name in source.roles.covariates}
    for analysis, table_of in voice.spec.table_analyses:
        if table_of.id == source.id:
            for column in covariates_of(voice, analysis):
                users.setdefault(column, []).append(analysis.id)
    for column, used in users.items():
        named = voice("registry.used", analyses=", ".join(used)) if used else ""
        changing = voice("registry.varying") if column in source.roles.time_varying else ""
        parts = (type_text(voice, source, column), changing, named)
        yield _row(source, column, "; ".join(part for part in parts if part))
