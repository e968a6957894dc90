"""The conditions of a backtest: the account, what trading costs, how long it takes, and how often is decided."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.research.backtest.latency import Latency, Lognormal


@dataclass(frozen=True, slots=True)
class Swap:
    """What holding a position over 17:00 New York costs. Units: bps of notional a night, below 0 a charge."""

    long_bps: float = 0.0
    short_bps: float = 0.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a backtest assumes of the venue and of the way there.

    Units: `balance` in `deposit_currency`; `leverage` a plain ratio; `commission_per_million` USD per million USD
        traded, a side; `stop_out_frac` equity / used margin; `clock_s` how often is decided on what has come (0: after
        every message, as live); `resilience_half_life_s` how fast the book refills what we have taken (0: at once, no
        own impact).
    `rejects_dead_quotes` refuses a market order when the price it was sent for is gone when it arrives; else it
    trades at what there is. `swaps` by symbol name; a symbol without any pays none.
    """

    balance: Decimal = Decimal(100_000)
    deposit_currency: str = "USD"
    account_type: str = "hedged"
    leverage: int = 30
    commission_per_million: Decimal = Decimal(30)
    stop_out_frac: float = 0.5
    latency: Latency = field(default_factory=Lognormal)
    clock_s: float = 1.0
    resilience_half_life_s: float = 5.0
    rejects_dead_quotes: bool = True
    swaps: Mapping[str, Swap] = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("clock_s", "resilience_half_life_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
