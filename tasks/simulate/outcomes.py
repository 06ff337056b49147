"""What happens to each person under each strategy: times, money and quality of life.

Both strategies share every random number of a person, so their difference is that person's effect.
Days count from the image: day 0 is the day of the image, events happen on day 1 or later.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.simulate.people import Bools, Floats, Ints, People
from tasks.simulate.scenario import Scenario

NEVER = 100_000
HORIZON_DAYS = 365
DAYS_A_YEAR = 365.25

FAILURE_SHAPE, FAILURE_SCALE_DAYS = 0.8, 16_000.0
FAILURE_LOG_HAZARD = 0.7
FOUND_RATIO, MISSED_RATIO = 2.5, 16.0
DEATH_YEARLY, DEATH_LOG_HAZARD = 0.02, 0.6
FATALITY, FATAL_DAYS = 0.2, 20.0

VISITS_YEARLY, VISITS_LOG_RATE, VISITS_AFTER = 2.6, 0.25, 2.0
VISIT_KRW, INDEX_VISIT_KRW, ADMISSION_KRW, CT_KRW, AI_FEE_KRW = 62e3, 85e3, 5.2e6, 140e3, 310.0
VISIT_LOG_SD, ADMISSION_LOG_SD = 0.5, 0.6

# EQ-5D-5L profiles before and after respiratory failure, from the healthiest to the sickest, with
# the severity above which each begins; index values by Kim 2016 (doi 10.1007/s11136-015-1205-2).
PROFILES_BEFORE = ("11111", "11121", "21121", "21232", "32333")
PROFILES_AFTER = ("21222", "21232", "32333", "43443", "44544")
SEVERITY_STEPS = (-0.6, 0.1, 0.9, 1.8)
_KIM_2016 = {
    "MO": (0.0, -0.046, -0.058, -0.133, -0.251),
    "SC": (0.0, -0.032, -0.050, -0.078, -0.122),
    "UA": (0.0, -0.021, -0.051, -0.100, -0.175),
    "PD": (0.0, -0.042, -0.053, -0.166, -0.207),
    "AD": (0.0, -0.033, -0.046, -0.102, -0.137),
}
_KIM_INTERCEPT, _KIM_ANY_4_OR_5 = -0.096, -0.078


@dataclass(frozen=True, slots=True, eq=False)
class Fate:
    """What happens under one strategy, one entry a person, shape (n,).

    `failure_day` and `death_day` are NEVER where it does not happen within any follow-up;
    respiratory failure after death is NEVER.
    """

    failure_day: Ints
    death_day: Ints

    @property
    def event_free_days(self) -> Ints:
        """Days until respiratory failure or death, whichever is first."""
        return np.minimum(self.failure_day, self.death_day)


@dataclass(frozen=True, slots=True, eq=False)
class PotentialOutcomes:
    """Fate of the same people with the output shown and with it not shown."""

    shown: Fate
    not_shown: Fate


@dataclass(frozen=True, slots=True, eq=False)
class _Luck:
    """The random numbers of a person that no strategy changes."""

    failure: Floats
    death: Floats
    fatality: Floats
    fatal_days: Floats


def draw_outcomes(people: People, rng: np.random.Generator) -> PotentialOutcomes:
    """Draw both potential outcomes of each person."""
    n = people.size
    luck = _Luck(
        rng.exponential(size=n), rng.exponential(size=n), rng.random(n),
        rng.exponential(FATAL_DAYS, n),
    )  # fmt: skip
    return PotentialOutcomes(
        _fate(people, people.sees_aided, luck), _fate(people, people.sees_unaided, luck)
    )


def observed(people: People, outcomes: PotentialOutcomes) -> Fate:
    """Return the fate under what each person really had."""
    shown = people.is_shown
    return Fate(
        np.where(shown, outcomes.shown.failure_day, outcomes.not_shown.failure_day),
        np.where(shown, outcomes.shown.death_day, outcomes.not_shown.death_day),
    )


def loss_days(scenario: Scenario, people: People, rng: np.random.Generator) -> Ints:
    """Return the day on which each person is lost; NEVER where that does not happen."""
    rule = scenario.censoring
    wait = rng.exponential(DAYS_A_YEAR, people.size)
    if not rule.yearly_rate:
        return np.full(people.size, NEVER)
    log_rate = rule.shown_log_ratio * people.is_shown + rule.severity_log_ratio * people.severity
    return _whole_days(wait / (rule.yearly_rate * np.exp(log_rate)))


def visit_rate(people: People) -> Floats:
    """Return expected outpatient visits a day while alive and free of respiratory failure."""
    return VISITS_YEARLY / DAYS_A_YEAR * np.exp(VISITS_LOG_RATE * people.severity)


def expected_cost_krw(
    people: People, fate: Fate, *, shown: bool, horizon_days: int = HORIZON_DAYS
) -> Floats:
    """Return the expected cost of each person within the horizon, given the fate.

    Number and price of visits are averaged out; what is summed is what the cost rows of a complete
    record sum to on average.
    """
    free = np.minimum(fate.event_free_days, horizon_days)
    ill = np.minimum(fate.death_day, horizon_days) - free
    failed = fate.failure_day <= horizon_days
    sees = people.sees_aided if shown else people.sees_unaided
    visits = visit_rate(people) * (free + VISITS_AFTER * ill)
    fixed = INDEX_VISIT_KRW + CT_KRW * sees + (AI_FEE_KRW if shown else 0.0)
    return np.asarray(fixed + visits * VISIT_KRW + failed * ADMISSION_KRW)


def qaly(people: People, fate: Fate, horizon_days: int = HORIZON_DAYS) -> Floats:
    """Return quality-adjusted life years of each person within the horizon."""
    step = profile_step(people)
    before, after = (np.array([eq5d_index(p) for p in profiles])[step] for profiles in _BOTH)
    free = np.minimum(fate.event_free_days, horizon_days)
    ill = np.minimum(fate.death_day, horizon_days) - free
    return np.asarray((before * free + after * ill) / DAYS_A_YEAR)


def profile_step(people: People) -> NDArray[np.intp]:
    """Return which of the five profiles a person has, before and after respiratory failure."""
    return np.digitize(people.severity, SEVERITY_STEPS)


def eq5d_index(profile: str) -> float:
    """Return the Korean EQ-5D-5L index (Kim 2016) of a profile such as `21232`."""
    if profile == "11111":
        return 1.0
    levels = dict(zip(_KIM_2016, map(int, profile), strict=True))
    loss = sum(_KIM_2016[name][level - 1] for name, level in levels.items())
    return 1 + _KIM_INTERCEPT + loss + (_KIM_ANY_4_OR_5 if max(levels.values()) >= 4 else 0.0)


_BOTH = (PROFILES_BEFORE, PROFILES_AFTER)


def _fate(people: People, is_seen: Bools, luck: _Luck) -> Fate:
    ratio = np.where(people.has_disease, np.where(is_seen, FOUND_RATIO, MISSED_RATIO), 1.0)
    hazard = ratio * np.exp(FAILURE_LOG_HAZARD * people.severity)
    failure = FAILURE_SCALE_DAYS * (luck.failure / hazard) ** (1 / FAILURE_SHAPE)
    yearly = DEATH_YEARLY * np.exp(DEATH_LOG_HAZARD * people.severity)
    death = _whole_days(luck.death / yearly * DAYS_A_YEAR)
    failure_day = _whole_days(failure)
    failure_day = np.where(failure_day <= death, failure_day, NEVER)
    fatal = (luck.fatality < FATALITY) & (failure_day < NEVER)
    after = np.where(fatal, failure_day + _whole_days(luck.fatal_days), NEVER)
    return Fate(failure_day, np.minimum(death, after))


def _whole_days(days: Floats) -> Ints:
    """Return the day on which something happens: 1 for within the first day."""
    return np.asarray(np.minimum(np.floor(days) + 1, NEVER), np.int64)
