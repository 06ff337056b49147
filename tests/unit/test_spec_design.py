"""Designs that mislead are refused or doubted by name, each with its key and a way out."""

import copy
from datetime import date

import pytest
import yaml

from tasks.core.errors import SpecError
from tasks.core.spec import load_study
from tasks.core.spec.load import check_study
from tests.design_world import CLONES, DRUG, STUDIES, TEXT, native, population, rule, within, write


def refusals(tmp_path, kind, changes):
    with pytest.raises(SpecError) as caught:
        load_study(write(tmp_path, kind, changes))
    assert caught.value.exit_code == 11
    assert all(m.where.startswith("mine.yaml:") and m.fix for m in caught.value.messages)
    return [(m.code, m.what) for m in caught.value.messages]


def doubts(tmp_path, kind, changes):
    return [(m.code, m.what) for m in check_study(write(tmp_path, kind, changes))[1]]


PAST = {"from_days": -30, "to_days": -1}


def test_the_kinds_of_design_are_valid(tmp_path):
    for kind in STUDIES:
        assert load_study(write(tmp_path, kind, {})).design.type


@pytest.mark.parametrize("key", ["strategies", "assignment", "estimands", "observability",
                                 "eligibility", "competing", "censor_at"])  # fmt: skip
def test_what_a_study_must_decide_has_no_default(tmp_path, key):
    study = copy.deepcopy(DRUG)
    del study["design"][key]
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(study, allow_unicode=True), encoding="utf-8")
    with pytest.raises(SpecError, match=rf"design\.{key}: the key is missing"):
        load_study(str(file))


def counted(way, number, *windows):
    condition = within(*windows)
    del condition["at_least"]
    return condition | {way: number}


