"""How an index test is read, and what it is held against: blocks of the analyses of readings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.probabilities import CalibrationOf, DecisionCurve
from tasks.core.spec.reader_studies import AgreementOf, ReaderStudy
from tasks.core.spec.roc import OperatingPoint, Roc
from tasks.core.spec.sample_sizes import SampleSize
from tasks.core.spec.verification import ImperfectReference, Verification


class IndexTest(Frozen):
    """When a score is a positive result; what becomes of outputs that are no result."""

    threshold: Annotated[
        float | None,
        Field(description="The score at which a result turns; none where `output` says it."),
    ] = None
    positive: Annotated[
        Literal["at_or_above", "above", "at_or_below", "below"],
        Field(description="On which side of the threshold a result is positive."),
    ] = "at_or_above"
    prevalences: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...],
        AS_TUPLE,
        Field(max_length=20, description="Prevalences at which predictive values are told."),
    ] = ()
    without_result: Annotated[
        Literal["positive", "negative", "wrong", "left_out"],
        Field(
            description="What indeterminate and failed outputs count as: a positive (the case is "
            "read by hand), a negative, the wrong answer, or nothing. The bounds stand beside."
        ),
    ] = "wrong"


class Hypothesis(Frozen):
    """What a comparison of two modalities, or of a test with a goal, has to show."""

    claim: Literal["superiority", "non_inferiority", "equivalence"]
    margin: Annotated[
        float,
        Field(ge=0, lt=1, description="How much worse (or other) it may be; 0 of superiority."),
    ] = 0.0
    goal: Annotated[
        float | None,
        Field(gt=0, lt=1, description="A fixed value to hold one modality against."),
    ] = None
    alpha: Annotated[
        float, Field(gt=0, lt=0.5, description="One-sided level of the claim; 0.025.")
    ] = 0.025

    @model_validator(mode="after")
    def _has_a_margin(self) -> Self:
        if self.claim != "superiority" and not self.margin:
            raise ValueError(f"{self.claim} needs a margin above 0")
        return self


class AcrossCentres(Frozen):
    """How sensitivity and specificity of centres are pooled together."""

    model: Annotated[
        Literal["glmm", "reml", "ml"],
        Field(description="Binomial-normal (glmm), or Reitsma's normal model by reml or ml."),
    ] = "glmm"
    add_half: Annotated[
        Literal["if_any_zero", "everywhere", "centres_with_zero", "none"],
        Field(description="Where reml and ml add a half to all four cells of a centre."),
    ] = "if_any_zero"


class ReadingKeys(Frozen):
    """Keys of the analyses of readings."""

    index_test: Annotated[
        IndexTest | None, Field(description="When the score of a reading is a positive result.")
    ] = None
    hypothesis: Annotated[
        Hypothesis | None, Field(description="The margin of a comparison, and what it shows.")
    ] = None
    reader_study: Annotated[
        ReaderStudy | None, Field(description="What a reader study measures and speaks for.")
    ] = None
    agreement: Annotated[
        AgreementOf | None, Field(description="On what readers are asked to agree.")
    ] = None
    sample_size: Annotated[
        SampleSize | None, Field(description="Planned numbers, told beside those reached.")
    ] = None
    verification: Annotated[
        Verification | None, Field(description="How cases that were not verified are made up for.")
    ] = None
    imperfect_reference: Annotated[
        ImperfectReference | None,
        Field(description="What is taken to be so where no reference standard is right."),
    ] = None
    calibration: Annotated[
        CalibrationOf | None, Field(description="How the calibration of the score is looked at.")
    ] = None
    decision_curve: Annotated[
        DecisionCurve | None,
        Field(description="At which thresholds acting on the score is judged, and where."),
    ] = None
    across_centres: Annotated[
        AcrossCentres | None, Field(description="How centres are pooled; glmm when left out.")
    ] = None
    roc: Annotated[
        Roc | None, Field(description="Parts of ROC curves, and values at fixed ones.")
    ] = None
    operating_point: Annotated[
        OperatingPoint | None,
        Field(description="How a threshold is chosen, on which cases, and judged on which others."),
    ] = None
