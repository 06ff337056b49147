"""Reader studies from a study's specification, against MRMCaov, brute force and other formulas.

Numbers of VanDyke are those of ../shared/reference/diagnostic_reference.json, MRMCaov d79e49b:
    mrmc(empirical_auc(truth, rating), treatment, reader, case, data = VanDyke)
with `fixed(reader)`, `fixed(case)`, and binary_sens, binary_spec of rating >= 3.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.analysis.tables import NO_TABLES
from tasks.core.disclosure_tables import release_tables
from tasks.stats.diagnostic.reader_figures import CellReadings, area, figures_of
from tasks.stats.diagnostic.reader_study import SPACES, ReaderStudy
from tests.reference.shared import reference, shared_table
from tests.reference.test_registry_tables import results, some

ROLES = {
    "case_id": "case",
    "truth": "truth",
    "score": "rating",
    "reader": "reader",
    "modality": "treatment",
}
SOURCE = {"kind": "reading_table", "roles": ROLES}
PERSONS = {"kind": "reading_table", "roles": {**ROLES, "person_id": "person"}}
RANDOM, READERS, CASES = SPACES
ALL = {"figures": ["auc", "sensitivity", "specificity"]}


def drawn(n=40, readers=3, modalities=("a", "b"), seed=7):
    """Readers who read all cases in both modalities; two cases a person, scores of five levels."""
    rng = np.random.default_rng(seed)
    case = np.arange(n)
    truth = (case % 4 < 2) * 1
    made = []
    for j in range(readers):
        skill = rng.normal(1.1, 0.2)
        for i, modality in enumerate(modalities):
            score = rng.normal(truth * (skill + 0.3 * i), 1)
            rating = np.digitize(score, [-0.5, 0.3, 0.9, 1.5]) + 1
            made.append(pd.DataFrame({"case": case, "person": case // 3, "truth": truth, "reader": f"r{j}", "treatment": modality, "rating": rating}))  # fmt: skip
    frame = pd.concat(made, ignore_index=True)
    frame["seconds"] = np.exp(rng.normal(3, 0.4, len(frame)) - 0.3 * (frame.treatment == "b"))
    return frame


def of_space(rows, name, space, **more):
    (found,) = some(rows, name, inference_space=space, **more)
    return found


def test_vandyke_is_that_of_mrmcaov():
    theirs = reference("diagnostic_reference.json")["mrmc"]["headline"]
    whole = theirs["VanDyke_jackknife"]
    frame = shared_table("data/diagnostic/mrmc_VanDyke.csv")
    rows = results(frame, SOURCE, method="mrmc", index_test={"threshold": 3}, reader_study=ALL)
    means = [of_space(rows, "auc", RANDOM, arm=arm)["estimate"] for arm in ("1", "2")]
    assert means == pytest.approx(whole["auc"], rel=1e-10)
    gap = of_space(rows, "auc_difference", RANDOM)  # 2 - 1, and MRMCaov's is 1 - 2
    assert gap["stratum_level"] == "2 - 1"
    numbers = (gap["estimate"], gap["std_error"], gap["df2"], gap["p_value"])
    wanted = (-whole["diff"], whole["se"], whole["df"], whole["p"])
    assert numbers == pytest.approx(wanted, rel=1e-9)
    assert (-gap["ci_high"], -gap["ci_low"]) == pytest.approx(whole["ci"], rel=1e-9)
    test = of_space(rows, "test", RANDOM, term="auc")
    assert (test["statistic"], test["df1"], test["df2"]) == pytest.approx((whole["F"], 1, whole["df"]))  # fmt: skip
    for space, p in ((READERS, theirs["fixed_readers_p"]), (CASES, theirs["fixed_cases_p"])):
        assert of_space(rows, "test", space, term="auc")["p_value"] == pytest.approx(p, rel=1e-9)
    for name, key in (("sensitivity", "sens_ge3"), ("specificity", "spec_ge3")):
        found = of_space(rows, f"{name}_difference", RANDOM)
        assert found["estimate"] == pytest.approx(-theirs[key]["diff"], rel=1e-9)
        assert found["p_value"] == pytest.approx(theirs[key]["p"], rel=1e-9)


def test_the_chosen_space_has_the_role_of_the_analysis_and_the_others_stand_beside():
    rows = results(drawn(), SOURCE, method="mrmc", reader_study={"inference": "fixed_readers"})
    roles = {row["inference_space"]: row["role"] for row in some(rows, "auc_difference", stratum_name=None)}  # fmt: skip
    assert roles == {RANDOM: "sensitivity", READERS: "primary", CASES: "sensitivity"}


def cells_of(frame, unit="case"):
    made = []
    for (_, _), part in frame.groupby(["treatment", "reader"]):
        part = part.sort_values("case")
        made.append(CellReadings(part.case.to_numpy(), part[unit].to_numpy(), part.truth.to_numpy() == 1, part.rating.to_numpy(float)))  # fmt: skip
    return made


@pytest.mark.parametrize("unit", ["case", "person"])
def test_the_jackknife_is_that_of_leaving_out_by_hand(unit):
    """Areas are counted pair by pair, without each case or person in turn."""
    frame = drawn(n=21)
    found = figures_of(cells_of(frame, unit), True)

    def by_hand(part):
        areas = []
        for _, cell in part.groupby(["treatment", "reader"]):
            sick, well = (cell.rating[cell.truth == t].to_numpy() for t in (1, 0))
            gap = sick[:, None] - well
            areas.append(((gap > 0) + 0.5 * (gap == 0)).mean())
        return np.array(areas)

    left = np.array([by_hand(frame[frame[unit] != one]) for one in frame[unit].unique()])
    g = len(left)
    wanted = (g - 1) / g * (left - left.mean(axis=0)).T @ (left - left.mean(axis=0))
    assert found.value == pytest.approx(by_hand(frame))
    assert found.covariance == pytest.approx(wanted, abs=1e-12)


def test_delong_and_the_unbiased_covariance_are_those_of_enumeration():
    """DeLong: sample covariance of wins; unbiased: all pairs of pairs that share no case."""
    frame = drawn(n=14, readers=2)
    cells = cells_of(frame)
    wins = []
    for cell in cells:
        gap = cell.value[cell.truth][:, None] - cell.value[~cell.truth]
        wins.append((gap > 0) + 0.5 * (gap == 0))
    m, n = wins[0].shape
    placed = [np.cov([w.mean(axis=1 - k) for w in wins]) / size for k, size in ((0, m), (1, n))]
    assert figures_of(cells, True, "delong").covariance == pytest.approx(sum(placed))
    other_i, other_j = 1 - np.eye(m), 1 - np.eye(n)
    apart = [
        [np.einsum("ij,kl,ik,jl->", a, b, other_i, other_j) / other_i.sum() / other_j.sum() for b in wins]
        for a in wins
    ]  # fmt: skip
    areas = np.array([w.mean() for w in wins])
    unbiased = figures_of(cells, True, "unbiased").covariance
    assert unbiased == pytest.approx(np.outer(areas, areas) - np.array(apart), abs=1e-12)


def test_the_unbiased_covariance_is_unbiased_where_delong_is_not():
    """1,500 draws of six cases each: the mean of the estimate is the variance of the area."""
    rng = np.random.default_rng(5)
    truth = np.arange(6) < 3
    case = np.arange(6)
    found = []
    for _ in range(1500):
        cell = CellReadings(case, case, truth, rng.normal(truth * 1.0))
        kinds = [figures_of([cell], True, kind) for kind in ("unbiased", "delong")]
        found.append((kinds[0].value[0], *(kind.covariance[0, 0] for kind in kinds)))
    values = np.array(found)
    error = values[:, 1].std() / math.sqrt(1500)
    assert abs(values[:, 1].mean() - values[:, 0].var(ddof=1)) < 4 * error
    assert values[:, 2].mean() - values[:, 0].var(ddof=1) > 0.002


def test_the_area_is_that_of_mann_and_whitney():
    frame = drawn(readers=1, modalities=("a",))
    truth = frame.truth.to_numpy() == 1
    u = stats.mannwhitneyu(frame.rating[truth], frame.rating[~truth]).statistic
    assert area(frame.rating.to_numpy(float), truth) == pytest.approx(u / (20 * 20))


@pytest.mark.parametrize(
    ("design", "name"),
    [
        ("case", "crossed"),
        ("by_reader", "cases_in_readers"),
        ("by_modality", "cases_in_modalities"),
    ],
)
def test_fixed_readers_have_the_variance_of_the_contrast_itself(design, name):
    """Two modalities: the pooled formula is the quadratic form of the difference of means."""
    frame = drawn().assign(
        by_reader=lambda f: f.reader.str[1:].astype(int) * 100 + f.case,
        by_modality=lambda f: (f.treatment == "b") * 100 + f.case,
    )
    frame["case"] = frame[design]
    rows = results(frame, SOURCE, method="mrmc")
    found = of_space(rows, "auc_difference", READERS)
    assert found["scenario"] == name
    covariance = figures_of(cells_of(frame), True).covariance
    contrast = np.repeat([-1 / 3, 1 / 3], 3)
    assert found["std_error"] == pytest.approx(math.sqrt(contrast @ covariance @ contrast))


def test_cases_nested_in_readers_leave_no_variance_of_cases_beside_that_of_readers():
    """Then a reader's difference is all there is: a paired t-test of readers."""
    frame = drawn().assign(case=lambda f: f.reader.str[1:].astype(int) * 100 + f.case)
    found = of_space(results(frame, SOURCE, method="mrmc"), "auc_difference", RANDOM)
    areas = [area(cell.value, cell.truth) for cell in cells_of(frame)]
    test = stats.ttest_rel(areas[3:], areas[:3])
    assert (found["statistic"], found["df2"], found["p_value"]) == pytest.approx((test.statistic, 2, test.pvalue))  # fmt: skip


