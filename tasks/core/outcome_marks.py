"""Marks of the comparisons that a study makes: studies that make the same one share its mark."""

import hashlib
import json

from pydantic import BaseModel

from tasks.core.spec import StudySpec
from tasks.core.spec.table_fields import outcome_columns

_WORDS = {"id", "name", "source", "version", "tests"}
"""What two studies may say differently of the same list or cohort."""


def outcome_marks(spec: StudySpec) -> list[str]:
    """Return a digest of each outcome by arm, or of each registry table, that a study tells of.

    Arms and outcome count by their definition, not by their names; sites and periods do not.
    """
    said: list[object] = [
        ["table", source.site_id, source.table.lower(), column]
        for _, source in spec.table_analyses
        for column in outcome_columns(source)
    ]
    if spec.has_trial:
        arms = sorted(_text(_definition(spec, arm)) for arm in spec.arms)
        said.append(["lake", *arms, _definition(spec, spec.trial.outcome)])
    return sorted({hashlib.sha256(_text(one).encode()).hexdigest() for one in said})


def _definition(spec: StudySpec, item: BaseModel) -> list[object]:
    """Return what an arm or an outcome means: the list or cohort that it names, written out."""
    said = _without_words(item)
    lists = [one for one in spec.code_lists if one.id == said.get("code_list")]
    cohorts = [one for one in spec.cohorts if one.id == said.get("cohort")]
    meant = [_without_words(one) for one in (*lists, *cohorts)]
    texts = [
        spec.files[name] for one in meant for name in map(str, one.values()) if name in spec.files
    ]
    device = [_without_words(spec.device)] if spec.device and "shown" in said else []
    own = {key: value for key, value in said.items() if key not in {"code_list", "cohort"}}
    return [own, *meant, *texts, *device]


def _without_words(item: BaseModel) -> dict[str, object]:
    return item.model_dump(mode="json", exclude=_WORDS, exclude_defaults=True)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
