"""What no block can see alone: names that must agree, parts that must fit, designs that mislead.

A check reads the blocks it declares and yields faults with the key at fault. Checks run when the
blocks that they read are valid, so that one look at a file shows all of its faults.
"""

from collections.abc import Iterable, Iterator

from tasks.core.spec.checks_describe import DESCRIBE_CHECKS
from tasks.core.spec.checks_tables import TABLE_CHECKS
from tasks.core.spec.cohorts import code_lists_in
from tasks.core.spec.design import DeviceArm, DeviceShownDesign, DrugArm
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.whole import StudySpec

__all__ = ["CHECKS", "Check", "Fault", "KeyPath", "faults_of"]
RESERVED = ("attrition", "balance", "cohorts", "follow_up", "propensity", "sites")


def _trial_is_whole(spec: StudySpec) -> Iterator[Fault]:
    names = ("design", "target", "comparator", "outcome")
    missing = [name for name in names if getattr(spec, name) is None]
    if missing and len(missing) < len(names):
        what = f"a comparison needs {', '.join(names)}; {', '.join(missing)} is missing"
        yield Fault((), what, f"add {', '.join(missing)}.")


def _fits_its_design(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    is_device = isinstance(spec.design, DeviceShownDesign)
    kind, key = (DeviceArm, "shown") if is_device else (DrugArm, "code_list")
    arms = {"target": spec.target, "comparator": spec.comparator}
    for name, arm in arms.items():
        if arm is not None and not isinstance(arm, kind):
            yield Fault((name,), f"design {spec.design.type}: {name} needs {key}")
    if is_device and spec.device is None:
        yield Fault(("design",), f"design {spec.design.type}: the device is missing")
    if not is_device and spec.device is not None:
        yield Fault(("device",), f"design {spec.design.type}: no device belongs here")


def _arms_differ(spec: StudySpec) -> Iterator[Fault]:
    if not isinstance(spec.design, DeviceShownDesign) or not (spec.target and spec.comparator):
        return
    if spec.target.id == spec.comparator.id:
        what = "target and comparator need shown: true and shown: false"
        yield Fault(("comparator",), f"design {spec.design.type}: {what}")


def _roles_have_lists_of_their_own(spec: StudySpec) -> Iterator[Fault]:
    roles = [name for _, name in _lists_of_roles(spec)]
    if len(set(roles)) < len(roles):
        yield Fault(("outcome",), "arms, image and outcome need a code list each of their own")


def _names_of_lists_agree(spec: StudySpec) -> Iterator[Fault]:
    known = {item.id for item in spec.code_lists}
    for path, name in _lists_used(spec):
        if name not in known:
            what = f"code lists {[name]} are used but not defined"
            yield Fault(path, what, f"define code list {name}, or name one of {sorted(known)}.")


def _ids_are_unique(spec: StudySpec) -> Iterator[Fault]:
    for block in ("sources", "code_lists", "cohorts", "covariates", "analyses"):
        ids = [item.id for item in getattr(spec, block)]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                what = f"two entries of {block} have the same id"
                yield Fault((block, place, "id"), what, "rename one of them.")


def _analyses_are_named_freely(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.id in RESERVED:
            what = f"analysis id {analysis.id} is taken by descriptive results"
            yield Fault(("analyses", place, "id"), what, "rename the analysis.")


def _one_primary(spec: StudySpec) -> Iterator[Fault]:
    primaries = [a.id for a in spec.analyses if a.role == "primary"]
    if len(primaries) > 1:
        what = f"analyses {primaries} are all primary; the estimand has one"
        yield Fault(("analyses",), what, "make all but one secondary or sensitivity.")


def _adjusts_with_something(spec: StudySpec) -> Iterator[Fault]:
    adjusted = [a.id for a in spec.analyses if a.adjustment != "none"]
    if adjusted and not spec.covariates:
        what = f"analyses {adjusted} adjust, but covariates are empty"
        yield Fault(("analyses",), what, "add covariates, or adjust by none.")


CHECKS: tuple[Check, ...] = (
    Check(("design", "target", "comparator", "outcome"), _trial_is_whole),
    Check(("design", "target", "comparator", "device"), _fits_its_design),
    Check(("design", "target", "comparator"), _arms_differ),
    Check(("design", "target", "comparator", "outcome"), _roles_have_lists_of_their_own),
    Check(
        ("design", "target", "comparator", "outcome", "covariates", "cohorts", "code_lists"),
        _names_of_lists_agree,
    ),
    Check(("sources", "code_lists", "cohorts", "covariates", "analyses"), _ids_are_unique),
    Check(("analyses",), _analyses_are_named_freely),
    Check(("analyses",), _one_primary),
    Check(("analyses", "covariates"), _adjusts_with_something),
    *DESCRIBE_CHECKS,
    *TABLE_CHECKS,
)


def faults_of(spec: StudySpec, checks: Iterable[Check] = CHECKS) -> list[Fault]:
    """Return every fault and warning of a study whose blocks are valid, in the order of checks."""
    return [fault for check in checks for fault in check.find(spec)]


def _lists_of_roles(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    """Code lists by which persons enter, and that of the outcome, each with its place."""
    if isinstance(spec.design, DeviceShownDesign):
        yield ("design", "image"), spec.design.image
    for name in ("target", "comparator"):
        if isinstance(arm := getattr(spec, name), DrugArm):
            yield (name, "code_list"), arm.code_list
    if spec.outcome is not None:
        yield ("outcome", "code_list"), spec.outcome.code_list


def _lists_used(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    yield from _lists_of_roles(spec)
    for place, covariate in enumerate(spec.covariates):
        yield from ((("covariates", place), name) for name in covariate.lists_named)
    for place, cohort in enumerate(spec.cohorts):
        yield from ((("cohorts", place), name) for name in sorted(code_lists_in(cohort)))
