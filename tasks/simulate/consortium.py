"""A whole consortium on disk: a delivery a hospital, chunk by chunk, and the truth beside it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.core.errors import UsageError
from tasks.simulate.dirt import Defect, Soiler
from tasks.simulate.fhir import with_device, with_life
from tasks.simulate.frames import Tables
from tasks.simulate.observed import Numbering, observe
from tasks.simulate.outcomes import draw_outcomes
from tasks.simulate.people import draw_people
from tasks.simulate.readers import reader_study
from tasks.simulate.records import make_records
from tasks.simulate.scenario import Scenario, load_scenario
from tasks.simulate.sites import site_tables
from tasks.simulate.truth import N_POTENTIAL, Truth, truth_of
from tasks.simulate.world import (
    DIRT,
    PEOPLE,
    READERS,
    RECORDS,
    Form,
    Hospital,
    make_hospitals,
    random_stream,
)
from tasks.simulate.write import Delivery

CHUNK_PERSONS = 20_000
TRUTH_FILE, DEFECTS_FILE = "truth.json", "defects.json"
VENDOR_TABLES = ("device", "device_version", "device_deployment", "device_inference")
MAX_PERSONS, MAX_SITES = 20_000_000, 50

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Consortium:
    """What was written: deliveries in the order to ingest them, rows, and faults."""

    folder: Path
    deliveries: tuple[Path, ...]
    persons: int
    rows: int
    defects: int

    @property
    def truth(self) -> Path:
        """The planted truth."""
        return self.folder / TRUTH_FILE

    @property
    def defects_file(self) -> Path:
        """Every planted fault by file, line and code."""
        return self.folder / DEFECTS_FILE

    def as_json(self) -> dict[str, object]:
        """Return what was written as plain values."""
        return {
            "deliveries": [str(folder) for folder in self.deliveries],
            "persons": self.persons,
            "rows": self.rows,
            "defects": self.defects,
            "truth": str(self.truth),
            "defects_file": str(self.defects_file),
        }


def simulate_consortium(
    out: Path,
    persons: int,
    sites: int,
    seed: int,
    scenario: str,
    *,
    form: Form | None = None,
    potential: int = N_POTENTIAL,
    progress: Progress = _silent,
) -> Consortium:
    """Write the deliveries of a simulated consortium into an empty folder.

    Args:
        out: Created; must be empty.
        persons: Persons of all hospitals together.
        sites: How many hospitals.
        seed: The same seed gives the same bytes.
        scenario: Name of a scenario in data/scenarios.
        form: Form of every delivery; each hospital its own when absent.
        potential: Persons whose potential outcomes make the truth; 0 writes no truth.
        progress: Told what is being done.

    Raises:
        UsageError: The folder is not empty, a number is out of range, or there is no such scenario.
    """
    _check(out, persons, sites)
    plan = load_scenario(scenario)
    hospitals = make_hospitals(plan, persons, sites, seed, form)
    out.mkdir(parents=True, exist_ok=True)
    made = [_hospital(out, plan, hospital, seed, progress) for hospital in hospitals]
    defects = [defect for site in made for defect in site.defects]
    _write(out / DEFECTS_FILE, _defects_document(plan, seed, defects))
    if potential:
        progress(f"truth from {potential:,} potential outcomes")
        truth: Truth = truth_of(plan, hospitals, seed, potential)
        _write(out / TRUTH_FILE, truth.as_json(plan, seed, persons))
    return Consortium(
        out,
        tuple(folder for site in made for folder in site.deliveries),
        persons,
        sum(site.rows for site in made),
        len(defects),
    )


@dataclass(frozen=True, slots=True)
class _Made:
    deliveries: tuple[Path, ...]
    rows: int
    defects: tuple[Defect, ...]


def _hospital(
    out: Path, plan: Scenario, hospital: Hospital, seed: int, progress: Progress
) -> _Made:
    main = Delivery(out / hospital.site_id, hospital, hospital.form, f"{hospital.site_id}-full")
    log = main
    if hospital.has_vendor_log:
        name = f"{hospital.site_id}-device"
        log = Delivery(out / name, hospital, hospital.form, f"{name}-log", is_log=True)
    soiler = Soiler(plan.dirt_share, random_stream(seed, DIRT, hospital.place))
    rows = 0
    for tables in _chunks(plan, hospital, seed, progress):
        for table, frame in _deliverable(hospital.form, tables).items():
            target = log if table in VENDOR_TABLES else main
            rows += soiler.add(target, table, frame)
    deliveries = (main,) if log is main else (main, log)
    for delivery in deliveries:
        delivery.close()
    return _Made(tuple(d.folder for d in deliveries), rows, tuple(soiler.defects))


def _chunks(plan: Scenario, hospital: Hospital, seed: int, progress: Progress) -> Iterator[Tables]:
    """Yield the tables of a hospital, first with what it delivers once; memory is one chunk."""
    numbering, done = Numbering(), 0
    for chunk in range(-(-hospital.n_persons // CHUNK_PERSONS)):
        n = min(CHUNK_PERSONS, hospital.n_persons - done)
        progress(f"{hospital.site_id}: {done:,} of {hospital.n_persons:,} persons")
        people = draw_people(plan, hospital, n, random_stream(seed, PEOPLE, hospital.place, chunk))
        outcomes = draw_outcomes(people, random_stream(seed, PEOPLE, hospital.place, chunk, 1))
        rng = random_stream(seed, RECORDS, hospital.place, chunk)
        seen = observe(plan, hospital, people, outcomes, numbering, rng)
        tables = make_records(plan, seen, numbering, rng)
        if not chunk:
            study = reader_study(seen, random_stream(seed, READERS, hospital.place))
            for table, frame in study.items():
                tables[table] = pl.concat([tables[table], frame], how="diagonal")
            tables = site_tables(plan, hospital) | tables
        yield tables
        done += n


def _deliverable(form: Form, tables: Tables) -> Tables:
    """Return the tables as they are delivered: a FHIR Patient and Device hold several."""
    if form != "fhir":
        return tables
    merged = dict(tables)
    period, death = merged.pop("observation_period"), merged.pop("death")
    merged["person"] = with_life(merged["person"], period, death)
    if "device" in merged:
        merged["device_version"] = with_device(merged["device_version"], merged.pop("device"))
    return merged


def is_by_product(path: Path) -> bool:
    """Whether a path is a file that the simulator writes beside deliveries, and none itself."""
    if path.name not in (TRUTH_FILE, DEFECTS_FILE) or not path.is_file():
        return False
    with path.open("rb") as stream:
        return b'"causeway-simulation-' in stream.read(200)


def _check(out: Path, persons: int, sites: int) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(str(out), "is not an empty folder", "name a new folder with --out.")
    if not 1 <= sites <= min(MAX_SITES, persons) or persons > MAX_PERSONS:
        what = f"{persons:,} persons in {sites:,} sites"
        fix = f"choose 1 to {MAX_SITES} sites, and from one person a site to {MAX_PERSONS:,}."
        raise UsageError("simulate", what, fix)


def _defects_document(plan: Scenario, seed: int, defects: list[Defect]) -> dict[str, object]:
    return {
        "kind": "causeway-simulation-defects",
        "version": 1,
        "scenario": plan.scenario,
        "seed": seed,
        "defects": [defect.as_dict() for defect in defects],
    }


def _write(file: Path, document: object) -> None:
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
