"""From leverage to volume: the signed position that a target leverage means, on the symbol's volume grid."""

import math

from bot.market.symbols import SymbolSpec

_SLACK_CENTS = 1e-6  # a change of exactly one step must survive the division that makes it


def target_volume_cents(
    spec: SymbolSpec,
    held_cents: int,
    target_leverage: float,
    unit_notional: float,
    equity: float,
    *,
    urgent: bool = False,
) -> int:
    """Return the signed volume to hold for `target_leverage`; `held_cents` where no tradable change leads there.

    The *change* is rounded down to the volume step and capped at one order's maximum, so a reduction may stop short and
    an increase never overshoots. A full close is exact, whatever the step. Below the minimum there is no change, except
    that an `urgent` reduction, one that heals a broken limit, is rounded up, to a full close if need be.

    Units: volumes in 0.01 base unit; `unit_notional` the value of one base unit in deposit currency at mid; `equity` in
        deposit currency.
    Missing: an unknown or non-positive input leaves what is held.
    """
    if target_leverage == 0:
        return 0
    if not (math.isfinite(target_leverage) and unit_notional > 0 and equity > 0):
        return held_cents
    wanted_cents = 100 * target_leverage * equity / unit_notional
    if held_cents and wanted_cents * held_cents < 0:
        return 0  # the other side: close first
    change = wanted_cents - held_cents
    if urgent and change * held_cents < 0:
        if abs(change) <= _SLACK_CENTS:
            return held_cents
        steps = math.ceil((abs(change) - _SLACK_CENTS) / spec.step_volume_cents)
        change_cents = max(steps * spec.step_volume_cents, spec.least_volume_cents)
        kept = max(abs(held_cents) - change_cents, 0)
        return (kept if kept >= spec.min_volume_cents else 0) * (1 if held_cents > 0 else -1)
    step = spec.round_volume(abs(change) + _SLACK_CENTS)
    return held_cents + (step if change > 0 else -step)
