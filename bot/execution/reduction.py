"""Which of several positions of a symbol is reduced first, and by how much: in few orders, and to free margin.

A reduction of what is held net can only come from the side that is held more of. Among its positions one of exactly the
volume that is to go comes first, since one order closes it whole; else the largest, since it takes the fewest orders.
Where everything is to be closed, the side with more volume comes first: the smaller one of a hedged pair costs no
margin of its own on most accounts (totalMarginCalculationType MAX, NET), so closing it would free none.
"""

from collections.abc import Sequence

from bot.account.position import Position
from bot.market.symbols import SymbolSpec


def first_to_reduce(positions: Sequence[Position], change_cents: int) -> Position | None:
    """Return the position that an order of `change_cents` (signed by its side) closes first; None when there is none.

    Units: 0.01 base unit.
    """
    shrinking = [p for p in positions if p.volume_cents * change_cents < 0]
    wanted = abs(change_cents)
    return min(
        shrinking,
        key=lambda p: (abs(p.volume_cents) != wanted, -abs(p.volume_cents), p.position_id),
        default=None,
    )


def first_to_close(positions: Sequence[Position]) -> Position | None:
    """Return the position to close first where all of them are to go; None when there is none."""
    bought = sum(p.volume_cents for p in positions if p.volume_cents > 0)
    sold = -sum(p.volume_cents for p in positions if p.volume_cents < 0)
    side = 1 if bought >= sold else -1
    return min(
        positions,
        key=lambda p: (p.volume_cents * side < 0, -abs(p.volume_cents), p.position_id),
        default=None,
    )


def reduction_cents(position: Position, change_cents: int, spec: SymbolSpec) -> int:
    """Return how much of a position to close, positive; 0 where that cannot be traded.

    Never more than asked for, but where the rest could not be traded any more: then all of it.
    """
    held = abs(position.volume_cents)
    volume = min(abs(change_cents), held)
    if volume == held <= spec.max_volume_cents:
        return held
    volume = spec.round_volume(volume)
    if volume and held - volume < spec.min_volume_cents and held <= spec.max_volume_cents:
        return held
    return volume
