"""Commands for study files: new, diagram, protocol, diff, plan, lock."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.commands.app import HomeOption, JsonOption, StudyArgument, study_app
from flows.commands.screen import out, print_json, show_rows
from flows.commands.study import LOCKS
from tasks.core.errors import UsageError
from tasks.core.paths import home_from

Language = Literal["en", "ko"]
LanguageOption = Annotated[Language, typer.Option("--language", help="en or ko.")]
_STATES = {
    "nothing_to_do": "nothing to do: the published run rests on this data, spec and code",
    "run": "a run would do all of this",
    "publish_known": "this run exists already; `causeway run` would publish it again",
    "waits": "waits for a delivery",
}

_AGAIN = "A run does every step again and reuses nothing; `stale` marks what a change touches."


@study_app.command("new")
def study_new(
    kind: Annotated[str, typer.Argument(help="Kind of study; a wrong one lists all kinds.")],
    study_id: Annotated[str, typer.Option("--id", help="Id of the study.")] = "my_study",
    target: Annotated[
        Path | None, typer.Option("--out", help="File to write; <id>.yaml when absent.")
    ] = None,
) -> None:
    """Write a commented template of a study, valid as it stands."""
    from flows.orders.templates import write_template

    file = write_template(kind, study_id, target or Path(f"{study_id}.yaml"))
    out.print(f"{file} written. Next: causeway study check {file}", markup=False)


@study_app.command("diagram")
def study_diagram(
    study: StudyArgument,
    language: LanguageOption = "en",
    target: Annotated[
        Path | None, typer.Option("--out", help="SVG file; <id>.<language>.svg when absent.")
    ] = None,
) -> None:
    """Draw the design of a study: what is looked at when, around time zero."""
    from tasks.core.spec import load_study
    from tasks.report.pictures import pictures, stacked
    from tasks.report.voice import Voice

    spec = load_study(study)
    voice = Voice(spec, language)
    file = target or Path(f"{spec.study.id}.{language}.svg")
    svg = stacked(pictures(voice), voice.text(spec.study.title))
    file.write_text(svg, encoding="utf-8", newline="\n")
    out.print(f"{file} written", markup=False)


@study_app.command("protocol")
def study_protocol(
    study: StudyArgument,
    language: Annotated[
        Literal["en", "ko", "both"], typer.Option("--language", help="en, ko or both.")
    ] = "both",
    target: Annotated[
        Path | None, typer.Option("--out", help="Folder; <id>-protocol when absent.")
    ] = None,
) -> None:
    """Write the protocol of a study, in the structure of HARPER, as HTML and Markdown."""
    from flows.orders.translate import translations
    from tasks.core.spec import load_study
    from tasks.report.protocol.document import LANGUAGES, write_protocol

    spec = load_study(study)
    languages = LANGUAGES if language == "both" else (language,)
    folder = target or Path(f"{spec.study.id}-protocol")
    for file in write_protocol(spec, languages, folder, translations(spec)):
        out.print(str(file), markup=False)


@study_app.command("diff")
def study_diff(
    before: Annotated[
        str, typer.Argument(help="A study, its file, STUDY@RUN_ID, or a run folder.")
    ],
    after: Annotated[str | None, typer.Argument(help="The version to compare it with.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Compare the published run with the file.")
    ] = False,
    language: LanguageOption = "en",
    home: HomeOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show the steps whose counts are the same too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two versions of a study, and what it did to the counts."""
    from flows.orders.compare import compare, published_name

    place = home_from(home)
    if published == (after is not None):
        fix = "name two versions, or one study with --published."
        raise UsageError("study diff", "needs two versions to compare", fix)
    old, new = (published_name(place, before), before) if after is None else (before, after)
    found = compare(place, old, new, language)
    if as_json:
        print_json(found.as_json())
    else:
        _show_comparison(found, language, show_all=show_all)


def _show_comparison(found: Any, language: Language, *, show_all: bool) -> None:
    from tasks.report.voice import Voice

    words = Voice(found.after.spec, language)
    for side in (found.before, found.after):
        study = side.spec.study
        run = words("compare.run", run=side.run.name) if side.run else words("compare.not_run")
        name = f"{side.name}: {study.id} {study.version}, spec_hash {side.spec.spec_hash[:12]}"
        out.print(f"{name}, {run}", markup=False)
    title = ""
    for change in found.changes:
        if change.title != title:
            title = change.title
            out.print(title, markup=False)
        out.print(f"  {change}", markup=False)
    if not found.changes:
        out.print(words("compare.none"))
    if found.counts:
        _show_counts(found, words, show_all=show_all)


def _show_counts(found: Any, words: Any, *, show_all: bool) -> None:
    """Show counts side by side: those that changed, or all of them."""
    from flows.orders.compare import is_unchanged

    shown = [row for row in found.counts if show_all or not is_unchanged(row)]
    rows = [
        {words.term("compare", key): _shown(words, key, value) for key, value in row.items()}
        for row in shown
    ]
    if rows:
        show_rows(rows, as_json=False, title=words("compare.counts"))
    if hidden := len(found.counts) - len(shown):
        out.print(words("compare.hidden", n=str(hidden)), markup=False)
    if not found.is_same_data:
        out.print(words("compare.other_data"))


def _shown(words: Any, key: str, value: object) -> object:
    """Show a count; a change with its sign, what is withheld in the language of the page."""
    if key == "change" and isinstance(value, int):
        return f"{value:+d}" if value else "0"
    return words("compare.withheld") if value == "withheld" else value


@study_app.command("plan")
def study_plan(
    study: StudyArgument,
    home: HomeOption = None,
    snapshot: Annotated[
        int | None, typer.Option(min=1, help="Snapshot of the lake; the newest when absent.")
    ] = None,
    language: LanguageOption = "en",
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do: which steps, on what, what is stale and why."""
    from flows.orders.plan import plan_study

    plan = plan_study(home_from(home), study, snapshot, language)
    if as_json:
        print_json(plan.as_json())
        return
    out.print(f"{plan.study_id}: {_STATES[plan.state]}. {LOCKS[plan.locked]}", markup=False)
    for reason in plan.reasons:
        out.print(f"  {reason.what}", markup=False)
        for detail in reason.details:
            out.print(f"    {detail}", markup=False)
    if plan.state == "run":
        out.print(_AGAIN)
    rows: list[dict[str, object]] = [
        {"step": step.name, "reads": ", ".join(step.reads), "stale": ", ".join(step.stale)}
        for step in plan.steps
    ]
    show_rows(rows, as_json=False, title="Steps")


@study_app.command("lock")
def study_lock(study: StudyArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Settle a study: from now on its runs refuse an unlocked change."""
    from flows.orders.lock import lock_study

    locks = lock_study(home_from(home).prepare(), study)
    held = locks.in_force
    if as_json:
        print_json(locks.model_dump(mode="json"))
    else:
        out.print(
            f"{locks.study_id} {held.version} is locked since {held.locked_at}, "
            f"spec_hash {held.spec_hash}"
        )