UNTIL = {
    "domain": "observation_period",
    "code_list": None,
    "where": [{"column": "observation_period_end_date", "at_least": date(2020, 1, 1)}],
}
IMMORTAL, DESIGN, ESTIMAND = "E_SPEC_IMMORTAL_TIME", "E_SPEC_DESIGN", "E_SPEC_ESTIMAND"
REFUSED = [
    ("drug", {"design.grace_period_days": 30}, DESIGN, "clone-censor-weight"),
    ("grace", {"design.grace_period_days": 0}, DESIGN, "follows one strategy from time zero on"),
    ("grace", {"design.risk_start.offset_days": 0}, DESIGN, "strategies begin at time zero"),
    ("grace", {"design.risk_end.offset_days": 30}, DESIGN, "risk ends before the grace period"),
    ("grace", {"design.entry_cohort": "nobody"}, "E_SPEC_PARSE", "cohort 'nobody' is used"),
    ("grace", {"design.entry_cohort": "treated"}, DESIGN, "persons enter by the treatment itself"),
    ("grace", {"outcome": {"name": TEXT, "cohort": "treated"}}, DESIGN,
     "the outcome is the treatment_cohort"),
    ("grace", {"target.starts": False}, DESIGN, "the target of start_within_grace is the strategy"),
    ("grace", {"target": {"name": TEXT, "cohort": "treated"}}, "E_SPEC_PARSE",
     "target needs starts"),
    ("grace", {"cohorts.1.entry.limit": "last"}, IMMORTAL, "as treatment_cohort"),
    ("grace", {"cohorts.0.rules": rule(within({"from_days": 0, "to_days": 30}))}, IMMORTAL,
     "rule a_rule reaches to day 30; as entry_cohort"),
    ("grace", {"analyses.2": {"id": "km", "role": "exploratory", "method": "kaplan_meier",
                              "adjustment": "none", "table_days": [60]}}, IMMORTAL,
     "who starts late has to live until then"),
    ("grace", {"analyses.2": {"id": "hr", "role": "replication", "method": "cox",
                              "adjustment": "none", "ties": "efron", "std_error": "model"}},
     IMMORTAL, "cox would compare persons by what they do in the grace period"),
    ("drug", {"analyses.13": CLONES | {"id": "ccw", "role": "exploratory"}}, DESIGN,
     "compares strategies with a grace period, and there is none"),
    ("grace", {"analyses.0.adjustment": "overlap"}, "E_SPEC_PARSE",
     "adjustment overlap is not one of method clone_censor_weight"),
    ("drug", {"analyses.1.adjustment": "initiation_weights"}, "E_SPEC_PARSE",
     "adjustment initiation_weights is not one of method cox"),
    ("grace", {"analyses.0.terms": "sex"}, "E_SPEC_PARSE", "terms belong to the analysis of a"),
    ("grace", {"analyses.0.grace_days": 30}, "E_SPEC_PARSE", "grace_days belong to the analysis"),
    ("grace", {"analyses.0.seed": None}, "E_SPEC_PARSE", "needs seed"),
    ("grace", {"analyses.0.table_days": [], "analyses.0.horizon_days": 30}, ESTIMAND,
     "the risk_difference of its estimand is read on table_days"),
    ("grace", {"analyses.1.table_days": [30], "analyses.1.horizon_days": None}, "E_SPEC_PARSE",
     "no risk or mean beyond the grace period"),
    ("grace", {"analyses.0.interval_days": 31}, "E_SPEC_PARSE", "longer than the grace period"),
    ("grace", {"analyses.0.calibrate": True}, "E_SPEC_PARSE", "not calibrated"),
    ("grace", {"design.estimands.0.summary_measure": "hazard_ratio"}, ESTIMAND,
     "hazard_ratio is not estimated of strategies"),
    ("grace", {"analyses.0.gates": "all", "gates": [
        {"name": "equipoise", "threshold": 0.2, "on_miss": "report"}]}, "E_SPEC_GATE",
     "gate equipoise judges arms"),
    ("drug", {"design.eligibility": rule(within({"from_days": 0, "to_days": 30}))}, IMMORTAL,
     "design.eligibility.0.require.within: reaches to day 30"),
    ("drug", {"design.eligibility": rule(within())}, IMMORTAL, "no window that ends"),
    ("drug", {"design.eligibility": rule(within({"from_days": -30}), "exclude")}, IMMORTAL,
     "design.eligibility.0.exclude.within"),
    ("drug", {"design.eligibility": rule(within({"to_days": -1, "index": "end"}))}, IMMORTAL,
     "no window"),
    ("drug", {"design.eligibility": rule(within({"to_days": 0}, {"event": "end",
                                                                 "from_days": 365}))}, IMMORTAL,
     "require.within: asks for what happens from day 365 on"),
    ("drug", {"design.eligibility": rule(within({"to_days": 0}, {"from_days": 1}))}, IMMORTAL,
     "from day 1 on"),
    ("drug", {"design.eligibility": rule(within({"to_days": 0}, {"event": "end", "to_days": 9}))},
     IMMORTAL, "asks whether the event ends by day 9"),
    ("drug", {"design.eligibility": rule(within({"to_days": 0}, {"index": "end",
                                                                 "from_days": -9}))},
     IMMORTAL, "counts from the end of the index"),
    ("drug", {"design.eligibility": rule(counted("at_most", 0, {"from_days": -9, "to_days": 9}))},
     IMMORTAL, "reaches to day 9"),
    ("drug", {"design.eligibility": rule(counted("exactly", 1, {"from_days": -9}))}, IMMORTAL,
     "no window that ends"),
    ("drug", {"design.eligibility": rule(within(PAST, having=within(
        {"to_days": 0}, {"event": "end", "from_days": 2})))}, IMMORTAL,
     "require.events.having.within: asks for what happens from day 1 on"),
    ("drug", {"design.eligibility": rule(within(PAST, having=within(
        {"to_days": 0, "index": "end"})))}, IMMORTAL, "require.events.having.within: has no window"),
    ("drug", {"design.eligibility": rule(within(PAST, **UNTIL))}, IMMORTAL,
     "require.events.where.0.column: observation_period_end_date lies after time zero"),
    ("drug", {"design.populations": population(within(PAST, **UNTIL))}, IMMORTAL,
     "design.populations.0.require.events.where.0.column"),
    ("cohort", {"cohorts.0.entry.any.0": UNTIL}, IMMORTAL,
     "cohorts.0.entry.any.0.where.0.column: observation_period_end_date"),
    ("cohort", {"cohorts.1.rules": rule(within({"to_days": 0}, {"event": "end",
                                                                "from_days": 365}))}, IMMORTAL,
     "rule a_rule asks for what happens from day 365 on; as comparator"),
    ("cohort", {"cohorts.0.entry.any.0.having": within({"to_days": 0}, {"from_days": 1})}, IMMORTAL,
     "entry asks for what happens from day 1 on"),
    ("device", {"design.risk_end.offset_days": 20}, DESIGN,
     "table_days: days [30, 90, 180, 365] lie beyond the 20 days of the risk window"),
    ("drug", {"design.eligibility": rule({"all": [within(PAST), {"any": [within()]}]})}, IMMORTAL,
     "require.all.1.any.0.within"),
    ("drug", {"design.eligibility": rule(within(PAST, having=within({"to_days": 365})))}, IMMORTAL,
     "require.events.having.within: reaches to day 364"),
    ("drug", {"design.eligibility": rule({"observation": {"prior_days": 0, "post_days": 9}})},
     IMMORTAL, "asks for 9 days"),
    ("drug", {"design.populations": population(within({"to_days": 1}))}, IMMORTAL,
     "design.populations.0.require.within: reaches to day 1"),
    ("drug", {"design.eligibility": rule(within(PAST), rule_id="in_observation")}, DESIGN,
     "a step that every attrition has"),
    ("drug", {"design.eligibility": rule(within(PAST, code_list="nothing"))}, "E_SPEC_PARSE",
     "['nothing'] are used but not defined"),
    ("drug", {"design.eligibility": rule(within(PAST)) * 2}, ESTIMAND,
     "two entries of design.eligibility have the same id"),
    ("drug", {"design.censor_events": [{"domain": "drug_exposure", "code_list": "nothing"}]},
     "E_SPEC_PARSE", "['nothing'] are used but not defined"),
    ("drug", {"code_lists.2.concepts": [192671, 1124300]}, DESIGN, "holds concepts of the outcome"),
    ("drug", {"design.observability.outcome.source": "not_observed"}, DESIGN, "not observed"),
    ("drug", {"design.competing": "death"}, DESIGN, "death competes, but is not observed"),
    ("drug", {"design.risk_start": {"anchor": "era_start", "offset_days": -1}}, "E_SPEC_PARSE",
     "before time zero"),
    ("drug", {"analyses.1.role": "secondary"}, ESTIMAND, "no analysis is primary"),
    ("drug", {"analyses.2.role": "primary"}, ESTIMAND, "are all primary"),
    ("drug", {"analyses.1.method": "rmst", "analyses.1.ties": None, "analyses.1.std_error": None,
              "analyses.1.horizon_days": 30}, ESTIMAND, "does not estimate the hazard_ratio"),
    ("drug", {"analyses.1.estimand": "other"}, ESTIMAND, "no estimand 'other'"),
    ("drug", {"analyses.1.population": "other"}, ESTIMAND, "no population 'other'"),
    ("drug", {"analyses.9.adjustment": "none", "analyses.11.adjustment": "none"}, ESTIMAND,
     "a hazard ratio alone"),
    ("drug", {"design.estimands": []}, ESTIMAND, "role primary, but the design has no estimand"),
    ("drug", {"design.estimands.1": DRUG["design"]["estimands"][0] | {"id": "second"}}, ESTIMAND,
     "this analysis names none"),
    ("device", {"design.eligibility": rule({"events": {"domain": "device_inference"},
                                            "at_least": 1,
                                            "within": [{"from_days": 0, "to_days": 0}]})},
     DESIGN, "selects by device_inference on the day of the image"),
    ("device", {"design.populations": population({"none": [
        {"events": {"domain": "device_reading"}, "at_least": 1, "within": [{"to_days": 0}]}]})},
     DESIGN, "selects by device_reading"),
    ("cohort", {"target.cohort": "nobody"}, "E_SPEC_PARSE", "cohort 'nobody' is used"),
    ("cohort", {"target.cohort": "old"}, "E_SPEC_PARSE", "a cohort each of their own"),
    ("cohort", {"target": {"name": TEXT, "code_list": "celecoxib"}}, "E_SPEC_PARSE",
     "target needs cohort"),
    ("cohort", {"cohorts.2": native("arm_new", "celecoxib")}, DESIGN, "has the name of an arm"),
    ("cohort", {"cohorts.0.entry.observation.post_days": 30}, IMMORTAL,
     "entry demands 30 days of later observation; as target it makes its persons immortal"),
    ("cohort", {"cohorts.1.rules": rule(within({"from_days": 0, "to_days": 30}))}, IMMORTAL,
     "rule a_rule reaches to day 30; as comparator"),
    ("cohort", {"cohorts.0.entry.limit": "last"}, IMMORTAL, "the last event"),
    ("cohort", {"cohorts.0.keep": "last"}, IMMORTAL, "the last span"),
    ("cohort", {"cohorts.0.entry.any.0.having": within({"to_days": 9})}, IMMORTAL,
     "cohorts.0.entry.any.0.having.within: entry reaches to day 9"),
    ("cohort", {"outcome": {"name": TEXT, "cohort": "new"}}, DESIGN,
     "the outcome is the cohort of the target"),
    ("cohort", {"cohorts.2": native("bleed", "celecoxib"),
                "outcome": {"name": TEXT, "cohort": "bleed"}}, DESIGN,
     "by which persons enter, holds concepts of the outcome"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "code", "told"), REFUSED,
                         ids=lambda value: value[:40] if isinstance(value, str) else "")  # fmt: skip
