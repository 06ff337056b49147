"""Rows of an analysis table as a landmark sees them: who is followed so long, time from there."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.table_rows import Array, Loss, TableRows
from tasks.core.spec.sources import AnalysisTable
from tasks.core.spec.table_fields import TableField, role_fields


def from_landmark(rows: TableRows) -> TableRows:
    """Return the rows that a landmark analysis uses; those it leaves out are counted by reason.

    Persons whose follow-up ends on the landmark day or before leave, and persons who are not
    under observation on that day; of intervals, the part after the landmark stays.
    """
    landmark = rows.analysis.landmark_days
    if landmark is None or not isinstance(rows.source, AnalysisTable):
        return rows
    is_after = rows.time > landmark
    is_present = is_after & _is_present(rows, float(landmark))
    field = _field_of_end(rows.source)
    counted = (
        ("before_landmark", int((~is_after).sum())),
        ("after_landmark", int((is_after & ~is_present).sum())),
    )
    losses = tuple(Loss(field, reason, lost) for reason, lost in counted if lost)
    values = {name: column[is_present] for name, column in rows.values.items()}
    return replace(rows, values=_shifted(values, float(landmark)), losses=(*rows.losses, *losses))


def _is_present(rows: TableRows, landmark: float) -> BoolArray:
    """Return the rows of persons who have entered by the landmark and are followed beyond it."""
    entry: FloatArray = np.zeros(rows.n) if rows.entry is None else rows.entry
    covers = (entry <= landmark) & (rows.time > landmark)
    persons = rows.persons
    if persons is None or not covers.size:
        return covers
    return np.asarray(np.bincount(persons, covers)[persons] > 0)


def _shifted(values: Mapping[str, Array], landmark: float) -> dict[str, Array]:
    """Return the values with each time counted from the landmark, none below 0."""
    times = ("follow_up_days", "stop_days", "start_days", "entry_days")
    return {
        name: np.maximum(np.asarray(column, dtype=np.float64) - landmark, 0.0)
        if name in times
        else column
        for name, column in values.items()
    }


def _field_of_end(source: AnalysisTable) -> TableField:
    """Return the field that holds the end of follow-up, or of an interval."""
    fields = {field.name: field for field in role_fields(source)}
    return fields.get("stop_days") or fields["follow_up_days"]
