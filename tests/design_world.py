"""Studies of each kind of design, and ways to change one key of them."""

import copy

import yaml

from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study


def body(study):
    return yaml.safe_load((STUDIES_DIR / f"{study}.yaml").read_text(encoding="utf-8"))


class Plain(yaml.SafeDumper):
    """Writes what the strict reader takes: no aliases, every text in quotes."""

    def ignore_aliases(self, data):
        return True


Plain.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)
DRUG, DEVICE = body("gibleed_celecoxib_diclofenac"), body("ai_cxr_triage")
TEXT = {"en": "words", "ko": "말"}


def native(cohort_id, code_list, **entry):
    opens = {
        "any": [{"domain": "drug_exposure", "code_list": code_list}],
        "observation": {"prior_days": 365, "post_days": 0},
        "washout_days": 365,
        "limit": "first",
    }
    return {
        "id": cohort_id, "entry": opens | entry, "rules": [], "keep": "first",
        "end": {"type": "observation_end"},
    }  # fmt: skip


def cohort_study():
    """The drug study with cohorts for arms."""
    study = copy.deepcopy(DRUG)
    study["cohorts"] = [native("new", "celecoxib"), native("old", "diclofenac")]
    study["design"] |= {
        "type": "comparative_cohort",
        "time_zero": "cohort_start",
        "risk_start": {"anchor": "time_zero", "offset_days": 1},
        "risk_end": {"anchor": "cohort_end", "offset_days": 30},
    }
    study["target"] = {"name": TEXT, "cohort": "new"}
    study["comparator"] = {"name": TEXT, "cohort": "old"}
    return study


def grace_study():
    """The drug study as one of starting celecoxib within 30 days of entering a cohort, or not."""
    study = copy.deepcopy(DRUG)
    for block in ("negative_controls", "gates"):
        del study[block]
    study["cohorts"] = [
        native("ill", "diclofenac"), native("treated", "celecoxib"), native("sick", "gi_bleed"),
    ]  # fmt: skip
    for key in ("common_period", "in_both_arms"):
        del study["design"][key]
    study["design"] |= {
        "type": "start_within_grace",
        "time_zero": "cohort_start",
        "entry_cohort": "ill",
        "treatment_cohort": "treated",
        "grace_period_days": 30,
        "prior_observation_days": 0,
        "prior_outcome_days": 30,
        "risk_start": {"anchor": "time_zero", "offset_days": 1},
        "risk_end": {"anchor": "time_zero", "offset_days": 1000},
        "populations": [{"id": "women", "name": TEXT, "require": {"sex": ["female"]}}],
    }
    study["design"]["estimands"][0]["summary_measure"] = "risk_difference"
    study["target"] = {"name": TEXT, "starts": True}
    study["comparator"] = {"name": TEXT, "starts": False}
    study["covariates"] = [
        {"id": "sex", "kind": "sex"},
        {"id": "sick", "kind": "cohort", "cohorts": ["sick"], "window_start_days": -365,
         "window_end_days": -1, "min_share": 0.01},
    ]  # fmt: skip
    study["analyses"] = [
        {"id": "a1", **CLONES},
        {"id": "a2", **CLONES, "role": "sensitivity", "adjustment": "none", "population": "women"},
    ]
    return study


CLONES = {
    "role": "primary", "method": "clone_censor_weight", "adjustment": "initiation_weights",
    "table_days": [60, 150], "horizon_days": 150, "replicates": 200, "seed": 7,
}  # fmt: skip
STUDIES = {
    "drug": DRUG, "device": DEVICE, "cohort": cohort_study(), "grace": grace_study(),
}  # fmt: skip


def put(study, path, value):
    """Change one key of a study, named by a path with dots; None as value takes it away."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = study
    for part in way:
        place = place[part]
    if isinstance(last, int) and last == len(place):
        place.append(value)
    else:
        place[last] = value


def write(tmp_path, kind, changes):
    study = copy.deepcopy(STUDIES[kind])
    for path, value in changes.items():
        put(study, path, copy.deepcopy(value))
    return written(tmp_path, study)


def written(tmp_path, study):
    """Write a study into a file; return its name."""
    file = tmp_path / "mine.yaml"
    text = yaml.dump(study, Dumper=Plain, allow_unicode=True)
    file.write_text(text, encoding="utf-8")
    return str(file)


def rule(condition, way="require", rule_id="a_rule"):
    return [{"id": rule_id, way: condition}]


def within(*windows, **more):
    events = {"domain": "condition_occurrence", "code_list": "gi_bleed"} | more
    return {"events": events, "at_least": 1, "within": list(windows)}


def population(condition):
    return [{"id": "some", "name": TEXT, "require": condition}]


def loaded(tmp_path, kind, changes):
    """Return a changed study, validated."""
    return load_study(write(tmp_path, kind, changes))