def test_refused_by_name(tmp_path, kind, changes, code, told):
    found = refusals(tmp_path, kind, changes)
    assert [c for c, what in found if told in what] == [code] * sum(told in w for _, w in found)
    assert any(told in what for _, what in found), found


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("drug", within({"from_days": -30, "to_days": 0})),
        ("drug", within({"from_days": -30}, {"to_days": -1})),
        ("drug", within({"to_days": -365}, having=within({"to_days": 365}))),
        ("drug", within({"to_days": 0}, {"event": "end", "from_days": -3})),
        ("drug", within({"event": "end", "to_days": 0})),
        ("drug", within({"to_days": -365}, having=within({"to_days": 365}, {"from_days": 1}))),
        ("drug", within({"event": "end", "to_days": -30},
                        having=within({"index": "end", "from_days": 1, "to_days": 30}))),
        ("drug", counted("at_most", 0, {"from_days": -365, "to_days": 0})),
        ("drug", {"observation": {"prior_days": 30, "post_days": 0}}),
        ("drug", {"age": {"method": "exact", "at_least": 18}}),
        ("device", {"events": {"domain": "device_inference"}, "at_most": 0, "within": [PAST]}),
    ],
)  # fmt: skip
def test_what_is_known_at_time_zero_may_decide(tmp_path, kind, condition):
    assert load_study(write(tmp_path, kind, {"design.eligibility": rule(condition)}))


