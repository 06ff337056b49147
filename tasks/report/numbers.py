"""How numbers are written; the same in both languages."""

from math import isfinite

MINUS = "−"
DASH = "–"


def whole(value: float) -> str:
    """1234 -> 1,234."""
    return _signed(f"{value:,.0f}")


def decimals(value: float, places: int = 2) -> str:
    """1.2345 -> 1.23."""
    if not isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞" if value < 0 else DASH
    return _signed(f"{value:,.{places}f}")


def percent(share: float, places: int = 1) -> str:
    """0.1234 -> 12.3%."""
    return f"{decimals(100 * share, places)}%"


def share_of(part: float) -> str:
    """0.25 -> 25%; 0.125 -> 12.5%."""
    return percent(part, 0 if float(round(100 * part, 6)).is_integer() else 1)


def share(part: float, whole: float) -> str:
    """Write a part of a whole as per cent; never 0% or 100% unless it is exactly that."""
    if 0 < part < 0.0005 * whole:
        return "<0.1%"
    return ">99.9%" if 0.9995 * whole < part < whole else percent(part / whole)


def p_value(value: float) -> str:
    """0.4567 -> 0.46; 0.0123 -> 0.012; 0.00004 -> <0.001."""
    if value < 0.001:
        return "<0.001"
    if value > 0.99:
        return ">0.99"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def days(value: float) -> str:
    """30.0 -> 30; 12.5 -> 12.5."""
    return whole(value) if float(value).is_integer() else decimals(value, 1)


def _signed(text: str) -> str:
    digits = text.lstrip("-")
    is_zero = not digits.strip("0.,")
    return digits if is_zero or not text.startswith("-") else MINUS + digits