def test_readers_nested_in_modalities_with_fixed_cases_are_a_two_sample_t_test():
    frame = drawn().assign(reader=lambda f: f.reader + f.treatment)
    rows = results(frame, SOURCE, method="mrmc")
    found = of_space(rows, "auc_difference", CASES)
    areas = [area(cell.value, cell.truth) for cell in cells_of(frame)]
    test = stats.ttest_ind(areas[3:], areas[:3])
    assert (found["statistic"], found["df2"], found["p_value"]) == pytest.approx((test.statistic, 4, test.pvalue))  # fmt: skip
    assert {row["scenario"] for row in some(rows, "auc")} == {"readers_in_modalities"}
    assert not some(rows, "var_reader_modality")
    assert not some(rows, "auc_difference", stratum_name="reader")


def test_nested_readers_have_the_variance_of_their_own_contrast():
    frame = drawn().assign(reader=lambda f: f.reader + f.treatment)
    found = of_space(results(frame, SOURCE, method="mrmc"), "auc_difference", READERS)
    covariance = figures_of(cells_of(frame), True).covariance
    contrast = np.repeat([-1 / 3, 1 / 3], 3)
    assert found["std_error"] == pytest.approx(math.sqrt(contrast @ covariance @ contrast))


def test_expected_mean_squares_give_back_the_components():
    """Figures drawn from the model with known components: the mean estimate is near each."""
    rng = np.random.default_rng(11)
    var_reader, both, error, cov1, cov2, cov3 = 4.0, 1.0, 3.0, 1.5, 1.2, 0.8
    t, r = 2, 4
    modality, reader = np.repeat(np.arange(t), r), np.tile(np.arange(r), t)
    same, alike = modality[:, None] == modality, reader[:, None] == reader
    cases = np.select([same & alike, alike, same], [error, cov1, cov2], cov3)
    whole = cases + var_reader * alike + both * (same & alike)
    draws = rng.multivariate_normal(np.zeros(t * r), whole, 6000)
    found = [ReaderStudy(draw.reshape(t, r), cases).components() for draw in draws]
    for name, true in (("var_reader", var_reader), ("var_reader_modality", both)):
        values = np.array([getattr(one, name) for one in found])
        assert abs(values.mean() - true) < 4 * values.std() / math.sqrt(6000)
    assert (found[0].cov1, found[0].cov2, found[0].cov3) == pytest.approx((cov1, cov2, cov3))