ENDED = {"where": [{"column": "condition_end_date", "is_missing": False}]}
ERA = {
    "domain": "drug_era",
    "code_list": "celecoxib",
    "where": [{"column": "gap_days", "at_most": 3}],
}
STAY = {
    "domain": "visit_occurrence",
    "code_list": None,
    "where": [{"column": "discharged_to_concept_id", "equals": 8536}],
}
KEPT = {"design.in_both_arms": "keep_first"}
HOSPITAL = {"design.observability.outcome.source": "hospital"}
LOYAL = population(within({"from_days": -365, "to_days": -1}))
DOUBTED = [
    ("drug", {}, "W_REVERSE_CAUSATION", "an outcome on the day of time zero"),
    ("drug", {"design.prior_observation_days": 0}, "W_PREVALENT_USERS", "before the first era"),
    ("drug", {"design.prior_outcome_days": 0}, "W_PRIOR_OUTCOME", "stay in"),
    ("drug", {"design.observability.death.source": "registry"}, "W_COMPETING", "does not compete"),
    ("drug", HOSPITAL, "W_LOYAL", "outside the hospital"),
    ("device", {"device.approval_number": None}, "W_APPROVAL", "no approval number"),
    ("device", {"design.strategies.target": TEXT}, "W_APPROVAL", "at which threshold"),
    ("drug", {}, "W_BOTH_ARMS", "goes over to the other arm later"),
    ("drug", {"design.risk_start.offset_days": 2}, "W_LANDMARK", "risk starts at day 2"),
    ("drug", {"design.risk_start": {"anchor": "era_end", "offset_days": 1}}, "W_LANDMARK",
     "risk starts at the end of the entry"),
    ("device", {"design.risk_end.offset_days": 180}, "W_BEYOND_WINDOW",
     "days [365] lie beyond the 180 days"),
    ("device", {"design.risk_end.offset_days": 364}, "W_BEYOND_WINDOW",
     "horizon_days: day 365 lies beyond the 364 days"),
    ("drug", {"design.eligibility": rule(within(PAST, **ENDED))}, "W_KNOWN_LATER",
     "eligibility.0.require.events.where.0.column: condition_end_date is written"),
    ("drug", {"design.eligibility": rule({"none": [within(PAST, having=within(
        {"to_days": 0}, **STAY))]})}, "W_KNOWN_LATER",
     "require.none.0.events.having.events.where.0.column: discharged_to_concept_id"),
    ("drug", {"design.populations": population(within(PAST, **ENDED))}, "W_KNOWN_LATER",
     "design.populations.0.require.events.where.0.column"),
    ("cohort", {"cohorts.0.entry.any.0": ERA}, "W_KNOWN_LATER", "any.0.where.0.column: gap_days"),
    ("cohort", {"cohorts.0.rules": rule(within(PAST, **STAY))}, "W_KNOWN_LATER",
     "cohorts.0.rules.0.require.events.where.0.column"),
    ("cohort", {"cohorts.0.entry.washout_days": None}, "W_PREVALENT_USERS", "of the target before"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "code", "told"), DOUBTED)
