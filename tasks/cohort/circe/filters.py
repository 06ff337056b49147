"""Fields of the Circe language that circepy 0.3.0 reads but passes over when it builds with ibis.

circepy turns each kind of event into a list of steps; here the steps that it leaves out are added.
Their columns are those of the views that `views.py` makes.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tasks.cohort.circe.support import support

# Kinds of field that circepy leaves out wherever they stand, and single fields that it leaves out.
_LEFT_OUT = ("age", "end_age", "length", "ratio", "abnormal", "codeset_of")
_ALSO = {
    "DoseEra": ("Unit", "UnitCS", "DoseValue"),
    "ObservationPeriod": ("PeriodType", "PeriodTypeCS"),
}
_DONE = {
    "length": ("ConditionEra", "DrugEra", "DoseEra", "VisitOccurrence", "VisitDetail", "CustomEra"),
}


@cache
def complete_circepy() -> None:
    """Make circepy read every field that `support.yaml` lists; once a process."""
    from circe.cohortdefinition import criteria
    from circe.extensions import get_registry

    import circe.execution  # noqa: F401  isort: skip - registers circepy's own

    registry = get_registry()
    for name in support().events:
        kind = getattr(criteria, name)
        if fields := tuple(_left_out(name)):
            registry.register_lowerer(kind, _completed(registry.get_lowerer(kind), name, fields))


def _left_out(name: str) -> Iterator[str]:
    for key, field in support().events[name].fields.items():
        if key == "Age" or name in _DONE.get(field.kind, ()) or name == "CustomEra":
            continue
        if field.kind in _LEFT_OUT or key in _ALSO.get(name, ()):
            yield key


def _completed(lower: Any, name: str, fields: tuple[str, ...]) -> Callable[..., Any]:
    """Return circepy's translation of one kind of event with the steps of more fields."""

    def lowered(criterion: Any, *, criterion_index: int) -> Any:
        from dataclasses import replace

        from circe.execution.plan.events import StandardizeEventShape

        plan = lower(criterion, criterion_index=criterion_index)
        before: list[Any] = []
        after: list[Any] = []
        for key in fields:
            _add(before, after, name, key, criterion.raw_criteria)
        at = next(i for i, s in enumerate(plan.steps) if isinstance(s, StandardizeEventShape))
        steps = (*plan.steps[:at], *before, plan.steps[at], *after, *plan.steps[at + 1 :])
        return replace(plan, steps=steps)

    return lowered


def _add(before: list[Any], after: list[Any], name: str, key: str, raw: Any) -> None:
    """Add the steps of one field: `before` over the table's columns, `after` over the event."""
    from circe.execution.lower import common

    value = getattr(raw, _attribute(type(raw), key))
    field = support().events[name].fields[key]
    if value is None:
        return
    if field.kind in ("age", "end_age"):
        after.append(_age(value, "start_date" if field.kind == "age" else "end_date"))
    elif field.kind == "length":
        common.append_duration_filter(after, value=value)
    elif field.kind == "concepts":
        common.append_concept_filters(before, column=field.column, concepts=value)
    elif field.kind == "selection":
        common.append_concept_filters(before, column=field.column, codeset_selection=value)
    else:
        _add_column(before, field.kind, field.column, value)


def _add_column(before: list[Any], kind: str, column: str, value: Any) -> None:
    from circe.cohortdefinition.core import ConceptSetSelection, NumericRange
    from circe.execution.lower import common

    if kind == "codeset_of":
        selection = ConceptSetSelection(codeset_id=value)
        common.append_concept_filters(before, column=column, codeset_selection=selection)
    elif kind == "ratio":
        common.append_numeric_filter(before, column=f"{column}_ratio", value=value)
    elif kind == "numbers":
        common.append_numeric_filter(before, column=column, value=value)
    elif value:
        common.append_numeric_filter(
            before, column="is_abnormal", value=NumericRange(op="eq", value=1)
        )


def _age(value: Any, column: str) -> Any:
    from circe.execution.plan.events import FilterByPersonAge
    from circe.execution.plan.predicates import NumericRangePredicate

    predicate = NumericRangePredicate(op=value.op, value=value.value, extent=value.extent)
    return FilterByPersonAge(date_column=column, predicate=predicate)


def _attribute(model: Any, key: str) -> str:
    """Return the name of a model's field by the key that it has in JSON."""
    squeezed = key.lower()
    return next(str(name) for name in model.model_fields if name.replace("_", "") == squeezed)
