"""Numbers as people read them: a sign where it matters, as many digits as mean something, a unit beside each.

All return None for None: what is unknown is said in words, by whoever shows it.
"""

import math
from collections.abc import Mapping

MINUS = "\u2212"
"""As wide as a digit and as a plus, so that columns stay aligned."""
_WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND", "IDR", "CLP"})


def fixed(number: float | None, digits: int, *, sign: bool = False) -> str | None:
    """Return a number with a fixed count of digits and thousands apart; nothing is shown as minus zero."""
    if number is None:
        return None
    text = f"{number:{'+' if sign else ''},.{digits}f}"
    if not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def money(number: float | None, currency: str | None, *, sign: bool = False) -> str | None:
    """Return money in the digits of its currency, without the unit."""
    return fixed(number, 0 if currency in _WHOLE_CURRENCIES else 2, sign=sign)


def leverage(number: float | None, *, sign: bool = True) -> str | None:
    """Return a leverage, two decimals below 10."""
    if number is None:
        return None
    return fixed(number, 2 if abs(number) < 10 else 1, sign=sign)


def percent(frac: float | None, *, sign: bool = False) -> str | None:
    """Return a fraction in hundredths: three digits that mean something, no more than two decimals."""
    if frac is None:
        return None
    hundredths = frac * 100
    size = abs(hundredths)
    return fixed(hundredths, 2 if size < 10 else 1 if size < 100 else 0, sign=sign)


def lots(number: float | None) -> str | None:
    """Return a volume in lots: hundredths while they are few; what is less than a tenth as exactly as it takes."""
    if number is None:
        return None
    size = abs(number)
    if 0 < size < 0.1:
        # A ten-thousandth of a bitcoin is no nothing: three digits that mean something.
        digits = max(2 - math.floor(math.log10(size)), 2)
        text = f"{number:.{min(digits, 8)}f}"
        return text[: max(len(text.rstrip("0")), text.index(".") + 3)].replace("-", MINUS)
    return fixed(number, 2 if size < 100 else 1 if size < 1000 else 0)


def price(number: float | None, digits: int | None) -> str | None:
    """Return a price in its symbol's digits; without thousands apart, as venues write them."""
    if number is None:
        return None
    return f"{number:.{5 if digits is None else digits}f}"


def span(span_s: float | None, units: Mapping[str, str]) -> str | None:
    """Return a span in the largest unit that fits: 0.3 s, 42 s, 3 min 5 s, 2 h 4 min, 3 d 2 h.

    Args: `units` how s, min, h and d are written, with what stands before them.
    """
    if span_s is None:
        return None
    if span_s < 10:
        return f"{max(span_s, 0):.1f}{units['s']}"
    whole = int(span_s)
    for size, unit, below, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size}{units[unit]}{units['between']}{whole % size // below}{units[lesser]}"
    return f"{whole}{units['s']}"


def clock(iso: str | None) -> str | None:
    """Return the time of day of an ISO time, in UTC."""
    return None if iso is None else iso[11:19]


def day_and_clock(iso: str | None) -> str | None:
    """Return date and time of day of an ISO time, in UTC."""
    return None if iso is None else f"{iso[:10]} {iso[11:19]}"
