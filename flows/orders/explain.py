"""Why a person is in a study or not, and who misses it by one rule: answers for restricted eyes.

What names persons, days or codes goes into a file of the restricted store; what is returned names
rules and counts only. Each question is written into the audit log.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tasks.cohort.build import build_cohort, steps_of_arms
from tasks.cohort.explain import explain_person, near_misses, near_misses_of_arm, person_number
from tasks.core.audit import record
from tasks.core.disclosure import threshold
from tasks.core.errors import UsageError
from tasks.core.lake import deliveries_in_force, newest_snapshot, open_lake
from tasks.core.paths import Home
from tasks.core.site import SiteSettings, load_site
from tasks.core.spec import StudySpec, load_study
from tasks.core.spec.cohorts import NativeCohort


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer: lines without day and code, and the file with everything, for few to read.

    Lines on a person tell of that person all the same: they are for the screen of who asked.
    """

    study_id: str
    lines: list[str]
    file: Path

    def as_json(self) -> dict[str, object]:
        """Return the answer in the form of `study explain --json`."""
        return {"study_id": self.study_id, "answer": self.lines, "evidence": str(self.file)}


def explain(
    home: Home, study: str, person: str | None, rule: str | None, snapshot: int | None = None
) -> Explained:
    """Explain one person (`SITE:ID`), or the near misses of one rule.

    Raises:
        UsageError: Neither or both are asked for, or there is no such person or rule.
        CausewayError: The study is refused, or there are no data.
    """
    if (person is None) == (rule is None):
        raise UsageError("study explain", "needs --person or --rule", "give one of them.")
    spec, site = load_study(study), load_site(home)
    with _workspace(home, site, spec, snapshot) as con:
        if person is not None:
            lines, found = _person(con, spec, person)
        else:
            lines, found = _rule(con, site, spec, str(rule))
    asked = hashlib.sha256(str(person or rule).encode()).hexdigest()[:12]
    file = _keep(home, f"{spec.study.id}-{'person' if person else 'rule'}-{asked}.json", found)
    what = {"person_sha256": asked} if person else {"rule": str(rule)}
    record(home, "study-explained", study_id=spec.study.id, **what)
    return Explained(spec.study.id, lines, file)


@contextmanager
def _workspace(
    home: Home, site: SiteSettings, spec: StudySpec, snapshot: int | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a workspace of its own with the cohorts of the study, and remove it at the end."""
    if spec.lake is None:
        what, fix = "has no cohorts of the lake to explain", "ask about a study with source `lake`."
        raise UsageError(spec.study.id, what, fix)
    with open_lake(home, site, snapshot=snapshot) as con:
        chosen = newest_snapshot(con)
    folder = home.work / f"explain-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        with open_lake(home, site, snapshot=chosen, workspace=folder / "study.duckdb") as con:
            build_cohort(con, spec)
            yield con
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _person(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, person: str
) -> tuple[list[str], dict[str, Any]]:
    site_id, _, source_id = person.partition(":")
    number = None
    if re.fullmatch(r"-?[0-9]{1,18}", source_id):
        number = person_number(con, site_id, int(source_id))
    if number is None:
        what, fix = "no such person among the sites of the study", "name them as SITE:PERSON_ID."
        raise UsageError("--person", what, fix)
    found = explain_person(con, spec, number)
    lines = list(_verdicts(found))
    return lines, {"person": person, "verdicts": lines, **found}


def _verdicts(found: dict[str, Any]) -> Iterator[str]:
    """Yield one line a cohort or arm, with rules and no day."""
    for cohort in found["cohorts"]:
        state = "in" if cohort["is_member"] else f"out, lost at {cohort.get('lost_at') or 'entry'}"
        yield f"{cohort['cohort_id']}: {state}"
        for number, opening in enumerate(cohort.get("openings", []), 1):
            yield f"  opening {number}: {_marks(opening['rules'])}"
    for arm in found["comparison"]:
        yield f"arm {arm['arm']}: {'out, lost at ' + arm['lost_at'] if arm['lost_at'] else 'in'}"
        yield f"  {_marks(arm['rules'])}"
    if not found["comparison"] and not found["cohorts"]:
        yield "never entered an arm"


def _marks(rules: dict[str, bool]) -> str:
    return ", ".join(f"{rule} {'yes' if passed else 'NO'}" for rule, passed in rules.items())


def _rule(
    con: duckdb.DuckDBPyConnection, site: SiteSettings, spec: StudySpec, rule: str
) -> tuple[list[str], dict[str, Any]]:
    found = {
        cohort.id: near_misses(con, spec, cohort, rule)
        for cohort in spec.cohorts
        if isinstance(cohort, NativeCohort) and rule in [r.id for r in cohort.rules]
    }
    if spec.has_trial and rule in steps_of_arms(spec):
        found |= {arm.id: near_misses_of_arm(con, spec, arm.id, rule) for arm in spec.arms}
    if not found:
        what = "no native cohort and no arm has this rule"
        known = sorted(_rules_of(spec))
        fix = f"name one of {', '.join(known)}." if known else "this study has no rules."
        raise UsageError("--rule", what, fix)
    classes = [delivery["data_class"] for delivery in deliveries_in_force(con)]
    tighter = spec.privacy.disclosure_threshold if spec.privacy else None
    k = threshold(site.disclosure_threshold, tighter, classes)
    lines = [
        f"{name}: {_count(len(who['persons']), k)} fail only {rule}" for name, who in found.items()
    ]
    return lines, {"rule": rule, "near_misses": found}


def _rules_of(spec: StudySpec) -> set[str]:
    """Return the ids of all rules and steps that can be asked for."""
    named = {r.id for c in spec.cohorts if isinstance(c, NativeCohort) for r in c.rules}
    return named | set(steps_of_arms(spec)) if spec.has_trial else named


def _count(n: int, k: int | None) -> str:
    """Write a number of persons; of patients in steps of k, for those around it are shown."""
    if k is None:
        return f"{n} persons"
    return f"{n // k * k} persons or more" if n >= k else f"fewer than {k} persons"


def _keep(home: Home, name: str, found: dict[str, Any]) -> Path:
    folder = home.restricted / "explain"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / name
    text = json.dumps(found, indent=2, ensure_ascii=False, default=str)
    file.write_text(text + "\n", encoding="utf-8")
    return file
