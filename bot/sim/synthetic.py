"""Synthetic markets: seeded random walks with a book around them whose liquidity really varies.

How it works: a `MidPath` is a mean-reverting random walk on a fixed time grid; EURJPY reads the product of EURUSD and
USDJPY, so the triangle holds. `quote_stream` draws the times of events, places a ladder around the mid, and varies
sizes by three AR(1) states of the log: one slow state of the symbol, one of each side, one of each level.
Everything is a function of the seed; nothing here is calibrated to a venue.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.market.symbols import SymbolSpec
from bot.sim.change import Change
from bot.sim.ladder import LEVELS, Ladder

SCENARIOS = ("calm", "thin")

_GRID_NS = 100_000_000
_CHUNK = 4_096
_REVERSION_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Character:
    """How one symbol behaves. Units: volatility per root second; sizes 0.01 base unit; rates in events a second."""

    start: float
    volatility: float
    spread_ticks: float
    gap_ticks: int
    best_size_cents: int
    events_per_s: float


# Volatility: a year of 7-9 % (FX), 15 % (gold), 45 % (bitcoin), divided by the root of 252 trading days of seconds.
CHARACTERS = {
    "EURUSD": Character(1.10000, 1.5e-5, 4, 2, 100_000_000, 8.0),
    "USDJPY": Character(150.000, 1.9e-5, 5, 3, 100_000_000, 7.0),
    "EURJPY": Character(165.000, 1.9e-5, 9, 4, 60_000_000, 7.0),
    "GBPUSD": Character(1.27000, 1.7e-5, 6, 3, 80_000_000, 7.0),
    "XAUUSD": Character(2400.00, 3.2e-5, 20, 6, 20_000, 8.0),
    "BTCUSD": Character(60000.00, 8e-5, 500, 150, 60, 9.0),
}


class MidPath:
    """A mid price over time, made on demand from a seed. Only the last two chunks of the path are kept.

    Units: time in nanoseconds since the start of the path, price in quote currency.
    """

    def __init__(self, seed: int, name: str, start: float, volatility: float) -> None:
        self._random = random.Random(f"{seed}/mid/{name}")
        self._start = start
        self._step = volatility * math.sqrt(_GRID_NS / 1e9)
        self._keep = math.exp(-(_GRID_NS / 1e9) / _REVERSION_S)
        self._log = 0.0
        self._chunks: dict[int, list[float]] = {}
        self._made = 0

    def __call__(self, elapsed_ns: int) -> float:
        """Return the mid at a time not more than one chunk (about 400 s) before the latest asked."""
        index = elapsed_ns // _GRID_NS
        chunk = index // _CHUNK
        while self._made <= chunk:
            gauss, keep, step = self._random.gauss, self._keep, self._step
            values = []
            for _ in range(_CHUNK):
                self._log = self._log * keep + gauss(0.0, step)
                values.append(self._start * math.exp(self._log))
            self._chunks[self._made] = values
            self._chunks.pop(self._made - 2, None)
            self._made += 1
        return self._chunks[chunk][index % _CHUNK]


def mid_paths(seed: int) -> dict[str, Callable[[int], float]]:
    """Return the mid of every default symbol; EURJPY is EURUSD times USDJPY."""
    paths: dict[str, Callable[[int], float]] = {
        name: MidPath(seed, name, c.start, c.volatility) for name, c in CHARACTERS.items() if name != "EURJPY"
    }
    euro, yen = paths["EURUSD"], paths["USDJPY"]
    paths["EURJPY"] = lambda elapsed_ns: euro(elapsed_ns) * yen(elapsed_ns)
    return paths


class _LogState:
    """An AR(1) process in continuous time, of mean 0 and the given deviation."""

    __slots__ = ("_deviation", "_random", "_time_constant_s", "value")

    def __init__(self, source: random.Random, deviation: float, time_constant_s: float) -> None:
        self._random, self._deviation, self._time_constant_s = source, deviation, time_constant_s
        self.value = source.gauss(0.0, deviation)

    def step(self, seconds: float) -> float:
        keep = math.exp(-seconds / self._time_constant_s)
        self.value = self.value * keep + self._random.gauss(0.0, self._deviation * math.sqrt(1.0 - keep * keep))
        return self.value


def quote_stream(
    spec: SymbolSpec, mid: Callable[[int], float], scenario: str, seed: int, start_ns: int, speed: float
) -> Iterator[Change]:
    """Yield the changes of one symbol for ever, the first (its whole book) at `start_ns`.

    `thin` has three times the spread, a fifth of the depth and a quarter of the events of `calm`.
    Bids stay below asks: the ask is always at least one tick above the bid.
    """
    character = CHARACTERS[spec.name]
    thin = scenario == "thin"
    spread_ticks = character.spread_ticks * (3.0 if thin else 1.0)
    best_cents = character.best_size_cents / (5.0 if thin else 1.0)
    rate = character.events_per_s / (4.0 if thin else 1.0)
    source = random.Random(f"{seed}/book/{spec.name}")
    market, bid_side, ask_side = (
        _LogState(source, 0.45 if thin else 0.3, 60.0),
        _LogState(source, 0.25, 15.0),
        _LogState(source, 0.25, 15.0),
    )
    spread_state = _LogState(source, 0.35 if thin else 0.2, 20.0)
    level_states = [_LogState(source, 0.3, 5.0) for _ in range(2 * LEVELS)]
    ladder = Ladder(source, spec)
    tick = 10.0**-spec.digits
    elapsed_s, bid_e5, ask_e5 = 0.0, None, None

    def size(is_bid: bool, index: int) -> int:
        side = bid_side if is_bid else ask_side
        log = market.value + side.value + level_states[index if is_bid else LEVELS + index].value
        return max(1, round(best_cents * (1.0 + 0.35 * index) * math.exp(log)))

    while True:
        centre = mid(int(elapsed_s * 1e9)) / tick
        width = max(1, round(spread_ticks * math.exp(spread_state.value)))
        best_bid = math.floor(centre - width / 2)
        new, deleted = ladder.move(best_bid, best_bid + width, character.gap_ticks, size)
        moved_bid, moved_ask = best_bid * spec.tick_e5, (best_bid + width) * spec.tick_e5
        if new or deleted or moved_bid != bid_e5 or moved_ask != ask_e5:
            yield Change(
                time_ns=start_ns + int(elapsed_s * 1e9 / speed),
                symbol_id=spec.symbol_id,
                bid_e5=moved_bid if moved_bid != bid_e5 else None,
                ask_e5=moved_ask if moved_ask != ask_e5 else None,
                new=new,
                deleted=deleted,
            )
        bid_e5, ask_e5 = moved_bid, moved_ask
        wait_s = source.expovariate(rate)
        elapsed_s += wait_s
        for state in (market, bid_side, ask_side, spread_state):
            state.step(wait_s)
        # One level is redrawn an event, so it has waited about 2 * LEVELS events since its last draw.
        chosen = source.randrange(2 * LEVELS)
        level_states[chosen].step(2 * LEVELS / rate)
        ladder.touch(chosen < LEVELS, chosen % LEVELS)
