"""The sizing rules a strategy is run with, after the defaults that depend on the strategy have been settled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# `constant` means "this leverage, now": every rule that delays or damps is off unless the file gives it.
_OFF_FOR_CONSTANT: dict[str, Any] = {
    "warm_up_s": 0.0,
    "persistence_s": 0.0,
    "max_increase_frac_per_min": None,
    "band": 0.0,
    "calendar": False,
    "time_of_day": False,
}


@dataclass(frozen=True, slots=True)
class SizingRules:
    """Sizing rules in force.

    Units: `_s` seconds; `_frac_per_min` and a numeric `band` fractions of the symbol's base leverage.
    Missing: `max_increase_frac_per_min` None means increases are not limited in rate.
    """

    warm_up_s: float
    persistence_s: float
    max_increase_frac_per_min: float | None
    band: float | Literal["auto"]
    calendar: bool
    time_of_day: bool
    crisis: bool

    @classmethod
    def in_force(cls, strategy_name: str, configured: Mapping[str, Any], given: set[str]) -> "SizingRules":
        """Return the rules for a strategy; `given` names the keys that were written in the file."""
        rules = dict(configured)
        if strategy_name == "constant":
            rules.update({key: off for key, off in _OFF_FOR_CONSTANT.items() if key not in given})
        return cls(**rules)
