"""Named estimates, and the gates that they have to pass."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Days, Frozen, Id

Adjustment = Literal["none", "iptw_ate", "overlap", "matched"]


_UNWEIGHTED = ("log_rank", "incidence_rate")
_KEYS_OF_METHODS = {
    "ties": ("cox",),
    "std_error": ("cox",),
    "horizon_days": ("rmst",),
    "table_days": ("kaplan_meier", "cumulative_incidence"),
}


class Analysis(Frozen):
    """One named estimate: a method, an adjustment, and the part it plays."""

    id: Id
    role: Literal["primary", "secondary", "sensitivity", "exploratory", "replication"]
    method: Literal[
        "cox",
        "kaplan_meier",
        "log_rank",
        "rmst",
        "cumulative_incidence",
        "incidence_rate",
    ]
    adjustment: Adjustment
    estimand: Annotated[
        Id | None,
        Field(description="Which estimand it serves; may be left out where there is one."),
    ] = None
    population: Annotated[
        Id | None,
        Field(description="Population of the design to restrict it to; everybody when left out."),
    ] = None
    ties: Literal["breslow", "efron"] | None = None
    std_error: Literal["model", "robust", "profile_likelihood"] | None = None
    horizon_days: Annotated[int, Field(gt=0, le=36_500)] | None = None
    table_days: Annotated[tuple[Days, ...], AS_TUPLE] = ()

    @model_validator(mode="after")
    def _says_what_its_method_needs(self) -> Self:
        needed = {"cox": ("ties", "std_error"), "rmst": ("horizon_days",)}.get(self.method, ())
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"method {self.method} needs {' and '.join(missing)}")
        if self.method == "cox" and self.adjustment != "none" and self.std_error != "robust":
            raise ValueError("weighted and matched Cox models need std_error: robust")
        if self.method in _UNWEIGHTED and self.adjustment in {"iptw_ate", "overlap"}:
            raise ValueError(f"method {self.method} has no weighted form; use none or matched")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_its_method_ignores(self) -> Self:
        given = {name for name in _KEYS_OF_METHODS if getattr(self, name)}
        if idle := sorted(name for name in given if self.method not in _KEYS_OF_METHODS[name]):
            raise ValueError(f"method {self.method} does not use {' and '.join(idle)}")
        return self


class Gate(Frozen):
    """A diagnostic with a threshold, and what happens when it is missed."""

    name: Literal["persons_per_arm", "events", "max_smd", "equipoise"]
    threshold: Annotated[float, Field(ge=0)]
    adjustment: Adjustment = "none"
    on_miss: Literal["block", "report"]
