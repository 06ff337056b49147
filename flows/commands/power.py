"""Commands that plan: how many persons, cases, readers or events a study needs, or their power."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import typer
from rich.table import Table

from flows.commands.app import JsonOption, app
from flows.commands.screen import out, print_json
from tasks.stats.sizes.auc import Variance, auc_by_width, one_auc, two_aucs
from tasks.stats.sizes.proportions import (
    against_goal,
    against_goal_exactly,
    by_width,
    discordant_of,
    two_paired_shares,
    two_shares,
    with_prevalence,
)
from tasks.stats.sizes.readers import Components, Space, cases_of_readers
from tasks.stats.sizes.solve import Plan, design_effect, inflated
from tasks.stats.sizes.survival import events_of, persons_of, share_with_event

power_app = typer.Typer(help="Plan a study: sizes for a power, or a width.", no_args_is_help=True)
app.add_typer(power_app, name="power")

_UNINFLATED = ("events", "readers")
PowerOption = Annotated[float, typer.Option("--power", help="Power that is asked for.")]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Level of the test.")]
SidesOption = Annotated[int, typer.Option("--sides", min=1, max=2, help="Sides of the test.")]
MarginOption = Annotated[
    float, typer.Option("--margin", min=0, help="Margin of non-inferiority; 0 of superiority.")
]
ClusterOption = Annotated[
    float, typer.Option("--cluster-size", min=1, help="Mean units of a cluster, such as a person.")
]
IccOption = Annotated[
    float, typer.Option("--icc", min=0, max=1, help="Correlation of two units of a cluster.")
]
CvOption = Annotated[
    float, typer.Option("--size-cv", min=0, help="Coefficient of variation of cluster sizes.")
]
LossOption = Annotated[
    float, typer.Option("--loss", min=0, help="Share lost, or without a result.")
]
VarianceOption = Annotated[Variance, typer.Option("--variance", help="Variance of an area.")]
SizeOption = Annotated[
    int | None, typer.Option("--n", min=1, help="A size, to be told its power instead.")
]


@power_app.command("accuracy")
def power_accuracy(
    sensitivity: Annotated[float | None, typer.Option(help="Sensitivity expected.")] = None,
    specificity: Annotated[float | None, typer.Option(help="Specificity expected.")] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="Share with the condition among those enrolled.")
    ] = None,
    width: Annotated[float | None, typer.Option(help="Largest width of the interval.")] = None,
    interval: Annotated[
        Literal["wald", "wilson", "exact"], typer.Option(help="The interval of the width.")
    ] = "wilson",
    goal: Annotated[float | None, typer.Option(help="A goal that has to be exceeded.")] = None,
    test: Annotated[
        Literal["score", "exact"], typer.Option(help="The test against the goal.")
    ] = "score",
    alpha: Annotated[float, typer.Option(help="One-sided level against the goal.")] = 0.025,
    power: PowerOption = 0.8,
    n: SizeOption = None,
    cluster_size: ClusterOption = 1.0,
    icc: IccOption = 0.0,
    size_cv: CvOption = 0.0,
    loss: LossOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Cases for sensitivity, specificity or both: by the width of an interval, or for a goal."""
    if (width is None) == (goal is None):
        raise typer.BadParameter("give --width, or --goal")
    effect = design_effect(cluster_size, icc, size_cv)
    found: dict[str, Plan] = {}
    for name, share in (("sensitivity", sensitivity), ("specificity", specificity)):
        if share is None:
            continue
        if width is not None:
            plan = by_width(share, width, interval=interval)
        else:
            tested = against_goal_exactly if test == "exact" else against_goal
            plan = tested(share, goal or 0.0, alpha=alpha, power=power, n=n)
        found[name] = _enrolled(plan, prevalence, name == "sensitivity", effect, loss)
    if not found:
        raise typer.BadParameter("give --sensitivity, --specificity, or both")
    _show("accuracy", found, {"design_effect": effect, "loss": loss}, as_json)


def _enrolled(
    plan: Plan, prevalence: float | None, have_it: bool, effect: float, loss: float
) -> Plan:
    """Return a plan with the persons to enrol, where the prevalence is told."""
    cases = inflated(plan.sizes["cases"], effect)
    name = "with_condition" if have_it else "without_condition"
    sizes = {name: cases}
    if prevalence is not None:
        sizes["to_enrol"] = inflated(with_prevalence(cases, prevalence, have_it), 1.0, loss)
    elif loss:
        sizes["to_enrol"] = inflated(cases, 1.0, loss)
    return replace(plan, sizes=sizes)


