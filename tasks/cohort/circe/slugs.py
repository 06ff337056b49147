"""Ids made of names that people gave."""


def slugs(names: list[str], word: str) -> list[str]:
    """Return an id for each name: lower case, `_` for all that is no letter or digit, none twice.

    Args:
        names: As people wrote them, in any script.
        word: Stands for a name without a letter, and before one that starts with a digit.
    """
    found: list[str] = []
    for name in names:
        base = _slug(name, word)
        number = 2
        unique = base
        while unique in found:
            unique, number = f"{base}_{number}", number + 1
        found.append(unique)
    return found


def _slug(name: str, word: str) -> str:
    kept = "".join(sign if sign.isascii() and sign.isalnum() else " " for sign in name.lower())
    base = "_".join(kept.split())[:40].strip("_")
    starts_well = len(base) > 1 and base[0].isalpha()
    return base if starts_well else f"{word}_{base}".rstrip("_")