@pytest.mark.parametrize("space", [RANDOM, READERS])
def test_intervals_hold_the_truth_in_draws_of_the_model(space):
    rng = np.random.default_rng(3)
    t, r = 2, 5
    modality, reader = np.repeat(np.arange(t), r), np.tile(np.arange(r), t)
    same, alike = modality[:, None] == modality, reader[:, None] == reader
    cases = np.select([same & alike, alike, same], [3.0, 1.5, 1.2], 0.8)
    of_readers = 4.0 * alike + 1.0 * (same & alike) if space == RANDOM else np.zeros_like(cases)
    draws = rng.multivariate_normal(np.zeros(t * r), cases + of_readers, 2000)
    held = [
        found.ci_low <= 0 <= found.ci_high
        for found in (ReaderStudy(d.reshape(t, r), cases).difference(1, 0, space) for d in draws)
    ]
    assert 0.94 <= np.mean(held) <= 0.985 if space == RANDOM else 0.935 <= np.mean(held) <= 0.965


def test_outputs_without_a_result_have_a_place_below_and_above_all_scores():
    frame = drawn().assign(output=0)
    failed = (frame.case % 7 == 0) & (frame.treatment == "b")
    frame.loc[failed, "output"] = 2
    source = {"kind": "reading_table", "roles": {**ROLES, "output": "output"}}
    wrong, positive = (
        of_space(results(frame.assign(rating=frame.rating.where(~failed)), source, method="mrmc", index_test={"without_result": how}), "auc", RANDOM, arm="b")["estimate"]
        for how in ("wrong", "positive")
    )  # fmt: skip
    for how, found in (("wrong", wrong), ("positive", positive)):
        put = np.where(how == "positive", 99, np.where(frame.truth == 1, -99, 99))
        instead = frame.assign(rating=frame.rating.where(~failed, put), output=0)
        rows = results(instead, SOURCE, method="mrmc")
        assert found == pytest.approx(of_space(rows, "auc", RANDOM, arm="b")["estimate"])
    assert wrong < positive


