"""What the commands share: the groups they belong to, and their options."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Real-world evidence for medical devices: from hospital extracts to a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
study_app = typer.Typer(help="Look at study files.", no_args_is_help=True)
app.add_typer(study_app, name="study")
simulate_app = typer.Typer(help="Make data whose truth is known.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")
import_app = typer.Typer(help="Take over what other tools wrote.", no_args_is_help=True)
app.add_typer(import_app, name="import")
audit_app = typer.Typer(help="Look at the audit log.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Working home; $CAUSEWAY_HOME or data/home if absent.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
StudyArgument = Annotated[str, typer.Argument(help="Id of a study, or the path of its file.")]
