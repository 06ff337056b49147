"""What a report is made of: the study, its numbers, and where they came from."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import polars as pl

from tasks.core.errors import CausewayError
from tasks.core.spec import StudySpec

Language = Literal["en", "ko"]
Record = dict[str, Any]

POPULATION_OF = {
    "none": "crude",
    "iptw_ate": "iptw_ate",
    "iptw_att": "iptw_att",
    "overlap": "overlap",
    "matched": "matched",
    "stratified": "stratified",
    "entropy_balanced": "entropy_balanced",
    "initiation_weights": "initiation_weights",
}


class ReportError(CausewayError):
    """The inputs of a report do not fit together; a fault of the run, never of the reader."""

    default_code = "E_REPORT"


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """Everything a report shows; no number comes from anywhere else.

    Args:
        spec: The study.
        results: Every estimate, schema `tasks.core.results.SCHEMA`.
        attrition: One row an arm and step: arm, step, step_id, label_en, label_ko, records
            (null from the entry on), remaining, excluded (null when withheld, and where persons are
            only sorted into the arms), status.
        balance: One row a covariate and adjustment: covariate, label_en, label_ko, kind,
            adjustment, means, standard deviations, counts, smd, status.
        quality: One record a delivery: verdict, checks and files.
        deliveries: The deliveries used.
        gates: Verdicts of the gates of the study.
        provenance: Run id, hashes, data cut-off and package versions.
    """

    spec: StudySpec
    results: pl.DataFrame
    attrition: pl.DataFrame
    balance: pl.DataFrame
    quality: list[Record]
    deliveries: list[Record]
    gates: list[Record]
    provenance: dict[str, str]

    @property
    def document_date(self) -> date:
        """The data cut-off, which is the date of the document.

        Raises:
            ReportError: `provenance` has no data cut-off, or it is not a day.
        """
        text = self.provenance.get("data_cutoff", "")
        try:
            return date.fromisoformat(text)
        except ValueError:
            what = f"data_cutoff is {text!r}, not a day"
            fix = "pass the data cut-off of the snapshot as YYYY-MM-DD."
            raise ReportError("report provenance", what, fix) from None

    @property
    def is_synthetic(self) -> bool:
        """True when every delivery says that its persons do not exist."""
        classes = {delivery.get("data_class") for delivery in self.deliveries}
        return classes == {"synthetic_public"}
