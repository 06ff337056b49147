"""The command line: the same orders of work as the flows, with exit codes that programs can use."""

import logging
import sys
from typing import NoReturn

import duckdb
import typer
from typer._click.exceptions import UsageError

# Importing a module of commands makes them join the app, in this order of its help.
from flows.commands import work, lake, study, study_files, simulate, power, audit  # noqa: F401  # isort: skip
from flows.commands.app import app
from flows.commands.screen import message_json, print_json, show_messages
from tasks.core.errors import CausewayError, Message

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; every error that was foreseen is shown without a traceback."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except CausewayError as exc:
        _fail(exc.messages, exc.exit_code)
    except UsageError as exc:
        exc.show()
        _fail((Message("E_USAGE", "command line", exc.format_message(), "see --help."),), 2, False)
    except (KeyboardInterrupt, typer.Abort):
        _fail((Message("E_INTERRUPTED", "command line", "interrupted", "start it again."),), 130)
    except OSError as exc:
        fix = "check that the folder exists, that you may write it, and that the disk has room."
        _fail((Message("E_FAILED", str(exc.filename), str(exc.strerror), fix),), 10)
    except duckdb.Error as exc:  # its text may hold a row
        what = f"the database stopped with {type(exc).__name__}"
        _fail((Message("E_FAILED", "database", what, "see `causeway doctor`."),), 10)


def _fail(messages: tuple[Message, ...], code: int, told: bool = True) -> NoReturn:
    """Say what went wrong, in JSON too when that was asked for, and end."""
    if "--json" in sys.argv:
        print_json({"status": "failed", "messages": [message_json(m) for m in messages]})
    if told:
        show_messages(messages)
    sys.exit(code)
