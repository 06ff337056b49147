"""The hospitals and the device of a simulated consortium: what holds for every person there."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.simulate.scenario import Scenario

Form = Literal["csv", "cp949", "parquet", "fhir"]
FORMS: tuple[Form, ...] = ("cp949", "fhir", "parquet", "csv")

ENROLMENT_START, ENROLMENT_END = date(2024, 1, 1), date(2025, 12, 31)
DATA_CUTOFF = date(2026, 6, 30)
ENROLMENT_DAYS = (ENROLMENT_END - ENROLMENT_START).days + 1
DAYS_A_MONTH = ENROLMENT_DAYS / 24
SILENT_DAYS = 60
UDI_DI = "08800000000017"
DEVICE_NAME = "Simulated CXR Triage AI"
SCANNERS = ("Alpha DR-1", "Beta CR-7", "Gamma Mobile-3")
NEW_SCANNER = "Delta DR-9"
READERS_A_SITE, READER_SPREAD = 8, 0.3

# The streams of random numbers; each person's numbers depend on seed, site and chunk alone.
WORLD, PEOPLE, RECORDS, READERS, DIRT, POTENTIAL = range(6)


@dataclass(frozen=True, slots=True)
class Version:
    """One model version: how far it tells sick from healthy, and where it draws the line."""

    name: str
    software: str
    separation: float
    cut: float
    valid_from: date
    change_plan: str


VERSIONS = (
    Version("1.0", "1.0.4", 1.75, 1.20, date(2023, 9, 1), ""),
    Version("2.0", "2.1.0", 2.25, 1.30, date(2024, 10, 1), "PCCP-2024-01"),
)


@dataclass(frozen=True, slots=True)
class Hospital:
    """One site; days count from the first day of enrolment."""

    site_id: str
    place: int
    n_persons: int
    form: Form
    has_vendor_log: bool
    age_mean: float
    comorbidity_shift: float
    disease_intercept: float
    scanner: str
    scanner_shift: float
    failure_share: float
    go_live_day: int
    update_day: int | None
    drift_day: int | None
    reader_leanings: tuple[float, ...]

    @property
    def silent_day(self) -> int:
        """Day from which the device runs in silent mode; before it, it does not run."""
        return self.go_live_day - SILENT_DAYS


def random_stream(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one purpose; the key makes streams independent."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


def make_hospitals(
    scenario: Scenario, persons: int, sites: int, seed: int, form: Form | None = None
) -> tuple[Hospital, ...]:
    """Draw the hospitals of a consortium.

    Args:
        scenario: What is planted.
        persons: Persons of all hospitals together.
        sites: How many hospitals, at least 1.
        seed: Of the whole simulation.
        form: Form of every delivery; each site its own when absent.
    """
    rng = random_stream(seed, WORLD)
    sizes = _sizes(scenario, persons, sites, rng)
    live = np.sort(rng.uniform(0.05, 0.55, sites) * ENROLMENT_DAYS).astype(int)
    live = np.zeros_like(live) if scenario.assignment.randomised else live
    return tuple(
        Hospital(
            site_id=f"sim-{place + 1:02d}",
            place=place,
            n_persons=int(sizes[place]),
            form=form or FORMS[place % len(FORMS)],
            has_vendor_log=form is None and place % len(FORMS) == len(FORMS) - 1,
            age_mean=float(rng.uniform(54, 68)),
            comorbidity_shift=float(rng.normal(0, 0.25)),
            disease_intercept=float(rng.uniform(-1.5, -0.8)),
            scanner=SCANNERS[int(rng.integers(len(SCANNERS)))],
            scanner_shift=float(rng.normal(0, 0.12)),
            failure_share=float(rng.uniform(0.01, 0.03)),
            go_live_day=int(live[place]),
            update_day=_month_day(scenario.update.month, place),
            drift_day=_month_day(scenario.drift.month, 0) if place < scenario.drift.sites else None,
            reader_leanings=tuple(rng.normal(0, READER_SPREAD, READERS_A_SITE).tolist()),
        )
        for place in range(sites)
    )


def _sizes(
    scenario: Scenario, persons: int, sites: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Divide the persons among the sites; every site has at least one, the first takes the rest."""
    weight = np.exp(rng.normal(0, scenario.sizes.spread, sites))
    small = min(int(sites * scenario.sizes.small_sites), sites - 1)
    share = np.full(sites, scenario.sizes.small_size / sites)
    large = sites - small
    share[:large] = (1 - share[large:].sum()) * weight[:large] / weight[:large].sum()
    sizes = np.maximum(1, np.floor(persons * share)).astype(np.int64)
    sizes[0] += persons - sizes.sum()
    return np.asarray(sizes)


def _month_day(month: int | None, place: int) -> int | None:
    return None if month is None else round((month + place % 6) * DAYS_A_MONTH)