def test_lower_scores_may_be_the_suspicious_ones():
    frame = drawn()
    upside_down = frame.assign(rating=6 - frame.rating)
    test = {"threshold": 3, "positive": "at_or_below"}
    found = results(upside_down, SOURCE, method="mrmc", index_test=test, reader_study=ALL)
    wanted = results(frame, SOURCE, method="mrmc", index_test={"threshold": 3}, reader_study=ALL)
    for name in ALL["figures"]:
        same = [of_space(rows, f"{name}_difference", RANDOM)["p_value"] for rows in (found, wanted)]
        assert same[0] == pytest.approx(same[1])


@pytest.mark.parametrize(
    ("claim", "side"),
    [("superiority", 0.0), ("non_inferiority", -0.05), ("equivalence", 0.05)],
)
def test_a_margin_is_held_against_with_the_degrees_of_freedom(claim, side):
    margin = {"claim": claim} if claim == "superiority" else {"claim": claim, "margin": 0.05}
    rows = results(drawn(n=90), SOURCE, method="mrmc", hypothesis=margin)
    found = of_space(rows, "auc_difference", RANDOM)
    t = (found["estimate"] - side) / found["std_error"]
    if claim == "equivalence":
        t = min((found["estimate"] + 0.05) / found["std_error"], -t)
    assert found["p_value"] == pytest.approx(stats.t.sf(t, found["df2"]))
    assert (found["alternative"], claim.replace("_", "-") in found["note"]) == (claim, True)


def test_what_is_not_balanced_is_refused_by_name_with_a_fix():
    frame = drawn()
    cases = {
        "some cases were not read by all readers": frame.drop(index=5),
        "reader r0 has not read with modality a": frame[(frame.reader != "r0") | (frame.treatment != "a")],
        "not as many in each (a: 3, b: 2)": frame.assign(reader=frame.reader + frame.treatment).query("reader != 'r0b'"),
        "truth of a case": frame.assign(truth=np.where(frame.index == 3, 1 - frame.truth, frame.truth)),
    }  # fmt: skip
    for told, changed in cases.items():
        (found,) = some(results(changed, SOURCE, method="mrmc"), "auc")
        assert found["status"] == "not_estimable"
        assert told in found["note"]
        assert "; " in found["note"]


def test_incomplete_cases_may_be_left_out_and_are_counted():
    frame = drawn()
    rows = results(frame.drop(index=5), SOURCE, method="mrmc", reader_study={"incomplete": "leave_out"})  # fmt: skip
    wanted = results(frame[frame.case != 5], SOURCE, method="mrmc")
    same = [of_space(of, "auc_difference", RANDOM)["p_value"] for of in (rows, wanted)]
    assert same[0] == same[1]
    (left,) = some(rows, "count", stratum_name="incomplete_cases")
    assert (left["estimate"], left["n"]) == (1.0, 40)


def test_one_reader_speaks_for_no_other():
    rows = results(drawn(readers=1), SOURCE, method="mrmc")
    assert of_space(rows, "auc_difference", RANDOM)["status"] == "not_estimable"
    assert of_space(rows, "auc_difference", READERS)["status"] == "ok"


def test_persons_with_several_cases_are_left_out_together():
    rows = results(drawn(), PERSONS, method="mrmc")
    found = of_space(rows, "auc_difference", RANDOM)
    assert (found["se_method"], found["n"], found["n_clusters"]) == ("jackknife_of_persons", 40, 14)
    asked = {"covariance": "delong"}
    (refused,) = some(results(drawn(), PERSONS, method="mrmc", reader_study=asked), "auc")
    assert "take covariance: jackknife" in refused["note"]


