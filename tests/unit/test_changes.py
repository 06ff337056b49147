"""Differences between versions: each change of the file is told once, where a protocol has it."""

import pytest

from tasks.core.spec import load_study
from tasks.report.changes import changes
from tests.study_files import COHORTS, DESCRIPTION, DEVICE, NEW_USER, REGISTRY, changed_spec


def told(tmp_path, study, *edits, language="en"):
    found = changes(load_study(study), changed_spec(tmp_path, study, *edits), language)
    return [f"{change.title}: {change}" for change in found]


@pytest.mark.parametrize("study", [NEW_USER, DEVICE, COHORTS, REGISTRY])
def test_a_study_does_not_differ_from_itself(study):
    assert changes(load_study(study), load_study(study)) == []


@pytest.mark.parametrize(
    ("study", "old", "new", "en"),
    [
        (NEW_USER, "prior_observation_days: 183", "prior_observation_days: 365",
         "Eligibility: days of prior observation: 183 → 365"),
        (NEW_USER, "concepts: [192671]", "concepts: [192671, 4245614]",
         "Outcome: code list gi_bleed: concept 4245614 added"),
        (NEW_USER, "concepts: [1118084]", "concepts: [1118085]",
         "Exposure: code list celecoxib: concept 1118084 removed"),
        (NEW_USER, "{id: primary, role: primary, method: cox, adjustment: overlap",
         "{id: primary, role: primary, method: cox, adjustment: none",
         "Primary analysis: primary: adjustment: overlap weights → no adjustment"),
        (NEW_USER, "anchor: era_end, offset_days: 30", "anchor: era_end, offset_days: 60",
         "Follow-up: end of the risk window: 30 days after end of exposure → 60 days after end of exposure"),
        (DEVICE, "competing: death", "competing: none",
         "Follow-up: competing event: death → none; death ends follow-up as censoring"),
        (NEW_USER, "min_share: 0.02", "min_share: 0.05",
         "Covariates: prior_condition: smallest share: 0.02 → 0.05"),
        (NEW_USER, "- {name: events, threshold: 20", "- {name: events, threshold: 50",
         "Diagnostic gates: events (none): threshold: 20.0 → 50.0"),
        (NEW_USER, "sites: [eunomia]", "sites: [eunomia, other]",
         "Data sources: eunomia: site other added"),
        (DEVICE, "code_lists: [copd, heart_failure", "code_lists: [heart_failure",
         "Covariates: history: code list copd removed"),
        (DEVICE, "end: 2025-12-31", "end: 2026-06-30",
         "Eligibility: enrolment period: end: 2025-12-31 → 2026-06-30"),
        (DEVICE, "ko: 급성 호흡부전}\n  code_list", "ko: 호흡부전}\n  code_list",
         "Outcome: name: 급성 호흡부전 → 호흡부전"),
        (COHORTS, "keep: first\n    end: {type: event_end}\n\n  - id: diclofenac",
         "keep: all\n    end: {type: event_end}\n\n  - id: diclofenac",
         "Cohorts: cohort celecoxib: spans kept: first → all"),
    ],
)  # fmt: skip
def test_a_change_is_told_in_the_terms_of_a_protocol(tmp_path, study, old, new, en):
    assert en in told(tmp_path, study, (old, new))


def test_a_rule_is_told_by_its_sentence_in_both_languages(tmp_path):
    before = load_study(COHORTS)
    [cohort, rule] = next(
        (c, r) for c in before.cohorts for r in c.rules if hasattr(r.condition, "age")
    )
    age = rule.condition.age
    older = age.model_copy(update={"more_than": None, "at_least": 45})
    moved = rule.model_copy(update={"require": rule.condition.model_copy(update={"age": older})})
    rules = tuple(moved if item is rule else item for item in cohort.rules)
    cohorts = tuple(
        cohort.model_copy(update={"rules": rules}) if item is cohort else item
        for item in before.cohorts
    )
    after = before.model_copy(update={"cohorts": cohorts})
    [en], [ko] = (changes(before, after, language) for language in ("en", "ko"))
    assert en.section == "cohorts"
    assert en.item == f"cohort {cohort.id}: rule {rule.id}"
    assert en.text == (
        "age more than 40 (calendar year less year of birth) → "
        "age at least 45 (calendar year less year of birth)"
    )
    assert ko.text == "연령 40 초과(해당 연도 − 출생 연도) → 연령 45 이상(해당 연도 − 출생 연도)"


WASHOUT = (
    "observation: {prior_days: 0, post_days: 0}\n      limit: first\n    keep: first",
    "observation: {prior_days: 0, post_days: 0}\n      washout_days: 365\n      limit: first\n    keep: first",
)


