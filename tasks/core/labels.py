"""Two languages in one text: how a label of a covariate stands in the note of a row."""

_BETWEEN = " ¦ "


def joined(en: str, ko: str) -> str:
    """Return both labels as one text."""
    return en if en == ko else f"{en}{_BETWEEN}{ko}"


def in_language(text: str, language: str) -> str:
    """Return the label in `en` or `ko` of a text made by `joined`."""
    english, _, korean = text.partition(_BETWEEN)
    return korean or english if language == "ko" else english
