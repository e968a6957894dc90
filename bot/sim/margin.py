"""Margin: dynamic leverage tiers, bracketed as an income tax, and the sides of a symbol put together."""

from decimal import Decimal

Tiers = tuple[tuple[int, int], ...]


def bracketed_margin_usd(from_usd: Decimal, to_usd: Decimal, tiers: Tiers, account_leverage: int) -> Decimal:
    """Return the margin of the slice of open volume between two USD amounts.

    Each bracket is charged at the smaller of the account's and the tier's leverage; the last tier has no upper end.
    Source: cTrader dynamic leverage: 1,213,450 USD at 1:500 to 1 M and 1:200 to 5 M is 3,067.25 USD.
    """
    margin, lower = Decimal(0), Decimal(0)
    for index, (upper, leverage) in enumerate(tiers):
        end = to_usd if index == len(tiers) - 1 else min(to_usd, Decimal(upper))
        part = end - max(from_usd, lower)
        if part > 0:
            margin += part / min(leverage, account_leverage)
        lower = Decimal(upper)
    return margin


def joined_margin(long_margin: int, short_margin: int, calculation: str) -> int:
    """Return a symbol's margin from its two sides. Units: minor units.

    Source: ProtoOATotalMarginCalculationType: MAX the larger side, SUM both, NET their difference.
    """
    if calculation == "SUM":
        return long_margin + short_margin
    if calculation == "NET":
        return abs(long_margin - short_margin)
    return max(long_margin, short_margin)
