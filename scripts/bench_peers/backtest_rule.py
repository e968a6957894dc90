"""The rule that every side of the backtest bench trades by, in whole numbers so that nobody rounds differently.

Each whole second: the imbalance of the five best levels; its sign and what it exceeds the threshold by give the
position aimed at. Who holds the other side goes flat first, and turns a second later. Standard library only: the sides
that compile their loop compile this.
"""

THRESHOLD_E9 = 200_000_000
"""What an imbalance has to exceed. Units: 1e-9, which is coarser than any side's rounding."""
FULL_CENTS = 100
"""The position aimed at with the whole book on one side. Units: 0.01 coin."""
LEVELS = 5
SECOND_NS = 1_000_000_000
LATENCY_NS = 10_000_000


def aim_cents(imbalance: float, held_cents: int) -> int:
    """Return the position aimed at, signed. Units: 0.01 coin."""
    beyond_e9 = int(abs(imbalance) * 1e9 + 0.5) - THRESHOLD_E9
    if beyond_e9 <= 0:
        return 0
    whole_e9 = 1_000_000_000 - THRESHOLD_E9
    size = (FULL_CENTS * beyond_e9 + whole_e9 // 2) // whole_e9
    aim = size if imbalance > 0 else -size
    return 0 if aim * held_cents < 0 else aim