def test_doubted_by_name(tmp_path, kind, changes, code, told):
    assert [what for c, what in doubts(tmp_path, kind, changes) if c == code and told in what]


def test_nothing_is_doubted_without_reason(tmp_path):
    assert doubts(tmp_path, "device", {}) == []
    assert doubts(tmp_path, "cohort", KEPT) == []
    answered = HOSPITAL | {
        "design.populations": LOYAL,
        "analyses.2.population": "some",
        "design.risk_start.offset_days": 1,
        "design.in_both_arms": "keep_first",
    }
    assert doubts(tmp_path, "drug", answered) == []
    first = KEPT | {
        "cohorts.0.entry.washout_days": None,
        "cohorts.0.entry.any.0.first_ever": True,
    }
    assert doubts(tmp_path, "cohort", first) == []


EVER, YEAR = {"to_days": -1}, {"from_days": -365, "to_days": -1}
DRUGS = {"domain": "drug_exposure", "code_list": "celecoxib"}
NEVER_BEFORE = [
    rule(within(EVER, **DRUGS), "exclude"),
    rule(within(YEAR, **DRUGS | {"domain": "drug_era"}), "exclude"),
    rule({"any": [within(PAST), within(YEAR, **DRUGS)]}, "exclude"),
    rule({"none": [within(YEAR, **DRUGS)]}),
    rule({"all": [{"events": DRUGS, "exactly": 0, "within": [YEAR]}]}),
    rule({"events": DRUGS, "at_most": 0, "within": [YEAR]}),
]
PERHAPS_BEFORE = [
    rule(within(PAST, **DRUGS), "exclude"),
    rule(within({"from_days": -365, "to_days": -30}, **DRUGS), "exclude"),
    rule(within(YEAR), "exclude"),
    rule(within(YEAR, **DRUGS)),
    rule({"all": [within(PAST), within(YEAR, **DRUGS)]}, "exclude"),
    rule(within(YEAR, **DRUGS, age={"method": "exact", "at_least": 65}), "exclude"),
    rule({"events": DRUGS, "at_least": 2, "within": [YEAR]}, "exclude"),
]


@pytest.mark.parametrize("place", ["design.eligibility", "cohorts.0.rules"])
@pytest.mark.parametrize("rules", NEVER_BEFORE)
def test_a_rule_may_keep_earlier_users_out(tmp_path, place, rules):
    assert (
        doubts(tmp_path, "cohort", KEPT | {"cohorts.0.entry.washout_days": None, place: rules})
        == []
    )


@pytest.mark.parametrize("rules", PERHAPS_BEFORE)
def test_a_rule_that_lets_some_earlier_users_in_does_not(tmp_path, rules):
    changes = KEPT | {"cohorts.0.entry.washout_days": None, "cohorts.0.rules": rules}
    assert [code for code, _ in doubts(tmp_path, "cohort", changes)] == ["W_PREVALENT_USERS"]


def test_observation_may_be_asked_for_by_a_rule(tmp_path):
    asked = rule({"observation": {"prior_days": 365, "post_days": 0}})
    changes = {"design.prior_observation_days": 0, "design.eligibility": asked}
    assert "W_PREVALENT_USERS" not in dict(doubts(tmp_path, "drug", changes))


def test_an_end_that_is_past_is_known(tmp_path):
    over = within({"event": "end", "to_days": 0}, **ENDED)
    found = doubts(tmp_path, "drug", {"design.eligibility": rule(over)})
    assert "W_KNOWN_LATER" not in dict(found)


