"""Parts of a study that can be run alone."""

from typing import Literal

Part = Literal["comparative-effectiveness"]
