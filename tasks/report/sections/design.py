"""Section 4: the design around time zero, drawn from the study specification."""

from tasks.report.blocks import Figure, Paragraph, Section
from tasks.report.context import Context
from tasks.report.figures import stable_svg
from tasks.report.framework import trial_timeline
from tasks.report.sections.trial import eligibility, observability, populations
from tasks.report.timeline import timeline_svg
from tasks.report.voice import Voice


def section(context: Context) -> Section:
    """Return the graphical framework of the study."""
    words, timeline = context.words, trial_timeline(Voice(context.spec, context.language))
    figure = Figure(
        "design",
        words("design.caption"),
        words("design.alt", windows=timeline.description),
        stable_svg(timeline_svg(timeline, "design"), "design"),
        words.line("design.note"),
    )
    blocks = (
        Paragraph(words.line("design.intro")),
        figure,
        *eligibility(context),
        *observability(context),
        *populations(context),
    )
    return Section("design", words("section.design"), blocks)