def test_what_a_prescription_says_is_known(tmp_path):
    supply = {"where": [{"column": "days_supply", "at_least": 7}]}
    assert doubts(tmp_path, "cohort", KEPT | {"cohorts.0.entry.any.0": DRUGS | supply}) == []


def of_a_covariate(cohort, window_end_days):
    covariate = {
        "id": "in_it", "kind": "cohort", "cohorts": ["seen"], "min_share": 0.01,
        "window_start_days": -3650, "window_end_days": window_end_days,
    }  # fmt: skip
    count = len(STUDIES["cohort"]["covariates"])
    return KEPT | {"cohorts.2": cohort, f"covariates.{count}": covariate}


SEEN = native("seen", "diclofenac")
LOOKS_AHEAD = [
    native("seen", "diclofenac", observation={"prior_days": 0, "post_days": 30}),
    SEEN | {"rules": rule(within({"from_days": 0, "to_days": 30}))},
    SEEN | {"rules": rule(within({"from_days": 0}))},
    SEEN | {"rules": rule({"observation": {"prior_days": 0, "post_days": 30}})},
    SEEN | {"keep": "last"},
]


@pytest.mark.parametrize("cohort", LOOKS_AHEAD)
def test_a_covariate_may_look_ahead_through_its_cohort(tmp_path, cohort):
    [(code, what)] = doubts(tmp_path, "cohort", of_a_covariate(cohort, -1))
    assert code == "W_COVARIATE_LOOKS_AHEAD"
    assert "cohort seen: " in what


def test_a_cohort_of_a_covariate_may_look_on_until_time_zero(tmp_path):
    assert doubts(tmp_path, "cohort", of_a_covariate(SEEN, -1)) == []
    for cohort in (LOOKS_AHEAD[0], LOOKS_AHEAD[1], LOOKS_AHEAD[3]):
        assert doubts(tmp_path, "cohort", of_a_covariate(cohort, -30)) == []


def test_a_cohort_of_a_covariate_may_ask_for_what_is_known_later(tmp_path):
    cohort = SEEN | {"entry": SEEN["entry"] | {"any": [UNTIL, STAY]}}
    found = doubts(tmp_path, "cohort", of_a_covariate(cohort, -1))
    assert [code for code, _ in found] == ["W_KNOWN_LATER"] * 2


def test_the_rules_of_a_foreign_cohort_were_read_by_nobody(tmp_path):
    (tmp_path / "new.sql").write_text("select 1", encoding="utf-8")
    foreign = KEPT | {"cohorts.0": {"id": "new", "sql": "new.sql"}}
    assert [code for code, _ in doubts(tmp_path, "cohort", foreign)] == ["W_UNREAD_RULES"]


def test_without_an_estimand_a_study_replicates_or_explores(tmp_path):
    changes = {
        "design.estimands": [],
        "analyses": [DRUG["analyses"][0], DRUG["analyses"][7] | {"role": "exploratory"}],
    }
    spec = load_study(write(tmp_path, "drug", changes))
    assert [spec.estimand_of(analysis) for analysis in spec.analyses] == [None, None]


def test_several_estimands_have_a_primary_analysis_each(tmp_path):
    by_time = DRUG["design"]["estimands"][0] | {
        "id": "by_time",
        "summary_measure": "rmst_difference",
    }
    analyses = [a | {"estimand": "bleeding_while_exposed"} for a in DRUG["analyses"]]
    del analyses[0]["estimand"]
    analyses[9] |= {"estimand": "by_time", "role": "primary"}
    changes = {"design.estimands.1": by_time, "analyses": analyses}
    spec = load_study(write(tmp_path, "drug", changes))
    assert [a.id for a in spec.analyses if a.role == "primary"] == ["primary", "rmst_overlap"]
    assert spec.estimand_of(spec.analyses[9]).id == "by_time"
    assert spec.estimand_of(spec.analyses[0]) is None


def test_doubts_are_shown_and_refuse_nothing(capsys, tmp_path):
    from typer.testing import CliRunner

    from flows.cli import app

    file = write(tmp_path, "drug", {})
    ran = CliRunner().invoke(app, ["study", "check", file, "--json"])
    assert ran.exit_code == 0
    assert '"code": "W_REVERSE_CAUSATION"' in ran.stdout
    ran = CliRunner().invoke(app, ["study", "check", file])
    assert ran.exit_code == 0
    assert "W_REVERSE_CAUSATION mine.yaml:" in capsys.readouterr().err + ran.stderr
