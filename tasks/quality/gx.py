"""Great Expectations on DuckDB: read-only, offline, quiet, and answering in counts alone."""

import builtins
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.core.errors import GateError
from tasks.quality.suites import CUTOFF, QUERY, ROW_COUNT, Check

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the package is imported, here or anywhere

KNOWN_VERSION = "1.24."
_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)(?=:|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one expectation found; `cause` is the class of what stopped it, empty when it ran."""

    passed: bool
    n_rows: int | None = None
    n_unexpected: int | None = None
    cause: str = ""


def require_known_version(found: str) -> None:
    """Refuse a Great Expectations that the read fix was not tried with.

    Raises:
        GateError: The installed version is not of the known series.
    """
    if not found.startswith(KNOWN_VERSION):
        what = f"is version {found}; the read fix for DuckDB is known to hold for {KNOWN_VERSION}x"
        fix = "install the locked version, or try the fix with the new one and change the guard."
        raise GateError("great-expectations", what, fix, "E_DQ_ERROR")


def prepared_gx() -> Any:
    """Import Great Expectations and mend how it reads from DuckDB; return the package.

    Its engine hands out a cursor whose connection is closed already; duckdb-engine then yields no
    rows. The mended method reads all rows first. Other databases keep the original method.
    """
    require_known_version(version("great-expectations"))
    _mute()
    import great_expectations as gx
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine as Engine

    if not getattr(Engine.execute_query, "reads_before_closing", False):
        Engine.execute_query = _buffered(Engine.execute_query)
    return gx


def _buffered(original: Any) -> Any:
    def execute_query(self: Any, query: Any) -> Any:
        if self.dialect_name != "duckdb":
            return original(self, query)
        with self.get_connection() as connection:
            return self._execute_query_with_recovery(connection, query).freeze()()

    execute_query.reads_before_closing = True  # type: ignore[attr-defined]
    return execute_query


@contextmanager
def opened(stage_file: Path) -> Iterator[Any]:
    """Open a stage file read-only as a data source; close every connection at the end."""
    context = prepared_gx().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_sql(
        "stage",
        connection_string=f"duckdb:///{stage_file}",
        kwargs={"connect_args": {"read_only": True, "config": _config()}},
    )
    try:
        yield source
    finally:
        source.get_execution_engine().engine.dispose()
        source.get_engine().dispose()


def _config() -> dict[str, str]:
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    threads = os.environ.get("CAUSEWAY_THREADS")
    return config | ({"threads": threads} if threads else {})


def _mute() -> None:
    """Stop the package's log for good: it logs exception texts, and those hold values."""
    logger = logging.getLogger("great_expectations")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate, logger.handlers = False, [logging.NullHandler()]


def run_checks(
    source: Any, table: str, checks: Sequence[Check], data_cutoff: date | None
) -> dict[str, Outcome]:
    """Run checks on one table in one validation; return what each found, by its id."""
    built, outcomes = list[Any](), dict[str, Outcome]()
    for check in checks:
        try:
            built.append(_expectation(check, data_cutoff))
        except Exception as exc:  # whatever is wrong with one check blocks as that check
            outcomes[check.id] = Outcome(passed=False, cause=type(exc).__name__)
    suite = prepared_gx().ExpectationSuite(name=table, expectations=built)
    validated = _batch(source, table).validate(suite, result_format=_COUNTS_ONLY)
    for result in validated.results:
        outcomes[result.expectation_config.meta["check_id"]] = _outcome(result)
    return outcomes


def _batch(source: Any, table: str) -> Any:
    schema, _, name = table.partition(".")
    with warnings.catch_warnings():  # the replacement that it names does not exist for DuckDB
        warnings.filterwarnings("ignore", "`schema_name` is deprecated", DeprecationWarning)
        asset = source.add_table_asset(table, table_name=name, schema_name=schema)
    return asset.add_batch_definition_whole_table("all").get_batch()


def _expectation(check: Check, data_cutoff: date | None) -> Any:
    core = prepared_gx().expectations
    rule = getattr(core, "".join(part.title() for part in check.expect.split("_")))
    kwargs = dict(check.kwargs)
    if check.expect == QUERY:
        kwargs["unexpected_rows_query"] = _query(check.query, data_cutoff)
    return rule(**kwargs, severity=check.severity, meta={"check_id": check.id})


def _query(text: str, data_cutoff: date | None) -> str:
    """Bind the batch once under a name: the package gives it an alias only where no join stands."""
    text = text.replace(CUTOFF, f"date '{data_cutoff}'").replace("{batch}", "batch")
    return f"with batch as (select * from {{batch}}) {text}"  # noqa: S608 - text of a suite


def _outcome(result: Any) -> Outcome:
    """Take the counts out of a result and leave everything else behind."""
    if cause := _cause(result.exception_info or {}):
        return Outcome(passed=False, cause=cause)
    counts, passed = result.result, bool(result.success)
    match result.expectation_config.type:
        case rule if rule == ROW_COUNT:
            return Outcome(passed, int(counts["observed_value"]))
        case rule if rule == QUERY:
            return Outcome(passed, None, int(counts["observed_value"]))
    n_rows = int(counts["element_count"]) - int(counts.get("missing_count") or 0)
    return Outcome(passed, n_rows, int(counts["unexpected_count"] or 0))


def _cause(info: dict[str, Any]) -> str:
    """Name the class of the first exception, if any was raised; never its text."""
    records = [info] if "raised_exception" in info else list(info.values())
    raised = [record for record in records if record.get("raised_exception")]
    if not raised:
        return ""
    lines = _RAISED.findall(str(raised[0].get("exception_traceback")))
    return next((name for name in lines if name in _exception_names()), "Exception")


def _exception_names() -> frozenset[str]:
    """Names that may be shown: classes that exist in code, so that no value can pass as one."""
    import duckdb
    from great_expectations import exceptions
    from sqlalchemy import exc

    return frozenset(
        name
        for module in (builtins, duckdb, exc, exceptions)
        for name, item in vars(module).items()
        if isinstance(item, type) and issubclass(item, Exception)
    )
