"""Synthetic markets: seeded random walks with a book around them whose liquidity really varies.

How it works: a `MidPath` is a mean-reverting random walk on a fixed time grid; EURJPY reads the product of EURUSD and
USDJPY, so the triangle holds. `quote_stream` draws the times of events, places a ladder around the mid, and varies
sizes by three AR(1) states of the log: one slow state of the symbol, one of each side, one of each level. What
`bot.sim.scenario` says of the elapsed time is laid over all of it: calm, thin, trending, flash-crash, rollover.
Everything is a function of the seed; nothing here is calibrated to a venue.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.market.symbols import SymbolSpec
from bot.sim.change import Change
from bot.sim.ladder import LEVELS, Ladder
from bot.sim.scenario import Scenario

_GRID_NS = 100_000_000
_CHUNK = 4_096
_REVERSION_S = 86_400.0
_REDRAWN = 0.1
"""When a side's depth has changed by this part of it, all its levels draw new sizes."""


@dataclass(frozen=True, slots=True)
class Character:
    """How one symbol behaves. Units: volatility per root second; sizes 0.01 base unit; rates in events a second."""

    start: float
    volatility: float
    spread_ticks: float
    gap_ticks: int
    best_size_cents: int
    events_per_s: float


# Volatility: a year of 7-9 % (FX), 15 % (gold), 30 % (silver), 45 % (bitcoin), 60 % (ether), 16 and 22 % (indices),
# divided by the root of 252 trading days of seconds.
CHARACTERS = {
    "EURUSD": Character(1.10000, 1.5e-5, 4, 2, 100_000_000, 8.0),
    "USDJPY": Character(150.000, 1.9e-5, 5, 3, 100_000_000, 7.0),
    "EURJPY": Character(165.000, 1.9e-5, 9, 4, 60_000_000, 7.0),
    "GBPUSD": Character(1.27000, 1.7e-5, 6, 3, 80_000_000, 7.0),
    "XAUUSD": Character(2400.00, 3.2e-5, 20, 6, 20_000, 8.0),
    "BTCUSD": Character(60000.00, 8e-5, 500, 150, 60, 9.0),
    "US500": Character(5500.0, 3.4e-5, 5, 2, 5_000, 7.0),
    "JP225": Character(39000.0, 4.7e-5, 70, 20, 50_000, 6.0),
    "XAGUSD": Character(30.000, 6.4e-5, 20, 5, 500_000, 7.0),
    "ETHUSD": Character(3000.00, 1.2e-4, 150, 40, 1_000, 8.0),
}


class MidPath:
    """A mid price over time, made on demand from a seed. Only the last two chunks of the path are kept.

    Units: time in nanoseconds since the start of the path, price in quote currency.
    """

    def __init__(self, seed: int, name: str, start: float, volatility: float, scenario: Scenario) -> None:
        self._scenario, self._volatility = scenario, volatility
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
        walked = self._chunks[chunk][index % _CHUNK]
        if not self._scenario.moves_prices:
            return walked
        return walked * math.exp(self._volatility * self._scenario.at(elapsed_ns / 1e9).move)


def mid_paths(seed: int, scenario: Scenario) -> dict[str, Callable[[int], float]]:
    """Return the mid of every symbol with a character; EURJPY is EURUSD times USDJPY, in any scenario."""
    paths: dict[str, Callable[[int], float]] = {
        name: MidPath(seed, name, c.start, c.volatility, scenario) for name, c in CHARACTERS.items() if name != "EURJPY"
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
    spec: SymbolSpec, mid: Callable[[int], float], scenario: Scenario, seed: int, start_ns: int, speed: float
) -> Iterator[Change]:
    """Yield the changes of one symbol for ever, the first (its whole book) at `start_ns`.

    Bids stay below asks: the ask is always at least one tick above the bid. A side that the scenario empties keeps its
    last spot price, and the other side does not pass it.
    """
    character = CHARACTERS[spec.name]
    source = random.Random(f"{seed}/book/{spec.name}")
    market, bid_side, ask_side = (
        _LogState(source, scenario.size_deviation, 60.0),
        _LogState(source, 0.25, 15.0),
        _LogState(source, 0.25, 15.0),
    )
    spread_state = _LogState(source, scenario.spread_deviation, 20.0)
    level_states = [_LogState(source, 0.3, 5.0) for _ in range(2 * LEVELS)]
    ladder = Ladder(source, spec)
    tick = 10.0**-spec.digits
    elapsed_s, bid, ask = 0.0, None, None  # the spot prices, in ticks
    depth = {True: 1.0, False: 1.0}  # the factor that a side's sizes were last drawn with, by whether it is the bid

    def size(is_bid: bool, index: int) -> int:
        side = bid_side if is_bid else ask_side
        log = market.value + side.value + level_states[index if is_bid else LEVELS + index].value
        return max(1, round(character.best_size_cents * depth[is_bid] * (1.0 + 0.35 * index) * math.exp(log)))

    while True:
        now = scenario.at(elapsed_s)
        for is_bid, factor in ((True, now.bids), (False, now.asks)):
            if abs(factor - depth[is_bid]) > _REDRAWN * depth[is_bid]:
                depth[is_bid] = factor
                for index in range(LEVELS):
                    ladder.touch(is_bid, index)
        centre = mid(int(elapsed_s * 1e9)) / tick
        width = max(1, round(character.spread_ticks * now.spread * math.exp(spread_state.value)))
        best_bid = math.floor(centre - width / 2)
        best_ask = best_bid + width
        if not now.bids and bid is not None:
            best_bid, best_ask = bid, max(best_ask, bid + 1)
        if not now.asks and ask is not None:
            best_bid, best_ask = min(best_bid, ask - 1), ask
        new, deleted = ladder.move(
            best_bid if now.bids else None, best_ask if now.asks else None, character.gap_ticks, size
        )
        if new or deleted or best_bid != bid or best_ask != ask:
            yield Change(
                time_ns=start_ns + int(elapsed_s * 1e9 / speed),
                symbol_id=spec.symbol_id,
                bid_e5=best_bid * spec.tick_e5 if best_bid != bid else None,
                ask_e5=best_ask * spec.tick_e5 if best_ask != ask else None,
                new=new,
                deleted=deleted,
            )
        bid, ask = best_bid, best_ask
        rate = character.events_per_s * now.events
        wait_s = source.expovariate(rate)
        elapsed_s += wait_s
        for state in (market, bid_side, ask_side, spread_state):
            state.step(wait_s)
        # One level is redrawn an event, so it has waited about 2 * LEVELS events since its last draw.
        chosen = source.randrange(2 * LEVELS)
        level_states[chosen].step(2 * LEVELS / rate)
        ladder.touch(chosen < LEVELS, chosen % LEVELS)
