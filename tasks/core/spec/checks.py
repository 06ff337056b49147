"""What no block can see alone: names that must agree, parts that must fit, designs that mislead.

A check reads the blocks it declares and yields faults with the key at fault. Checks run when the
blocks that they read are valid, so that one look at a file shows all of its faults.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial

from pydantic import BaseModel

from tasks.core.explain import nearest
from tasks.core.spec.checks_adjustment import ADJUSTMENT_CHECKS
from tasks.core.spec.checks_bootstrap import BOOTSTRAP_CHECKS
from tasks.core.spec.checks_centres import CENTRE_CHECKS
from tasks.core.spec.checks_code_lists import CODE_LIST_CHECKS
from tasks.core.spec.checks_curves import CURVE_CHECKS
from tasks.core.spec.checks_describe import DESCRIBE_CHECKS
from tasks.core.spec.checks_design import DESIGN_CHECKS, lists_of_design
from tasks.core.spec.checks_estimands import ESTIMAND_CHECKS
from tasks.core.spec.checks_gates import GATE_CHECKS
from tasks.core.spec.checks_grace import GRACE_CHECKS
from tasks.core.spec.checks_hazards import HAZARD_CHECKS
from tasks.core.spec.checks_hindsight import HINDSIGHT_CHECKS
from tasks.core.spec.checks_meta import META_CHECKS
from tasks.core.spec.checks_outcomes import OUTCOME_CHECKS
from tasks.core.spec.checks_parametric import PARAMETRIC_CHECKS
from tasks.core.spec.checks_probabilities import PROBABILITY_CHECKS
from tasks.core.spec.checks_readings import READING_CHECKS
from tasks.core.spec.checks_roc import ROC_CHECKS
from tasks.core.spec.checks_sensitivity import SENSITIVITY_CHECKS
from tasks.core.spec.checks_survival_effects import SURVIVAL_EFFECT_CHECKS
from tasks.core.spec.checks_tables import TABLE_CHECKS
from tasks.core.spec.checks_time import TIME_CHECKS
from tasks.core.spec.checks_verification import VERIFICATION_CHECKS
from tasks.core.spec.checks_whole import WHOLE_CHECKS
from tasks.core.spec.design import (
    Arm,
    CohortArm,
    CohortDesign,
    ConditionOutcome,
    Design,
    DeviceArm,
    DeviceShownDesign,
    DrugArm,
    GraceDesign,
    StrategyArm,
)
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.unread import BLOCKS_IN_PART, KEYS_OF_LISTS, Unread, lists_in_raw
from tasks.core.spec.whole import StudySpec

__all__ = ["CHECKS", "Check", "Fault", "KeyPath", "faults_of"]
RESERVED = (
    "attrition",
    "balance",
    "cohorts",
    "follow_up",
    "mapping",
    "negative_controls",
    "propensity",
    "sites",
)
_DEFINE = "define code list {}, or name one that is defined."


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
    kind, key = _arm_of(spec.design)
    arms = {"target": spec.target, "comparator": spec.comparator}
    for name, arm in arms.items():
        if arm is not None and not isinstance(arm, kind):
            yield Fault((name,), f"design {spec.design.type}: {name} needs {key}")
    if is_device and spec.device is None:
        yield Fault(("design",), f"design {spec.design.type}: the device is missing")
    if not is_device and spec.device is not None:
        yield Fault(("device",), f"design {spec.design.type}: no device belongs here")


def _arm_of(design: Design) -> tuple[type[Arm], str]:
    """Return the kind of arm of a design, and the key that makes it."""
    if isinstance(design, DeviceShownDesign):
        return DeviceArm, "shown"
    if isinstance(design, GraceDesign):
        return StrategyArm, "starts"
    return (CohortArm, "cohort") if isinstance(design, CohortDesign) else (DrugArm, "code_list")


def _arms_differ(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None or not (spec.target and spec.comparator):
        return
    if isinstance(spec.design, DeviceShownDesign | CohortDesign) and (
        spec.target.id == spec.comparator.id
    ):
        what = "target and comparator need shown: true and shown: false"
        if isinstance(spec.design, CohortDesign):
            what = "target and comparator need a cohort each of their own"
        yield Fault(("comparator",), f"design {spec.design.type}: {what}")


def _roles_have_lists_of_their_own(spec: StudySpec) -> Iterator[Fault]:
    roles = [name for _, name in _lists_of_roles(spec)]
    if len(set(roles)) < len(roles):
        yield Fault(("outcome",), "arms, image and outcome need a code list each of their own")


def _names_of_lists_agree(block: str, spec: StudySpec) -> Iterator[Fault]:
    known = {item.id for item in spec.code_lists}
    for path, name in _lists_used(spec):
        if path[0] == block and name not in known:
            what = f"code lists {[name]} are used but not defined"
            meant = nearest(name, sorted(known))
            fix = f"write `{meant}`, or define code list {name}." if meant else _DEFINE.format(name)
            yield Fault(path, what, fix)


def _ids_are_unique(block: str, spec: StudySpec) -> Iterator[Fault]:
    seen = set[str]()
    for place, item in enumerate(getattr(spec, block)):
        if item.id in seen:
            what = f"two entries of {block} have the same id"
            yield Fault((block, place, "id"), what, "rename one of them.")
        seen.add(item.id)


def _analyses_are_named_freely(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.id in RESERVED:
            what = f"analysis id {analysis.id} is taken by descriptive results"
            yield Fault(("analyses", place, "id"), what, "rename the analysis.")


def _one_primary(spec: StudySpec) -> Iterator[Fault]:
    """Of studies without estimands; `checks_design` sees to those that have them."""
    primaries = [a.id for a in spec.analyses if a.role == "primary"]
    if spec.design is None and len(primaries) > 1:
        what = f"analyses {primaries} are all primary; a study has one"
        yield Fault(("analyses",), what, "make all but one secondary or sensitivity.")


def _adjusts_with_something(spec: StudySpec) -> Iterator[Fault]:
    lake = [a for a in spec.analyses if a.source is None]
    adjusted = [a.id for a in lake if a.adjustment != "none"]
    if adjusted and not spec.covariates:
        what = f"analyses {adjusted} adjust, but covariates are empty"
        yield Fault(("analyses",), what, "add covariates, or adjust by none.")


def _arms_of_controls_are_arms(spec: StudySpec) -> Iterator[Fault]:
    """What the arms of the study must be, those of each negative control must be too."""
    roles = ("target", "comparator")
    of_arms = [
        c for c in CHECKS if "target" in c.blocks and c.find is not _arms_of_controls_are_arms
    ]
    for place, pair in enumerate(spec.negative_control_exposures if spec.has_trial else ()):
        path = ("negative_control_exposures", place)
        if {pair.target.id, pair.comparator.id} == {arm.id for arm in spec.arms}:
            yield Fault(path, "the pair is the comparison of the study", "name other arms.")
        for check in of_arms:
            known = set(check.find(spec))
            for fault in check.find(spec.exposed_as(pair)):
                is_own = bool(fault.path) and fault.path[0] in roles
                moved = replace(fault, path=(*path, *fault.path)) if is_own else fault
                if fault not in known:
                    yield moved


CHECKS: tuple[Check, ...] = (
    Check(("design", "target", "comparator", "outcome"), _trial_is_whole),
    Check(("design", "target", "comparator", "device"), _fits_its_design),
    Check(("design", "target", "comparator"), _arms_differ),
    Check(
        (
            *("negative_control_exposures", "design", "target", "comparator", "outcome"),
            *("device", "code_lists", "cohorts", "analyses"),
        ),
        _arms_of_controls_are_arms,
    ),
    Check(("design", "target", "comparator", "outcome"), _roles_have_lists_of_their_own),
    *(
        Check((block, "code_lists"), partial(_names_of_lists_agree, block), BLOCKS_IN_PART)
        for block in (
            *("design", "target", "comparator", "outcome", "negative_controls"),
            *("covariates", "cohorts"),
        )
    ),
    *(
        Check((block,), partial(_ids_are_unique, block), BLOCKS_IN_PART)
        for block in (
            *("sources", "code_lists", "cohorts", "covariates", "analyses"),
            "negative_control_exposures",
        )
    ),
    Check(("analyses",), _analyses_are_named_freely, ("analyses",)),
    Check(("design", "analyses"), _one_primary),
    *DESCRIBE_CHECKS,
    Check(("analyses", "covariates"), _adjusts_with_something, ("covariates",)),
    *CODE_LIST_CHECKS,
    *DESIGN_CHECKS,
    *GRACE_CHECKS,
    *ESTIMAND_CHECKS,
    *GATE_CHECKS,
    *HINDSIGHT_CHECKS,
    *SENSITIVITY_CHECKS,
    *TABLE_CHECKS,
    *HAZARD_CHECKS,
    *CURVE_CHECKS,
    *PARAMETRIC_CHECKS,
    *META_CHECKS,
    *READING_CHECKS,
    *CENTRE_CHECKS,
    *VERIFICATION_CHECKS,
    *PROBABILITY_CHECKS,
    *ROC_CHECKS,
    *OUTCOME_CHECKS,
    *TIME_CHECKS,
    *BOOTSTRAP_CHECKS,
    *SURVIVAL_EFFECT_CHECKS,
    *ADJUSTMENT_CHECKS,
    *WHOLE_CHECKS,
)


def faults_of(
    spec: StudySpec,
    checks: Iterable[Check] = CHECKS,
    invalid: Collection[str] = (),
    in_part: Collection[str] = (),
) -> list[Fault]:
    """Return every fault and warning of a study, in the order of checks.

    Args:
        spec: The study; blocks that are not valid are left out of it.
        checks: The checks to run.
        invalid: Names of blocks that are not valid; checks that read one of them do not run.
        in_part: Names of blocks of which some entries are not valid; checks that read one of them
            run if they can do with the others.
    """
    lost, cut = set(invalid), set(in_part)
    able = [c for c in checks if not set(c.blocks) & (lost | (cut - set(c.in_part)))]
    return [fault for check in able for fault in check.find(spec)]


def _lists_of_roles(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    """Code lists by which persons enter, and that of the outcome, each with its place."""
    if isinstance(spec.design, DeviceShownDesign):
        yield ("design", "image"), spec.design.image
    for name in ("target", "comparator"):
        if isinstance(arm := getattr(spec, name), DrugArm):
            yield (name, "code_list"), arm.code_list
    if isinstance(spec.outcome, ConditionOutcome):
        yield ("outcome", "code_list"), spec.outcome.code_list


def _lists_used(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    yield from _lists_of_roles(spec)
    for place, control in enumerate(spec.negative_controls):
        if isinstance(control, ConditionOutcome):
            yield ("negative_controls", place, "code_list"), control.code_list
    yield from lists_of_design(spec)
    for place, covariate in enumerate(spec.covariates):
        yield from ((("covariates", place), name) for name in covariate.lists_named)
    for place, cohort in enumerate(spec.cohorts):
        yield from lists_named(cohort, ("cohorts", place))


def lists_named(block: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield every code list that a block names as `code_list` or `visit`, with its place."""
    if isinstance(block, Unread):
        yield from lists_in_raw(block.raw, path)
    elif isinstance(block, tuple):
        for place, part in enumerate(block):
            yield from lists_named(part, (*path, place))
    elif isinstance(block, BaseModel):
        for key, value in block:
            if key in KEYS_OF_LISTS and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from lists_named(value, (*path, key))
