"""Numbers in words, as the page and the model cards print them."""

from typing import Any


def number(value: float | None) -> str:
    """Return a value with three decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float | None, places: int = 3) -> str:
    """Return a difference with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.{places}f}".replace("-", "\N{MINUS SIGN}")


def interval(low: float | None, high: float | None) -> str:
    """Return an interval of differences; a dash where there is none."""
    return "–" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


def p_value(p: float | None) -> str:
    """Return a p value as papers print it."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def joules(value: float | None) -> str:
    """Return an energy, or that the machine did not tell it."""
    return "not readable" if value is None else f"{value:,.0f} joules"


def plain(value: Any) -> str:
    """Return any cell of a table: numbers with four significant digits, a dash for nothing."""
    if value is None or value == "":
        return "–"
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}") if isinstance(value, float) else str(value)


def percent(share: float | None) -> str:
    """Return a share in whole per cent; a dash where there is none."""
    return "–" if share is None else f"{share:.0%}"


def amount_in_words(value: float | None) -> str:
    """Return an amount as it is read: three digits, or whole with thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
