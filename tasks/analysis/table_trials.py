"""Sequential nested trials of a table of intervals: effects of starting, and of staying so."""

import math
from collections.abc import Iterator

from tasks.analysis.design_columns import design_columns
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_models import with_names
from tasks.core.errors import EstimationError
from tasks.core.spec.columns import Category
from tasks.stats.cox import CoxFit
from tasks.stats.sequential_trials import SequentialTrials, sequential_trials


def nested_trials(asked: AskedOfTable) -> list[Row]:
    """Return the hazard ratio of starting and of staying on course, and who is in the arms."""
    rows, analysis = asked.rows, asked.analysis
    design, (reference, level) = design_columns(rows), levels_of_treatment(asked)
    person = rows.labels("person_id", *(("site",) if "site" in rows.values else ()))
    assert person is not None  # noqa: S101 - intervals have persons
    assert rows.entry is not None  # noqa: S101 - and a start
    try:
        found = sequential_trials(
            person,
            rows.entry,
            rows.time,
            rows.has_event,
            rows.values[f"x_{asked.group_column}"] == level,
            design.x,
            float(analysis.interval_days or 0),
            ties=analysis.ties or "efron",
            truncate=analysis.truncate_weights,
        )
    except EstimationError as exc:
        raise with_names(exc, design) from None
    made = [
        _hazard_ratio(asked, found, fit, term, (str(level), str(reference)))
        for term, fit in (("itt", found.itt), ("per_protocol", found.per_protocol))
    ]
    return [*made, *_arms(asked, found, (str(level), str(reference)))]


def levels_of_treatment(asked: AskedOfTable) -> tuple[object, object]:
    """Return the reference and the other level of the treatment."""
    kind = asked.rows.source.columns[str(asked.group_column)]
    return (kind.category[0], kind.category[1]) if isinstance(kind, Category) else (0, 1)


def _hazard_ratio(
    asked: AskedOfTable, found: SequentialTrials, fit: CoxFit, term: str, levels: tuple[str, str]
) -> Row:
    of_weights = "; weights taken as known" if term == "per_protocol" else ""
    low, middle, high = (math.exp(v[0]) for v in (fit.ci_low, fit.coef, fit.ci_high))
    return asked.row(
        "hazard_ratio",
        term=term,
        estimate=middle,
        estimate_scale="ratio",
        std_error=float(fit.std_error[0]),
        se_scale="log",
        se_method=fit.se_method,
        ci_low=low,
        ci_high=high,
        ci_level=fit.level,
        ci_method="wald",
        statistic_name="z",
        statistic=float(fit.z[0]),
        p_value=float(fit.p_value[0]),
        n=found.persons,
        n_events=found.events,
        n_clusters=found.persons,
        unit_of_analysis="person",
        note=f"{found.trials} trials, each with its baseline; clustered on persons{of_weights}",
        **asked.of_contrast(*levels),
    )


def _arms(asked: AskedOfTable, found: SequentialTrials, levels: tuple[str, str]) -> Iterator[Row]:
    """Yield, for each arm of the pooled trials, entries and those that left its course."""
    for arm, level in zip(found.arms, levels, strict=True):
        counts = (
            ("entries", arm.entries, {"n": arm.persons, "n_events": arm.events}),
            # Few deviations are few persons: `n` lets the gate of disclosure see them.
            (
                "deviations",
                arm.deviations,
                {"n": min(arm.deviations, arm.persons), "n_events": None},
            ),
        )
        for term, count, of in counts:
            yield asked.row(
                "count",
                term=term,
                unit="persons in trials",
                estimate=float(count),
                **of,
                unit_of_analysis="person",
                note=f"weights up to {arm.largest_weight:.4g}",
                **asked.of_group(level),
            )
