"""What one run of one arm leaves behind for the metrics: rows of a decision clock, fills, and named spans of time."""

from dataclasses import dataclass, field

import numpy as np

SECOND_NS = 1_000_000_000
GAP_NS = 300 * SECOND_NS
"""Rows further apart than this have a closed market between them. Source: models 10.1."""

ARM_FILL = np.dtype(
    [
        ("time_ns", np.int64),
        ("symbol", np.int64),
        ("units", np.float64),
        ("price", np.float64),
        ("mid_at_decision", np.float64),
        ("mid_at_fill", np.float64),
        ("predicted_slippage_bps", np.float64),
        ("commission", np.float64),
        ("notional", np.float64),
        ("equity", np.float64),
        ("own_impact_bps", np.float64),
    ]
)
"""A fill. Units: `units` of the base asset, bought positive; `notional`, `equity`, `commission` in the deposit
currency, commission positive when paid; bps of the mid, positive against us. Missing: NaN."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with a name: calm, rollover, payrolls, crisis, shock, whatever the caller calls it.

    Units: UTC ns, `from_ns` in it, `to_ns` not. Missing: `peak_ns` None where nobody has said when it was worst.
    """

    from_ns: int
    to_ns: int
    kind: str
    peak_ns: int | None = None


@dataclass(frozen=True, slots=True)
class TradingTime:
    """How long a trading day and year are. Units: `day_s` seconds of open market.

    The default suits a market that is open all day on weekdays. Source: models 10.1, 86400 s times 252.
    """

    day_s: float = 86_400.0
    days_per_year: float = 252.0

    @property
    def year_s(self) -> float:
        """Seconds of open market in a year."""
        return self.day_s * self.days_per_year


@dataclass(frozen=True, slots=True, eq=False)
class ArmRun:
    """One run of one arm.

    Args: `swap` what was credited for holding positions, charges negative; `base_leverage` what the arm multiplies;
        `held_units` of each symbol before the first row, none given: flat; `closed_growth` what equity has been
        multiplied by while a market was closed, up to each row, none given: while the clock has no rows; `weights` of
        each symbol, which has so many times `base_leverage` as its own base, none given: 1.
    Shapes: `time_ns`, `equity`, `closed_growth` (T,), T > 0; `leverage`, `crisis_level`, `exit_cost_bps`, `is_capped`
        (T, S); `fills` (F,) of `ARM_FILL` in the order of time; other fields in it are left alone.
    Units: equity in the deposit currency, net of everything; leverage signed, in equities; `exit_cost_bps` of the
        held notional. A closed market is rows that are missing.
    Missing: NaN; of `exit_cost_bps` also where nothing is held, and infinite where there is nothing to close against.
    Raises: ValueError naming what does not fit.
    """

    name: str
    time_ns: np.ndarray
    equity: np.ndarray
    leverage: np.ndarray
    crisis_level: np.ndarray
    exit_cost_bps: np.ndarray
    is_capped: np.ndarray
    fills: np.ndarray = field(default_factory=lambda: np.empty(0, ARM_FILL))
    swap: float = 0.0
    stop_outs_ns: tuple[int, ...] = ()
    base_leverage: float = 1.0
    held_units: tuple[float, ...] = ()
    closed_growth: np.ndarray | None = None
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.time_ns)
        if not count:
            raise ValueError(f"run of arm {self.name}: its clock has no rows")
        steps = np.diff(self.time_ns)
        if len(steps) and steps.min() <= 0:
            row = int(np.argmax(steps <= 0)) + 1
            raise ValueError(f"run of arm {self.name}: row {row} of its clock is not later than the row before it")
        if self.equity.shape != (count,):
            raise ValueError(f"run of arm {self.name}: equity has shape {self.equity.shape}, its clock {count} rows")
        for name in ("leverage", "crisis_level", "exit_cost_bps", "is_capped"):
            shape = getattr(self, name).shape
            if len(shape) != 2 or shape[0] != count or shape[1] != self.leverage.shape[1]:
                wanted = (count, *self.leverage.shape[1:])
                raise ValueError(f"run of arm {self.name}: {name} has shape {shape} instead of {wanted}")
        names = self.fills.dtype.names or ()
        if absent := [name for name in ARM_FILL.names or () if name not in names]:
            raise ValueError(f"run of arm {self.name}: its fills lack {', '.join(absent)}")
        if len(self.fills) and np.diff(self.fills["time_ns"]).min(initial=0) < 0:
            raise ValueError(f"run of arm {self.name}: its fills are not in the order of time")
        if not self.base_leverage > 0:
            raise ValueError(f"run of arm {self.name}: base leverage {self.base_leverage:g} is not above 0")

    @property
    def step_ns(self) -> int:
        """The clock's step; a second where there is only one row."""
        return int(np.diff(self.time_ns).min()) if len(self.time_ns) > 1 else SECOND_NS

    @property
    def is_after_gap(self) -> np.ndarray:
        """Whether the market was closed before a row, (T,)."""
        return np.append(False, np.diff(self.time_ns) > GAP_NS)

    @property
    def open_s(self) -> np.ndarray:
        """How long each row stands for, (T,), seconds: until the next one, or a step where the market closes."""
        lasting_ns = np.append(np.diff(self.time_ns), self.step_ns)
        return np.where(lasting_ns > GAP_NS, self.step_ns, lasting_ns) / SECOND_NS

    @property
    def known_equity(self) -> np.ndarray:
        """Equity with the last known one where it is unknown, and 0 from where nothing was left, (T,)."""
        known = np.isfinite(self.equity)
        if not known.any():
            return np.full(len(self.equity), np.nan)
        place = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
        filled = self.equity[np.where(place < 0, int(np.argmax(known)), place)]
        return np.where(np.maximum.accumulate(filled <= 0), 0.0, filled)

    @property
    def growth(self) -> np.ndarray:
        """Equity over that of the row before, (T,); 1 where nothing was left."""
        equity = self.known_equity
        before = np.append(equity[0], equity[:-1])
        return np.asarray(np.divide(equity, before, out=np.ones_like(equity), where=before != 0))

    @property
    def traded_equity(self) -> np.ndarray:
        """Equity without what moved while a market was closed, (T,), on a scale of its own."""
        closed = self.closed_growth
        if closed is None:
            closed = np.cumprod(np.where(self.is_after_gap & (self.growth > 0), self.growth, 1.0))
        return np.asarray(self.known_equity / closed)

    def row_at(self, time_ns: np.ndarray) -> np.ndarray:
        """Return the last row at or before each time, the first one where there is none."""
        return np.asarray(np.maximum(np.searchsorted(self.time_ns, time_ns, side="right") - 1, 0))

    def until(self, end_ns: int) -> "ArmRun":
        """Return what was known before a time: rows and fills before it. Swap is unknown then.

        Raises: ValueError when there is no row before it.
        """
        rows, fills = self.time_ns < end_ns, self.fills["time_ns"] < end_ns
        return ArmRun(
            self.name,
            self.time_ns[rows],
            self.equity[rows],
            self.leverage[rows],
            self.crisis_level[rows],
            self.exit_cost_bps[rows],
            self.is_capped[rows],
            self.fills[fills],
            float("nan"),
            tuple(at_ns for at_ns in self.stop_outs_ns if at_ns < end_ns),
            self.base_leverage,
            self.held_units,
            None if self.closed_growth is None else self.closed_growth[rows],
            self.weights,
        )
