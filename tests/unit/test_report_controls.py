"""The section on negative controls: its table, its picture and its counts, in both languages."""

from dataclasses import replace

import pytest

from tasks.analysis.controls import CONTROLS, EXPOSURE, of_control
from tasks.core.results import result_row, results_frame
from tasks.core.spec import ControlExposures
from tasks.report.context import Context
from tasks.report.sections import estimates, negative_controls
from tests.unit.test_report_world import IDENTITY, PAIR, SIZE, study, world
from tests.unit.test_report_world import results as own_results


def control_rows(status="ok"):
    """Rows of the negative controls of the study, and what they say of its primary analysis."""
    rows = []
    for place, control in enumerate(study().negative_controls):
        named = {"outcome": control.id, **of_control(control.id)}
        rows += [
            result_row(CONTROLS, "descriptive", "count", population="crude", arm=arm, unit="events",
                       estimate=20.0 + place, n=n, n_events=20 + place, **named)
            for arm, (n, _, _) in SIZE.items()
        ]  # fmt: skip
        rows.append(
            result_row(CONTROLS, "descriptive", "hazard_ratio", population="overlap", term="primary",
                       estimate=1.2 + 0.01 * place, ci_low=1.0, ci_high=1.6, ci_level=0.95,
                       status=status, **{**PAIR, **named})
        )  # fmt: skip
    common = {"population": "overlap", "term": "primary", "method": "empirical_calibration",
              "statistic_name": "hazard_ratio"}  # fmt: skip
    note = "8 of 8 negative controls could be estimated"
    for name, scenario, value in (("ease", None, 0.21), ("coefficient", "error_mean", 0.2),
                                  ("coefficient", "error_sd", 0.05)):  # fmt: skip
        rows.append(result_row(CONTROLS, "descriptive", name, scenario=scenario, estimate=value,
                               note=note, **common))  # fmt: skip
    rows.append(
        result_row("primary", "primary", "hazard_ratio", population="overlap", term="calibrated",
                   estimate=0.88, ci_low=0.6, ci_high=1.3, ci_level=0.95, method="cox_efron",
                   se_method="empirical_calibration", n=2627, n_events=159, **PAIR)
    )  # fmt: skip
    return rows


def context_of(language, rows):
    frame = results_frame([*own_results().to_dicts(), *rows], IDENTITY)
    return Context(world(results=frame), language)


def plain(runs):
    return "".join(run.text for run in runs)


@pytest.mark.parametrize(("language", "title"), [("en", "Negative controls"), ("ko", "음성대조")])
def test_the_error_the_picture_and_the_events(language, title):
    section = negative_controls.section(context_of(language, control_rows()))
    assert section.title == title
    _, table, figure, counts = section.blocks
    assert [plain(cell) for cell in table.rows[0][:1]] == ["primary"]
    assert [plain(cell) for cell in table.rows[0][2:5]] == ["0.21", "0.20", "0.05"]
    assert plain(table.rows[0][5]).startswith("1.08 (0.76")
    assert plain(table.rows[0][6]).startswith("0.88 (0.60")
    assert figure.id == "controls_primary"
    points = figure.chart["data"]["values"]
    assert len(points) == 9  # eight controls, and the outcome of the study
    assert [p["is_primary"] for p in points].count(True) == 1
    assert len(counts.rows) == 8
    assert plain(counts.rows[0][1]) == "21 / 1,797"  # the ankle: names in the order of the results


def test_each_number_has_a_row_of_its_own():
    context = context_of("en", control_rows())
    _, table, _, counts = negative_controls.section(context).blocks
    runs = [run for row in (*table.rows, *counts.rows) for cell in row for run in cell if run.row]
    assert len({run.row for run in runs}) == len(runs) == 3 + 6 + 32


def test_without_an_estimable_control_there_is_no_picture():
    section = negative_controls.section(context_of("en", control_rows("not_estimable")[:-4]))
    assert [block.kind for block in section.blocks] == ["paragraph", "table"]


def test_controls_are_no_results_of_the_study():
    context = context_of("en", control_rows())
    named = {row["analysis_id"] for row in estimates.hazard_rows(context)}
    assert CONTROLS not in named
    assert context.first("hazard_ratio", population="overlap")["analysis_id"] != CONTROLS


@pytest.mark.parametrize(("language", "title"), [("en", "Pair of arms"), ("ko", "비교군 쌍")])
def test_pairs_of_arms_have_a_table_of_their_own(language, title):
    spec = study()
    text = {"en": "two others", "ko": "다른 두 약"}
    arms = {"target": {"name": text, "code_list": "naproxen"},
            "comparator": {"name": text, "code_list": "ibuprofen"}}  # fmt: skip
    pair = ControlExposures.model_validate({"id": "others", "name": text, **arms})
    counts = [
        result_row(CONTROLS, "descriptive", "count", population="crude", arm=arm, unit="events",
                   estimate=n / 20, n=n, n_events=n // 20, outcome=spec.trial.outcome.id,
                   **of_control("others", EXPOSURE))
        for arm, n in (("naproxen", 400), ("ibuprofen", 600))
    ]  # fmt: skip
    frame = results_frame([*own_results().to_dicts(), *counts], IDENTITY)
    changed = spec.model_copy(update={"negative_control_exposures": (pair,)})
    context = Context(replace(world(results=frame), spec=changed), language)
    table = negative_controls.section(context).blocks[-1]
    assert [plain(cell) for cell in table.rows[0]] == [text[language], "20 / 400", "30 / 600"]
    assert title in str(table.columns[0])
