"""What a study of several readers measures, and for whom it speaks: blocks of analyses."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen

Figure = Literal["auc", "sensitivity", "specificity"]


class ReaderStudy(Frozen):
    """The figures of merit of a reader study, and the readers and cases that it speaks for."""

    figures: Annotated[
        tuple[Figure, ...],
        AS_TUPLE,
        Field(min_length=1, max_length=3, description="What each reader is judged by."),
    ] = ("auc",)
    covariance: Annotated[
        Literal["jackknife", "delong", "unbiased"],
        Field(description="How the covariance of readers and modalities over cases is estimated."),
    ] = "jackknife"
    inference: Annotated[
        Literal["random_readers_random_cases", "fixed_readers", "fixed_cases"],
        Field(description="For whom the study speaks; the other two stand beside."),
    ] = "random_readers_random_cases"
    incomplete: Annotated[
        Literal["refuse", "leave_out"],
        Field(description="What becomes of cases that not all readers read who share cases."),
    ] = "refuse"


class AgreementOf(Frozen):
    """On what readers agree: results at the threshold, ordered categories, or numbers."""

    of: Annotated[
        Literal["results", "categories", "numbers"],
        Field(description="Positive or negative, the ordered levels of the score, or the score."),
    ] = "results"
    against_truth: Annotated[
        bool, Field(description="Whether results of each reader are held against the truth too.")
    ] = False
