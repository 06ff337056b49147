"""What a run of a study would do: which steps, on what, and which of them are stale and why."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from flows.orders.pinned import Pinned, pin, rounding, smallest_count
from tasks.core.errors import NoDataError
from tasks.core.paths import Home
from tasks.core.runs import is_intact, lock_hash, published_run_id, read_manifest, run_folder
from tasks.core.site import load_site
from tasks.core.spec import StudySpec, load_study, study_file
from tasks.core.spec.cohorts import NativeCohort, code_lists_in, events_in
from tasks.core.spec.conditions import lists_of
from tasks.core.spec.locks import read_locks, state_of
from tasks.core.spec.written import written_study
from tasks.report.changes import changes, lists_of_eligibility
from tasks.report.model import Language

MOST_CHANGES = 20
State = Literal["nothing_to_do", "run", "publish_known", "waits"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that differs from the published run, in a line, with its parts."""

    kind: Literal["first", "data", "spec", "code", "threshold", "files", "no_data"]
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: what it reads, and which kinds of reason make it stale."""

    name: str
    reads: tuple[str, ...]
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do now."""

    study_id: str
    state: State
    run_id: str | None
    published_run_id: str | None
    locked: str
    reasons: list[Reason] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the plan in the form of `study plan --json`."""
        return asdict(self)


def plan_study(
    home: Home, study: str, snapshot: int | None = None, language: Language = "en"
) -> Plan:
    """Say what `run` would do with a study, without doing it.

    Args:
        home: The working home.
        study: Id of a study, or the path of its file.
        snapshot: Snapshot of the lake; the newest when absent.
        language: In which differences of the specification are told.

    Raises:
        CausewayError: The study is refused, or the lake cannot be read.
    """
    spec, site = load_study(study), load_site(home)
    locked = state_of(spec, read_locks(study_file(study)))
    published = published_run_id(home, spec.study.id)
    try:
        pinned = pin(home, site, spec, snapshot)
    except NoDataError as exc:
        waiting = [Reason("no_data", exc.what)]
        return Plan(spec.study.id, "waits", None, published, locked, waiting, _steps(spec, {}))
    policy = smallest_count(site, spec, pinned), rounding(site, spec, pinned)
    run_id = pinned.identity.run_id
    folder = run_folder(home, spec.study.id, run_id)
    if is_intact(folder, *policy):
        state: State = "nothing_to_do" if published == run_id else "publish_known"
        return Plan(spec.study.id, state, run_id, published, locked, [], _steps(spec, {}))
    before = run_folder(home, spec.study.id, published) if published else None
    reasons = list(_reasons(spec, pinned, policy, before, language))
    steps = _steps(spec, _stale(spec, before, reasons))
    return Plan(spec.study.id, "run", run_id, published, locked, reasons, steps)


def _reasons(
    spec: StudySpec,
    pinned: Pinned,
    policy: tuple[int | None, int],
    before: Path | None,
    language: Language,
) -> Iterator[Reason]:
    manifest = (read_manifest(before) if before else None) or {}
    if before is None or not manifest:
        yield Reason("first", "nothing of this study is published in this home")
        return
    identity = pinned.identity
    if manifest["content_hash"] != identity.content_hash:
        yield Reason("data", "data changed", tuple(_deliveries(manifest, pinned)))
    if manifest["spec_hash"] != identity.spec_hash:
        yield Reason("spec", "spec changed", _differences(spec, before, language))
    if manifest["code_hash"] != identity.code_hash:
        packages = manifest.get("lock_hash") != lock_hash()
        yield Reason("code", "code changed", ("packages of requirements.lock",) if packages else ())
    if (manifest.get("disclosure_threshold"), manifest.get("round_counts_to", 0)) != policy:
        yield Reason("threshold", "the smallest count that may be shown, or rounding, changed")
    elif manifest["run_id"] == identity.run_id:
        yield Reason("files", "files of the published run are not as they were published")


def _deliveries(manifest: Mapping[str, Any], pinned: Pinned) -> Iterator[str]:
    """Say which deliveries came, went or were sent again since the published run."""
    old = {(d["site_id"], d["delivery_id"]): d["sha256"] for d in manifest["deliveries"]}
    new = {(d["site_id"], d["delivery_id"]): d["content_sha256"] for d in pinned.deliveries}
    for word, keys in (
        ("new", [key for key in new if key not in old]),
        ("changed", [key for key in new if key in old and new[key] != old[key]]),
        ("no longer in force", [key for key in old if key not in new]),
    ):
        yield from (f"delivery {delivery} of {site}: {word}" for site, delivery in sorted(keys))


def _differences(spec: StudySpec, before: Path, language: Language) -> tuple[str, ...]:
    written = written_study(before)
    if written is None:
        return ("the published run holds no study to compare with",)
    found = [f"{change.title}: {change}" for change in changes(written, spec, language)]
    more = len(found) - MOST_CHANGES
    return (*found[:MOST_CHANGES], *((f"and {more} more",) if more > 0 else ()))


def _stale(spec: StudySpec, before: Path | None, reasons: list[Reason]) -> dict[str, set[str]]:
    """Return why each block of the study is stale: `*` holds for all of them."""
    everywhere = {str(reason.kind) for reason in reasons if reason.kind != "spec"}
    stale: dict[str, set[str]] = {"*": everywhere}
    written = written_study(before) if before else None
    if "spec" not in {reason.kind for reason in reasons}:
        return stale
    if written is None:
        return {"*": everywhere | {"spec"}}
    for change in changes(written, spec):
        parts = change.path.split(".")
        for key in (parts[0], ".".join(parts[:2])):
            stale.setdefault(key, set()).add("spec")
    return stale


def _steps(spec: StudySpec, stale: Mapping[str, set[str]]) -> list[Step]:
    """Return the steps of a run in their order, each with what it reads."""
    entering = ("sources", "code_lists", "cohorts", "design", "target", "comparator", "outcome")
    steps = [_step(stale, "pin snapshot", [source.id for source in spec.sources], ("sources",))]
    for cohort in spec.cohorts:
        steps.append(_of_cohort(stale, cohort))
    if spec.has_trial:
        steps.append(_step(stale, "people of the comparison", _read_for_people(spec), entering))
    for covariate in spec.covariates:
        own = ("code_lists", "design", f"covariates.{covariate.id}", *entering)
        steps.append(_step(stale, f"covariate {covariate.id}", [covariate.kind], own))
    for analysis in spec.analyses:
        steps.append(_of_analysis(spec, stale, analysis, entering))
    gates: list[str] = [gate.name for gate in spec.gates]
    every = tuple(key for key in stale if key != "*")
    steps.append(_step(stale, "gates", gates, every))
    for name, reads in (
        ("protect", "site threshold"),
        ("report", "results"),
        ("publish", "report"),
    ):
        steps.append(_step(stale, name, [reads], every))
    return steps


def _read_for_people(spec: StudySpec) -> list[str]:
    """Return the arms, the outcome, and the code lists of eligibility, populations, censoring."""
    design = spec.trial.design
    lists = sorted(lists_of_eligibility(design) | lists_of(design.censor_events))
    entered = [*(arm.id for arm in spec.arms), spec.trial.outcome.name.en]
    return entered + [f"code list {name}" for name in lists]


def _of_cohort(stale: Mapping[str, set[str]], cohort: Any) -> Step:
    reads = (
        sorted({e.domain for e in events_in(cohort)}) if isinstance(cohort, NativeCohort) else []
    )
    lists = [f"code list {name}" for name in sorted(code_lists_in(cohort))]
    files = [str(file) for file in (getattr(cohort, n, None) for n in ("circe", "sql")) if file]
    depends = (f"cohorts.{cohort.id}", "sources", *(f"code_lists.{x[10:]}" for x in lists))
    return _step(stale, f"cohort {cohort.id}", [*reads, *lists, *files], depends)


def _of_analysis(
    spec: StudySpec, stale: Mapping[str, set[str]], analysis: Any, entering: tuple[str, ...]
) -> Step:
    source = getattr(analysis, "source", None)
    reads = [str(source)] if source else ["people of the comparison"]
    depends: tuple[str, ...] = (f"analyses.{analysis.id}", "sources")
    if not source:
        depends = (*depends, *entering)
    if getattr(analysis, "adjustment", "none") != "none":
        reads += [f"covariate {covariate.id}" for covariate in spec.covariates]
        depends = (*depends, "covariates")
    return _step(stale, f"analysis {analysis.id}", reads, depends)


def _step(
    stale: Mapping[str, set[str]], name: str, reads: list[str], depends: tuple[str, ...]
) -> Step:
    why = set(stale.get("*", ())).union(*(stale.get(key, set()) for key in depends))
    return Step(name, tuple(reads), tuple(sorted(why)))
