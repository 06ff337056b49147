"""Cross-block checks of covariates and of the characterisation."""

from collections.abc import Iterator

from tasks.core.spec.characterisation import EVERYBODY
from tasks.core.spec.covariates import CohortCovariate, DeviceImageCovariate
from tasks.core.spec.design import DeviceShownDesign
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.unread import BLOCKS_IN_PART
from tasks.core.spec.whole import StudySpec


def _covariates_differ(spec: StudySpec) -> Iterator[Fault]:
    said = [covariate.model_dump(exclude={"id"}) for covariate in spec.covariates]
    for place, item in enumerate(said):
        if item in said[:place]:
            what = f"covariates of kind {[item['kind']]} stand twice and say the same"
            yield Fault(("covariates", place), what, "leave one of them out.")


def _images_belong_to_devices(spec: StudySpec) -> Iterator[Fault]:
    if isinstance(spec.design, DeviceShownDesign):
        return
    for place, covariate in enumerate(spec.covariates):
        if isinstance(covariate, DeviceImageCovariate):
            what = "kind device_image needs the design device_shown_or_not"
            yield Fault(("covariates", place), what, "leave it out.")


def _cohorts_are_defined(spec: StudySpec) -> Iterator[Fault]:
    known = {cohort.id for cohort in spec.cohorts}
    for path, name in [*_of_covariates(spec), *_of_descriptions(spec)]:
        if name not in known and name != EVERYBODY:
            what = f"cohort {name} is used but not defined"
            yield Fault(path, what, f"define it, or name one of {sorted(known)}.")


def _outcomes_are_defined(spec: StudySpec) -> Iterator[Fault]:
    if spec.characterisation is None:
        return
    known = {c.id for c in spec.cohorts} | {item.id for item in spec.code_lists}
    for place, item in enumerate(spec.characterisation.incidence):
        if item.outcome not in known:
            what = f"outcome {item.outcome} is neither a cohort nor a code list"
            fix = f"define it, or name one of {sorted(known)}."
            yield Fault(("characterisation", "incidence", place, "outcome"), what, fix)


def _descriptions_are_named_once(spec: StudySpec) -> Iterator[Fault]:
    if spec.characterisation is None:
        return
    taken = {analysis.id for analysis in spec.analyses} | set(_RESERVED)
    for kind, place, name in spec.characterisation.ids:
        if name in taken:
            what = f"id {name} is taken by another analysis or description"
            yield Fault(("characterisation", kind, place, "id"), what, "rename one of them.")
        taken.add(name)


def _table_one_has_covariates(spec: StudySpec) -> Iterator[Fault]:
    if spec.characterisation is None:
        return
    known = {covariate.id for covariate in spec.covariates}
    for place, item in enumerate(spec.characterisation.table_one):
        path = ("characterisation", "table_one", place)
        for name in item.covariates:
            if name not in known:
                fix = f"define it, or name one of {sorted(known)}."
                yield Fault((*path, "covariates"), f"covariate {name} is not defined", fix)
        if item.of == "arms" and not spec.has_trial:
            yield Fault((*path, "of"), "of: arms needs a comparison", "name cohorts instead.")


_RESERVED = ("attrition", "balance", "cohorts", "follow_up", "propensity", "sites")
_ALL = ("covariates", "cohorts", "characterisation")
DESCRIBE_CHECKS: tuple[Check, ...] = (
    Check(("covariates",), _covariates_differ),
    Check(("covariates", "design"), _images_belong_to_devices, ("covariates",)),
    Check(_ALL, _cohorts_are_defined, BLOCKS_IN_PART),
    Check(("characterisation", "cohorts", "code_lists"), _outcomes_are_defined, BLOCKS_IN_PART),
    Check(("characterisation", "analyses"), _descriptions_are_named_once, BLOCKS_IN_PART),
    Check((*_ALL, "design"), _table_one_has_covariates, BLOCKS_IN_PART),
)


def _of_covariates(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    for place, covariate in enumerate(spec.covariates):
        if isinstance(covariate, CohortCovariate):
            yield from ((("covariates", place, "cohorts"), name) for name in covariate.cohorts)


def _of_descriptions(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    if spec.characterisation is None:
        return
    for kind, place, _ in spec.characterisation.ids:
        item = getattr(spec.characterisation, kind)[place]
        for key in ("at_risk", "population", "condition", "index", "event"):
            if (name := getattr(item, key, None)) is not None:
                yield ("characterisation", kind, place, key), name
        for key in ("cohorts", "treatments"):
            for name in getattr(item, key, ()):
                yield ("characterisation", kind, place, key), name
