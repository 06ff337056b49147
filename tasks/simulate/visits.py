"""Visits of simulated persons: before the image, with it, after it, and admissions."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.simulate import outcomes as fate_of
from tasks.simulate.frames import empty, frame, within
from tasks.simulate.observed import Numbering, Observed
from tasks.simulate.people import Bools, Ints

EHR = 32817
BASELINE, INDEX, FOLLOW_UP, ADMISSION = range(4)
_VISIT_CONCEPTS = {"AMB": 9202, "EMER": 9203, "IMP": 9201}
_STAY_DAYS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Visits in the order of persons and days; `person` is the row of the person in the chunk."""

    visit_id: Ints
    person: Ints
    day: Ints
    kind: Ints
    second: Ints
    is_emergency: Bools

    @classmethod
    def draw(cls, seen: Observed, numbering: Numbering, rng: np.random.Generator) -> "Visits":
        """Draw the visits of one chunk of a hospital."""
        people, fate = seen.people, seen.fate
        rate = fate_of.visit_rate(people)
        free = np.minimum(fate.event_free_days, seen.end_day)
        ill = np.minimum(fate.death_day, seen.end_day) - free
        failed = np.flatnonzero(fate.failure_day <= seen.end_day)
        rows = np.arange(people.size)
        before = np.repeat(rows, rng.poisson(3.0, people.size))
        first = np.repeat(rows, rng.poisson(rate * free))
        later = np.repeat(rows, rng.poisson(fate_of.VISITS_AFTER * rate * ill))
        parts = [
            (before, -1 - within(seen.look_back_days[before] - 1, rng), BASELINE),
            (rows, np.zeros(people.size, np.int64), INDEX),
            (first, 1 + within(free[first], rng), FOLLOW_UP),
            (later, free[later] + 1 + within(ill[later], rng), FOLLOW_UP),
            (failed, fate.failure_day[failed], ADMISSION),
        ]
        person = np.concatenate([part[0] for part in parts])
        day = np.concatenate([part[1] for part in parts])
        kind = np.repeat([part[2] for part in parts], [part[0].size for part in parts])
        order = np.lexsort((kind, day, person))
        person, day, kind = person[order], day[order], kind[order]
        emergency = (kind == INDEX) & (rng.random(person.size) < 0.4)
        second = rng.integers(8 * 3600, 18 * 3600, person.size)
        second = np.where(kind == INDEX, seen.acquired_second[person] - 1800, second)
        ids = numbering.take("visit_occurrence", person.size)
        return cls(ids, person, day, kind, second, emergency)

    @property
    def index_id(self) -> Ints:
        """Visit of each person's image."""
        return np.asarray(self.visit_id[self.kind == INDEX])

    def table(self, seen: Observed) -> pl.DataFrame:
        """Return the rows of visit_occurrence."""
        stay = np.minimum(seen.end_day[self.person] - self.day, _STAY_DAYS)
        end = self.day + np.where(self.kind == ADMISSION, stay, 0)
        # A visit ends three hours after it began, or at noon of the last day of a stay.
        last_second = np.where(end > self.day, 12 * 3600, self.second + 3 * 3600)
        code = np.where(self.kind == ADMISSION, "IMP", np.where(self.is_emergency, "EMER", "AMB"))
        concepts = np.array([_VISIT_CONCEPTS[c] for c in ("IMP", "EMER", "AMB")])
        concept = concepts[np.select([code == "IMP", code == "EMER"], [0, 1], 2)]
        return frame(
            "visit_occurrence",
            visit_occurrence_id=self.visit_id,
            person_id=seen.person_id[self.person],
            visit_concept_id=concept,
            visit_start_date=seen.days(self.person, self.day),
            visit_start_datetime=seen.times(self.person, self.day, self.second),
            visit_end_date=seen.days(self.person, end),
            visit_end_datetime=seen.times(self.person, end, last_second),
            visit_type_concept_id=np.full(code.size, EHR),
            visit_source_value=code,
            admitted_from_source_value=np.where(self.is_emergency, "응급실", "외래"),
            preceding_visit_occurrence_id=empty(code.size, pl.Int64),
        )