@pytest.mark.parametrize(
    ("old", "new", "en", "ko"),
    [
        ("washout_days: 365", "washout_days: 180",
         "washout: 365 days → 180 days", "배제 기간: 365일 → 180일"),
        ("{prior_days: 0, post_days: 0}\n      washout", "{prior_days: 90, post_days: 0}\n      washout",
         "observation: days before: 0 days → 90 days", "관찰: 이전 일수: 0일 → 90일"),
        ("      washout_days: 365\n", "", "washout: removed: 365 days", "배제 기간: 삭제: 365일"),
    ],
)  # fmt: skip
def test_one_changed_value_of_an_entry_is_told_alone(tmp_path, old, new, en, ko):
    before = changed_spec(tmp_path, DESCRIPTION, WASHOUT)
    after = changed_spec(tmp_path, DESCRIPTION, WASHOUT, (old, new))
    for language, words in (("en", f"cohort celecoxib: entry: {en}"), ("ko", f"진입: {ko}")):
        found = changes(before, after, language)
        assert str(found[0]).endswith(words)
        assert len(found) == 2  # both cohorts of the file were changed


def test_several_changed_values_of_an_entry_are_told_in_sentences(tmp_path):
    before = changed_spec(tmp_path, DESCRIPTION, WASHOUT)
    edits = ("washout_days: 365", "washout_days: 180"), ("limit: first", "limit: last")
    after = changed_spec(tmp_path, DESCRIPTION, WASHOUT, *edits)
    text = str(changes(before, after)[0])
    assert text.count("Entry is the start of a record of") == 2
    assert "in the 365 days before" in text.partition(" → ")[0]


def test_code_lists_of_eligibility_and_censoring_stand_where_they_are_used(tmp_path):
    rule = (
        "eligibility:\n    - id: copd\n      exclude: {events: {domain: condition_occurrence, "
        "code_list: copd}, at_least: 1, within: {from_days: -365, to_days: -1}}\n"
        "  censor_events: [{domain: condition_occurrence, code_list: stroke}]"
    )
    before = changed_spec(tmp_path, DEVICE, ("eligibility: []", rule))
    edits = ("concepts: [255573]", "concepts: [255574]"), ("concepts: [381316]", "concepts: [1]")
    after = changed_spec(tmp_path, DEVICE, ("eligibility: []", rule), *edits)
    places = {change.item: change.title for change in changes(before, after)}
    assert places == {"code list copd": "Eligibility", "code list stroke": "Follow-up"}


def test_entries_that_come_go_and_move_are_told(tmp_path):
    line = "  - {id: log_rank, role: secondary, method: log_rank, adjustment: none}\n"
    gone = told(tmp_path, NEW_USER, (line, ""))
    shown = "role: secondary; method: log-rank test; adjustment: no adjustment"
    assert gone == [f"Analyses: log_rank: removed: {shown}"]
    moved = told(tmp_path, NEW_USER, (line, ""), ("gates:\n", f"{line}\ngates:\n"))
    assert moved == ["Analyses: analyses: order changed"]


# Words of the cohort language: each has its own sentence, told in test_phrases.
WORDS = {"limit", "observation", "keep", "type", "domain", "method", "sex", "distinct"}


def leaves(value, path=()):
    """Every plain value of a study, with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path, value


def replaced(spec, path, value):
    """Return a copy of a block with one value below it replaced, unchecked."""
    if not path:
        return value
    if isinstance(spec, tuple):
        items = list(spec)
        items[path[0]] = replaced(items[path[0]], path[1:], value)
        return tuple(items)
    if isinstance(spec, dict):
        return spec | {path[0]: replaced(spec[path[0]], path[1:], value)}
    return spec.model_copy(update={path[0]: replaced(getattr(spec, path[0]), path[1:], value)})


@pytest.mark.parametrize("study", [NEW_USER, DEVICE, COHORTS, REGISTRY])
def test_no_value_of_a_study_changes_in_silence(study):
    spec = load_study(study)
    checked = 0
    for path, value in leaves(spec.model_dump(exclude_defaults=True)):
        is_word = path[0] in {"cohorts", "design"} and WORDS.intersection(path)
        if path[-1] == "spec_version" or not isinstance(value, int | str) or value is True:
            continue
        if is_word and isinstance(value, str):
            continue
        other = value + 1 if isinstance(value, int) else f"{value}x"
        after = replaced(spec, path, other)
        for language in ("en", "ko"):
            found = changes(spec, after, language)
            assert found, path
            assert all(change.before != change.after or not change.before for change in found)
        checked += 1
    assert checked > 50
