"""What each planted value means, as the sentence that a target trial would state."""

from collections.abc import Mapping
from pathlib import Path

import yaml

ELIGIBLE, AFTER_GO_LIVE, OVERLAP = "eligible", "after_go_live", "overlap"

Texts = Mapping[str, Mapping[str, str]]

_FILE = yaml.safe_load(Path(__file__).with_name("estimands.yaml").read_text(encoding="utf-8"))

STRATEGY: Texts = _FILE["strategy"]
POPULATIONS: Texts = _FILE["populations"]
ESTIMANDS: Texts = _FILE["others"] | {
    name: {language: f"{_FILE['whom'][language]}: {text}" for language, text in texts.items()}
    for name, texts in _FILE["effects"].items()
}
"""Sentence of each estimand in `en` and `ko`."""