@power_app.command("proportions")
def power_proportions(
    target: Annotated[float, typer.Option(help="Share expected in the judged group.")],
    comparator: Annotated[float, typer.Option(help="Share expected in the other.")],
    margin: MarginOption = 0.0,
    ratio: Annotated[float, typer.Option(min=0.01, help="Judged persons for one other.")] = 1.0,
    alpha: AlphaOption = 0.05,
    sides: SidesOption = 2,
    power: PowerOption = 0.8,
    n: SizeOption = None,
    cluster_size: ClusterOption = 1.0,
    icc: IccOption = 0.0,
    size_cv: CvOption = 0.0,
    loss: LossOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Persons of two independent groups: a difference of shares, or non-inferiority."""
    effect = design_effect(cluster_size, icc, size_cv)
    plan = two_shares(
        target, comparator, margin=margin, ratio=ratio, alpha=alpha, sides=sides, power=power, n=n
    )
    _tell("proportions", plan, effect, loss, as_json)


@power_app.command("paired")
def power_paired(
    target: Annotated[float | None, typer.Option(help="Share right by the judged test.")] = None,
    comparator: Annotated[float | None, typer.Option(help="Share right by the other.")] = None,
    correlation: Annotated[
        float, typer.Option(help="Correlation of being right by both tests.")
    ] = 0.0,
    only_target: Annotated[
        float | None, typer.Option(help="Share right by the judged test alone.")
    ] = None,
    only_comparator: Annotated[
        float | None, typer.Option(help="Share right by the other alone.")
    ] = None,
    margin: MarginOption = 0.0,
    alpha: AlphaOption = 0.05,
    sides: SidesOption = 2,
    power: PowerOption = 0.8,
    n: SizeOption = None,
    cluster_size: ClusterOption = 1.0,
    icc: IccOption = 0.0,
    size_cv: CvOption = 0.0,
    loss: LossOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Cases read by both tests: McNemar's test, or non-inferiority of a paired share.

    Of sensitivity the cases are those with the condition, of specificity those without.
    """
    if only_target is None or only_comparator is None:
        if target is None or comparator is None:
            raise typer.BadParameter("give --target and --comparator, or both --only-…")
        only_target, only_comparator = discordant_of(target, comparator, correlation)
    effect = design_effect(cluster_size, icc, size_cv)
    plan = two_paired_shares(
        only_target, only_comparator, margin=margin, alpha=alpha, sides=sides, power=power, n=n
    )
    _tell("paired", plan, effect, loss, as_json)


@power_app.command("auc")
def power_auc(
    auc: Annotated[float, typer.Option(help="Area expected of the judged test.")],
    against: Annotated[float, typer.Option(help="Area that one test is held against.")] = 0.5,
    comparator: Annotated[
        float | None, typer.Option(help="Area of another test; then two areas are compared.")
    ] = None,
    correlation: Annotated[
        float, typer.Option(help="Correlation of the two estimates; 0 of separate cases.")
    ] = 0.0,
    width: Annotated[
        float | None, typer.Option(help="Width of the interval of one area, without a test.")
    ] = None,
    margin: MarginOption = 0.0,
    ratio: Annotated[float, typer.Option(min=0.01, help="Controls for one case.")] = 1.0,
    variance: VarianceOption = "obuchowski",
    alpha: AlphaOption = 0.05,
    sides: SidesOption = 2,
    power: PowerOption = 0.8,
    n: SizeOption = None,
    cluster_size: ClusterOption = 1.0,
    icc: IccOption = 0.0,
    size_cv: CvOption = 0.0,
    loss: LossOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Cases and controls for an area under the ROC curve, or for two areas of the same cases."""
    if width is not None:
        plan = auc_by_width(auc, width, ratio=ratio, variance=variance)
    elif comparator is None:
        plan = one_auc(
            auc, against, ratio=ratio, alpha=alpha, sides=sides, power=power, n=n,
            variance=variance,
        )  # fmt: skip
    else:
        plan = two_aucs(
            auc, comparator, correlation=correlation, margin=margin, ratio=ratio, alpha=alpha,
            sides=sides, power=power, n=n, variance=variance,
        )  # fmt: skip
    _tell("auc", plan, design_effect(cluster_size, icc, size_cv), loss, as_json)


@power_app.command("mrmc")
def power_mrmc(
    difference: Annotated[float, typer.Option(help="Difference of the figure of merit.")],
    readers: Annotated[int, typer.Option(min=1, help="How many readers.")],
    var_reader_modality: Annotated[float, typer.Option(help="Variance of reader by modality.")],
    var_error: Annotated[float, typer.Option(help="Variance of the error of one estimate.")],
    cov1: Annotated[float, typer.Option(help="Covariance: same reader, other modalities.")],
    cov2: Annotated[float, typer.Option(help="Covariance: other readers, same modality.")],
    cov3: Annotated[float, typer.Option(help="Covariance: other readers, other modalities.")],
    pilot_cases: Annotated[int, typer.Option(min=2, help="Cases of the pilot that they are of.")],
    space: Annotated[Space, typer.Option(help="What the result is about.")] = (
        "random readers and random cases"
    ),
    alpha: AlphaOption = 0.05,
    power: PowerOption = 0.8,
    n: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cases for so many readers who read all cases with two modalities (Obuchowski-Rockette)."""
    pilot = Components(var_reader_modality, var_error, cov1, cov2, cov3, pilot_cases)
    plan = cases_of_readers(
        pilot, difference=difference, readers=readers, alpha=alpha, power=power, cases=n,
        space=space,
    )  # fmt: skip
    _tell("mrmc", plan, 1.0, 0.0, as_json)


@power_app.command("survival")
def power_survival(
    hazard_ratio: Annotated[float, typer.Option(help="Hazard ratio expected, below the margin.")],
    margin: Annotated[
        float, typer.Option(min=1, help="Margin of non-inferiority of the ratio; 1 of superiority.")
    ] = 1.0,
    share_target: Annotated[
        float, typer.Option(help="Share of persons in the judged group.")
    ] = 0.5,
    hazard: Annotated[
        float | None, typer.Option(help="Events a person and unit of time of the comparator.")
    ] = None,
    accrual: Annotated[float, typer.Option(min=0, help="Time over which persons enter.")] = 0.0,
    follow_up: Annotated[
        float | None, typer.Option(min=0, help="Time from the last entry to the end.")
    ] = None,
    loss_hazard: Annotated[
        float, typer.Option(min=0, help="Losses a person and unit of time.")
    ] = 0.0,
    formula: Annotated[
        Literal["schoenfeld", "freedman"], typer.Option(help="Formula of the events.")
    ] = "schoenfeld",
    alpha: AlphaOption = 0.05,
    sides: SidesOption = 2,
    power: PowerOption = 0.8,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Events, to be told their power instead.")
    ] = None,
    cluster_size: ClusterOption = 1.0,
    icc: IccOption = 0.0,
    size_cv: CvOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Events for a hazard ratio, and persons from hazards, accrual, follow-up and loss."""
    plan = events_of(
        hazard_ratio, margin=margin, share_target=share_target, alpha=alpha, sides=sides,
        power=power, n_events=n, formula=formula,
    )  # fmt: skip
    if hazard is not None and follow_up is not None:
        new, old = (
            share_with_event(rate, follow_up=follow_up, accrual=accrual, loss_hazard=loss_hazard)
            for rate in (hazard_ratio * hazard, hazard)
        )
        plan = persons_of(plan, share_target, (new, old))
    _tell("survival", plan, design_effect(cluster_size, icc, size_cv), 0.0, as_json)


def _tell(design: str, plan: Plan, effect: float, loss: float, as_json: bool) -> None:
    """Print a plan, its sizes made larger for clusters and for what is lost."""
    sizes = {
        name: size if name in _UNINFLATED else inflated(size, effect, loss)
        for name, size in plan.sizes.items()
    }
    if {"cases", "controls", "persons"} <= sizes.keys():
        sizes["persons"] = sizes["cases"] + sizes["controls"]
    elif {"target", "comparator", "persons"} <= sizes.keys():
        sizes["persons"] = sizes["target"] + sizes["comparator"]
    used = {"design_effect": effect, "loss": loss}
    _show(design, {design: replace(plan, sizes=sizes)}, used, as_json)


def _show(design: str, plans: Mapping[str, Plan], used: Mapping[str, float], as_json: bool) -> None:
    if as_json:
        print_json({"design": design, "plans": [_as_json(n, p) for n, p in plans.items()], **used})
        return
    table = Table(title=f"Plan: {design}")
    for heading in ("of", "number", "needed", "power", "formula"):
        table.add_column(heading)
    for name, plan in plans.items():
        power = "" if plan.power is None else f"{plan.power:.4f}"
        for size, number in plan.sizes.items():
            table.add_row(name, size.replace("_", " "), f"{number:,}", power, plan.formula)
    out.print(table)
    for name, plan in plans.items():
        for said, value in plan.values.items():
            out.print(f"{name}: {said.replace('_', ' ')} {value:.6g}", markup=False)
    if used["design_effect"] != 1 or used["loss"]:
        said = f"Made larger by a design effect of {used['design_effect']:.4g} and a loss of "
        out.print(f"{said}{used['loss']:.4g}.", markup=False)


def _as_json(name: str, plan: Plan) -> dict[str, object]:
    return {
        "of": name,
        "needed": dict(plan.sizes),
        "power": plan.power,
        "before_rounding": plan.exact,
        "formula": plan.formula,
        "values": dict(plan.values),
    }
