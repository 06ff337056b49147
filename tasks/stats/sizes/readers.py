"""Readers and cases of a multi-reader study, from the variance components of a pilot."""

from dataclasses import dataclass
from typing import Literal

from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.sizes.solve import Plan, smallest, whole

Space = Literal["random readers and random cases", "fixed readers", "fixed cases"]
SPACES: tuple[Space, ...] = ("random readers and random cases", "fixed readers", "fixed cases")


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of the model of Obuchowski and Rockette, of a pilot with `cases` cases.

    Args:
        reader_modality: Variance of reader by modality.
        error: Variance of the error of one area.
        cov1: Covariance of errors of the same reader, other modalities.
        cov2: Of other readers, the same modality.
        cov3: Of other readers and other modalities.
        cases: Cases of the pilot, of which the errors and covariances are.
    """

    reader_modality: float
    error: float
    cov1: float
    cov2: float
    cov3: float
    cases: int

    def at(self, cases: float) -> "Components":
        """Return what they would be of another number of cases: errors fall as one over it."""
        times = self.cases / cases
        return Components(
            max(self.reader_modality, 0.0), times * self.error, times * self.cov1,
            times * self.cov2, times * self.cov3, whole(cases),
        )  # fmt: skip


def reader_study_power(
    components: Components,
    *,
    difference: float,
    readers: int,
    cases: float,
    alpha: float = 0.05,
    space: Space = "random readers and random cases",
) -> float:
    r"""Power of the F test of two modalities that all readers read in all cases.

    .. math:: \lambda = \frac{r \Delta^2 / 2}{\sigma^2_{TR} + \sigma^2_\epsilon - c_1
              + (r - 1) \max(c_2 - c_3, 0)}, \quad
              \nu = \frac{(MS + r \max(c_2 - c_3, 0))^2}{MS^2 / (r - 1)}

    with :math:`MS = \sigma^2_{TR} + \sigma^2_\epsilon - c_1 - (c_2 - c_3)` the mean square of
    modality by reader that is expected. Fixed readers: no :math:`\sigma^2_{TR}`, infinite degrees
    of freedom. Fixed cases: the mean square alone is the denominator.

    Args:
        components: Variances of a pilot.
        difference: Difference of the figure of merit that is expected.
        readers: How many readers.
        cases: How many cases, with and without the condition as in the pilot.
        alpha: Two-sided level.
        space: What the result is about.

    Raises:
        EstimationError: Fewer than two readers where they are random, or no variance is left.

    Source:
        Hillis, Obuchowski & Berbaum (2011) Acad Radiol 18:129.
    """
    _check(components, difference, readers, alpha, space)
    found = components.at(cases)
    over_readers = found.cov2 - found.cov3
    if space == "random readers and random cases":
        over_readers = max(over_readers, 0.0)
    error = found.error - found.cov1 - (found.cov2 - found.cov3)
    if space == "fixed readers":
        below, df = error + readers * over_readers, float("inf")
    else:
        square = found.reader_modality + error
        below = square + (readers * over_readers if space == SPACES[0] else 0.0)
        df = (readers - 1) * (below / square) ** 2 if square > 0 else 0.0
    if below <= 0 or df <= 0:
        what = "the variances leave no error to test against"
        raise EstimationError(
            "power", what, "check the components; cov1 and cov2 - cov3 are too large."
        )
    return _power_of_f(readers * difference**2 / 2 / below, df, alpha)


def _check(
    components: Components, difference: float, readers: int, alpha: float, space: Space
) -> None:
    if readers < (1 if space == "fixed readers" else 2) or components.cases < 2:
        what = f"{readers} readers, and a pilot of {components.cases} cases"
        raise EstimationError("power", what, "two or more readers and cases are needed.")
    if not difference or not 0 < alpha < 0.5:
        what = f"a difference of {difference:g} at alpha {alpha:g}"
        raise EstimationError("power", what, "give a difference that is not 0, alpha below 0.5.")


def _power_of_f(noncentral: float, df: float, alpha: float) -> float:
    if df == float("inf"):
        critical = float(special.chdtri(1, alpha))
        return float(1 - special.chndtr(critical, 1, noncentral))
    critical = float(special.fdtri(1, df, 1 - alpha))
    return float(1 - special.ncfdtr(1, df, noncentral, critical))


def cases_of_readers(
    components: Components,
    *,
    difference: float,
    readers: int,
    alpha: float = 0.05,
    power: float = 0.8,
    cases: int | None = None,
    space: Space = "random readers and random cases",
) -> Plan:
    """Cases that so many readers have to read, or the power of so many.

    Args:
        components: Variances of a pilot.
        difference: Difference of the figure of merit that is expected.
        readers: How many readers.
        alpha: Two-sided level.
        power: Power that is asked for.
        cases: Cases, to be told their power instead.
        space: What the result is about.

    Raises:
        EstimationError: So few readers cannot reach the power with any number of cases.
    """

    def power_of(number: float) -> float:
        return reader_study_power(
            components, difference=difference, readers=readers, cases=number, alpha=alpha,
            space=space,
        )  # fmt: skip

    exact = float(cases) if cases else smallest(power_of, power, 2.0)
    sizes = {"readers": readers, "cases": whole(exact)}
    return Plan(power_of(whole(exact)), sizes, exact, f"Obuchowski-Rockette, {space}")
