"""Section 4: the design around time zero, drawn from the study specification."""

from typing import Any

from tasks.core.spec import (
    NewUserDesign,
)
from tasks.report.blocks import Figure, Paragraph, Section
from tasks.report.context import Context
from tasks.report.diagrams import Window, design_svg
from tasks.report.figures import stable_svg
from tasks.report.sections.question import risk_window

LONG_AGO = -3650


def section(context: Context) -> Section:
    """Return the graphical framework of the study."""
    words = context.words
    windows = [*windows_before(context), *windows_after(context)]
    labels = {name: words(f"design.{name}") for name in ("zero", "before", "after", "scale")}
    labels["zero_detail"] = words("design.zero_detail", **context.names)
    alt = "; ".join(f"{window.name}: {window.detail}" for window in windows)
    figure = Figure(
        "design",
        words("design.caption"),
        words("design.alt", windows=alt),
        stable_svg(design_svg(windows, labels), "design"),
        words.line("design.note"),
    )
    return Section(
        "design", words("section.design"), (Paragraph(words.line("design.intro")), figure)
    )


def windows_before(context: Context) -> list[Window]:
    """Return what is looked at before time zero."""
    words, design = context.words, context.spec.trial.design
    out = []
    if isinstance(design, NewUserDesign):
        detail = words("design.new_user_detail", **context.names)
        out.append(Window(words("design.new_user"), detail, -1, 0, "observe", open_start=True))
    if days := design.prior_observation_days:
        detail = words("design.observation_detail", days=str(days))
        out.append(Window(words("design.observation"), detail, -0.72, 0, "observe"))
    if days := design.prior_outcome_days:
        detail = words("design.washout_detail", days=str(days), **context.names)
        out.append(Window(words("design.washout"), detail, -0.3, 0, "washout"))
    return [*out, *_covariate_windows(context)]


def _covariate_windows(context: Context) -> list[Window]:
    words, out = context.words, []
    history = [c for c in context.spec.covariates if hasattr(c, "window_start_days")]
    fixed = [c.kind for c in context.spec.covariates if c not in history]
    if fixed:
        names = ", ".join(words.term("covariate", kind) for kind in dict.fromkeys(fixed))
        out.append(Window(words("design.at_zero"), names, -0.02, 0.02, "zero"))
    return [*out, *(_history(context, covariate) for covariate in history)]


def _history(context: Context, covariate: Any) -> Window:
    words, start = context.words, covariate.window_start_days
    any_time = start <= LONG_AGO
    key = "design.any_time" if any_time else "design.from_day"
    end = str(-covariate.window_end_days)
    n = len(covariate.code_lists) if covariate.kind == "named_conditions" else 0
    what = words("design.named_conditions", n=str(n)) if n else words("design.conditions")
    if covariate.kind not in {"conditions", "named_conditions"}:
        key, what = f"{key}_of", words.term("covariate", covariate.kind)
    detail = words(key, what=what, start=str(-start), end=end)
    left = -1.0 if any_time else -0.85
    return Window(words("design.covariates"), detail, left, -0.02, "covariate", open_start=any_time)


def windows_after(context: Context) -> list[Window]:
    """Return when outcomes count, and what ends follow-up before that."""
    words, design = context.words, context.spec.trial.design
    risk = Window(words("design.risk"), risk_window(context), 0, 0.86, "risk")
    ends = [words("design.end_of_observation"), words("design.end_of_window")]
    if design.competing == "death":
        ends.append(words("design.competing_death"))
    censor = Window(words("design.censoring"), " · ".join(ends), 0, 1, "censor", open_end=True)
    return [risk, censor]
