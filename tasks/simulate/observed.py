"""How long each simulated person is seen, and the numbers that records of a hospital bear."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tasks.simulate import outcomes as fate_of
from tasks.simulate.frames import dates, texts, times
from tasks.simulate.outcomes import Fate
from tasks.simulate.people import Ints, People
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import DATA_CUTOFF, ENROLMENT_START, Hospital

_LAST_DAY = (DATA_CUTOFF - ENROLMENT_START).days


@dataclass(slots=True)
class Numbering:
    """The next free id of each table of one hospital."""

    used: dict[str, int] = field(default_factory=dict)

    def take(self, table: str, n: int) -> Ints:
        """Return `n` new ids of a table, shape (n,)."""
        start = self.used.get(table, 0)
        self.used[table] = start + n
        return np.arange(start + 1, start + n + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One chunk of a hospital as its records will show it, one entry a person.

    `look_back_days` of observation lie before the image; `end_day` is the last day under
    observation; `acquired_second` is the second of the day of the image,
    `read_second` that of its first read.
    """

    hospital: Hospital
    people: People
    fate: Fate
    person_id: Ints
    look_back_days: Ints
    end_day: Ints
    acquired_second: Ints
    read_second: Ints

    @property
    def study_id(self) -> pl.Series:
        """Imaging study of each index image, as a pseudonymous UID."""
        return texts(f"1.2.410.999.{self.hospital.place + 1}.", self.person_id)

    def days(self, rows: Ints, day: Ints) -> pl.Series:
        """Return dates: `day` after the image of the persons in `rows`."""
        return dates(self.people.image_day[rows] + day)

    def times(self, rows: Ints, day: Ints, second: Ints) -> pl.Series:
        """Return times: `second` of the day that lies `day` after the image."""
        return times(self.people.image_day[rows] + day, second)


def observe(
    scenario: Scenario,
    hospital: Hospital,
    people: People,
    outcomes: fate_of.PotentialOutcomes,
    numbering: Numbering,
    rng: np.random.Generator,
) -> Observed:
    """Decide how long each person is seen, before and after the image."""
    n = people.size
    fate = fate_of.observed(people, outcomes)
    short = rng.random(n) < 0.03
    back = np.where(short, rng.integers(30, 300, n), 366 + rng.exponential(500, n).astype(np.int64))
    lost = fate_of.loss_days(scenario, people, rng)
    end = np.minimum(np.minimum(lost, _LAST_DAY - people.image_day), fate.death_day)
    acquired = rng.integers(8 * 3600, 20 * 3600, n)
    return Observed(
        hospital=hospital,
        people=people,
        fate=fate,
        person_id=numbering.take("person", n),
        look_back_days=back,
        end_day=end,
        acquired_second=acquired,
        read_second=acquired + rng.integers(300, 7200, n),
    )