def test_rows_are_the_same_in_any_order_of_the_file():
    frame = drawn()
    shuffled = frame.sample(frac=1, random_state=3)
    more = {"method": "mrmc", "index_test": {"threshold": 3}, "reader_study": ALL}
    assert results(frame, PERSONS, **more) == results(shuffled, PERSONS, **more)


@pytest.mark.parametrize(("few", "status"), [(2, "suppressed"), (40, "ok")])
def test_few_cases_behind_a_reader_are_withheld_with_all_readers(few, status):
    """One reader with few misses: no reader is shown; the means are, of many readings."""
    frame = drawn(n=80)
    frame.loc[frame.truth == 1, "rating"] = np.where(frame.case[frame.truth == 1] < 24, 1, 5)
    frame.loc[(frame.truth == 1) & (frame.reader == "r1") & (frame.case > few), "rating"] = 5
    rows = results(frame, SOURCE, method="mrmc", index_test={"threshold": 3}, reader_study={"figures": ["sensitivity"]})  # fmt: skip
    shown, _, _ = release_tables(rows, NO_TABLES.attrition, 5)
    told = [row for row in shown if row["estimate_name"].startswith("sensitivity")]
    of_readers = {row["status"] for row in told if row.get("stratum_name") == "reader"}
    assert of_readers == {status}
    means = [row for row in told if row.get("arm") and not row.get("stratum_name")]
    assert {row["status"] for row in means} == {"ok"}


def test_time_to_read_of_crossed_readers_and_cases():
    """Fixed cases: the paired t-test of the means of readers; the ratio is that of logarithms."""
    frame = drawn()
    source = {"kind": "reading_table", "roles": {**ROLES, "reading_seconds": "seconds"}}
    rows = results(frame, source, method="reading_time", hypothesis={"claim": "superiority"})
    means = frame.groupby(["treatment", "reader"]).seconds.mean()
    test = stats.ttest_rel(means["b"], means["a"])
    found = of_space(rows, "reading_time_difference", CASES)
    assert (found["estimate"], found["statistic"]) == pytest.approx(((means["b"] - means["a"]).mean(), test.statistic))  # fmt: skip
    logs = np.log(frame.seconds).groupby([frame.treatment, frame.reader]).mean()
    ratio = of_space(rows, "reading_time_ratio", CASES)
    wanted = stats.ttest_rel(logs["b"], logs["a"], alternative="less")
    assert ratio["estimate"] == pytest.approx(math.exp((logs["b"] - logs["a"]).mean()))
    assert ratio["p_value"] == pytest.approx(wanted.pvalue)
    shown = "is shown" if wanted.pvalue <= 0.025 else "is not shown"
    assert ratio["note"].startswith(f"superiority {shown}")
    (median,) = some(rows, "reading_time", term="median", arm="a")
    assert median["estimate"] == pytest.approx(frame[frame.treatment == "a"].seconds.median())


def test_time_to_read_of_crossed_readers_and_cases_is_that_of_the_mixed_model():
    """Balanced data, no negative component: 2 (MS_tr + MS_tc - MS_trc) / (r c), by hand.

    The variance of a difference in the two-way random-effects model; mean squares of treatment
    by reader, by case and by both are those of half the squared differences.
    """
    rng = np.random.default_rng(2)
    t, r, c = 2, 6, 30
    y = (
        rng.normal(0, 2, (1, r, 1)) + rng.normal(0, 2, (1, 1, c)) + rng.normal(0, 1.5, (t, r, 1))
        + rng.normal(0, 1.5, (t, 1, c)) + rng.normal(0, 1, (1, r, c)) + rng.normal(20, 1, (t, r, c))
    )  # fmt: skip
    i, j, k = (part.ravel() for part in np.indices(y.shape))
    frame = pd.DataFrame({"case": k, "truth": k % 2, "reader": j, "treatment": i, "seconds": y.ravel(), "rating": 1})  # fmt: skip
    source = {"kind": "reading_table", "roles": {**ROLES, "reading_seconds": "seconds"}}
    found = of_space(results(frame, source, method="reading_time"), "reading_time_difference", RANDOM)  # fmt: skip
    gap = y[1] - y[0]
    of_reader = gap.mean(axis=1).var(ddof=1) * c / 2
    of_case = gap.mean(axis=0).var(ddof=1) * r / 2
    left = gap - gap.mean(axis=1, keepdims=True) - gap.mean(axis=0) + gap.mean()
    rest = (left**2).sum() / ((r - 1) * (c - 1)) / 2
    wanted = (of_reader + of_case - rest) * 2 / (r * c)
    assert found["std_error"] ** 2 == pytest.approx(wanted, rel=1e-9)
