"""Drives the real engine over recorded ticks, fills it on paper, and keeps what it wanted, held and saw.

How it works: ticks of one or more recordings reach the engine in the order of their times, each as one batch. Where
none comes, a virtual clock calls the engine: every 250 ms, as a live driver does, while a crisis is on or asked for;
once a second while all is calm; every ten seconds once quotes have been silent for longer than they may be traded on,
when nothing can grow anyway. Its orders are filled at once, against the prices it saw. Records are taken after
decisions only, so that none of them knows what comes later.

Limits: a fill takes no time and has no queue; without depth every size fills at the quoted price.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from operator import itemgetter
from pathlib import Path

import numpy as np

from bot.account.account import AccountState
from bot.account.conversion import ConversionStep
from bot.engine.engine import Engine
from bot.engine.events import (
    AccountLoaded,
    ExecutionReported,
    MarketDataChanged,
    ReadinessChanged,
    Reconciled,
    SymbolsLoaded,
)
from bot.engine.paper_fills import paper_events, paper_venue
from bot.engine.settings import EngineSettings
from bot.market.crisis import ENTRY, SIGNS, signs
from bot.market.symbols import SymbolSpec
from bot.research.fill_costs import FILL, FillTags, cost_bps
from bot.research.streams import Batch, tick_batches
from bot.sim.listing import in_its_hours
from bot.sim.recording import open_recording

RECORD = np.dtype(
    [
        ("time_ns", np.int64),
        ("symbol", np.int64),
        ("mid", np.float64),
        ("spread_bps", np.float64),
        ("usual_spread_bps", np.float64),
        ("liquidity_ratio", np.float64),
        ("goal", np.float64),
        ("target", np.float64),
        ("held", np.float64),
        ("bound", np.int64),
        ("level", np.int64),
        ("score", np.float64),
        ("signs", np.float32, (len(SIGNS),)),
    ]
)
"""What a symbol looked like after a decision. Units: leverage signed, in equities; `bound` of `bot.sizing.bound`;
`signs` in the order of `bot.market.crisis.SIGNS`."""

METALS = ("XAU", "XAG")
_SECOND_NS = 1_000_000_000
_CALM_NS, _SILENT_NS = _SECOND_NS, 10 * _SECOND_NS
_STALE_NS, _ASLEEP_NS = 5 * _SECOND_NS, 60 * _SECOND_NS
_MOVE = 0.7  # a goal of this share of the last one noted, or less, is a record of its own
_DEPOSIT_ASSET = "USD"
_BALANCE, _ACCOUNT_LEVERAGE = Decimal(100_000), 30.0


@dataclass(frozen=True, slots=True)
class Depth:
    """Semi-synthetic depth: `shapes` (K, 4, LEVELS) as of `shape_table`, `best_size_cents` mean size at the touch."""

    shapes: np.ndarray
    best_size_cents: int


@dataclass(frozen=True, slots=True, eq=False)
class TickRun:
    """What a run over ticks left behind.

    Shapes: `seconds` (N,) of `RECORD`, of the first decision in each second that had one; `moves` (M,) of `RECORD`, of
        every decision that changed a crisis level or a goal by three tenths, or traded; `fills` (F,) of `FILL`.
    """

    specs: tuple[SymbolSpec, ...]
    seconds: np.ndarray
    moves: np.ndarray
    fills: np.ndarray
    decisions: int


def symbol_of(path: Path) -> SymbolSpec:
    """Return the symbol of a tick recording: with the hours of its class, and the account's leverage.

    Raises: ValueError when it is not quoted in the deposit currency, US dollars.
    """
    spec = open_recording(str(path)).spec
    if spec.quote_asset != _DEPOSIT_ASSET:
        raise ValueError(f"{path}: {spec.name} is not quoted in {_DEPOSIT_ASSET}")
    return replace(in_its_hours(spec), leverage_id=None)


def run_ticks(paths: Sequence[Path], settings: EngineSettings, depth: Depth | None = None) -> TickRun:
    """Run the engine over tick recordings, one a symbol, with 100,000 USD at 1:30.

    Args: `settings` name the symbols of the recordings, in their order; `depth` puts semi-synthetic depth behind the
        quotes.
    Raises: ValueError naming a file that cannot be used.
    """
    specs = tuple(replace(symbol_of(path), symbol_id=i + 1) for i, path in enumerate(paths))
    if depth is None:
        streams = [tick_batches(path, i) for i, path in enumerate(paths)]
    else:
        shaped = (depth.shapes, depth.best_size_cents)
        streams = [tick_batches(path, i, specs[i], *shaped) for i, path in enumerate(paths)]
    return run_batches(heapq.merge(*streams, key=itemgetter(0)), specs, settings)


def run_batches(batches: Iterable[Batch], specs: Sequence[SymbolSpec], settings: EngineSettings) -> TickRun:
    """Run the engine over the delta rows of symbols, which all trade, in the order of their times."""
    desk = _Desk(tuple(specs), settings)
    for recv_ns, rows in batches:
        desk.wait(recv_ns)
        desk.hear(recv_ns, rows)
    return desk.result()


class _Rows:
    """A structured array that grows."""

    def __init__(self, dtype: np.dtype) -> None:
        self._rows, self._count = np.empty(1024, dtype), 0

    def add(self, row: tuple[object, ...]) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1

    def taken(self) -> np.ndarray:
        return self._rows[: self._count].copy()


class _Desk:
    """The engine, its paper venue, and the notes about them."""

    def __init__(self, specs: tuple[SymbolSpec, ...], settings: EngineSettings) -> None:
        self._specs = specs
        # There is no broker to ask: our own rules of margin are all there is.
        self._engine = Engine(replace(settings, expected_margin_tolerance_frac=None, profit_tolerance_frac=None))
        self._paper = paper_venue(self._engine)
        self._tags = [FillTags() for _ in specs]
        self._seconds, self._moves, self._fills = _Rows(RECORD), _Rows(RECORD), _Rows(FILL)
        self._last = [(0, 0.0)] * len(specs)  # level and goal of the last move
        self._second = -1
        self._decisions = 0
        self._now_ns = self._quote_ns = -1

    def hear(self, recv_ns: int, rows: np.ndarray) -> None:
        if self._now_ns < 0:
            self._begin(recv_ns)
        self._quote_ns = recv_ns
        self._engine.receive(MarketDataChanged(recv_ns, rows))
        self._decide(recv_ns)

    def wait(self, until_ns: int) -> None:
        """Let the virtual clock run, up to the time of the next tick."""
        if self._now_ns < 0:
            return
        while (due_ns := self._due_ns()) < until_ns:
            self._decide(due_ns)

    def result(self) -> TickRun:
        seconds, moves, fills = (rows.taken() for rows in (self._seconds, self._moves, self._fills))
        return TickRun(self._specs, seconds, moves, fills, self._decisions)

    def _due_ns(self) -> int:
        features = self._engine.features
        silent_ns = self._now_ns - self._quote_ns
        in_crisis = features is not None and ((features.crisis_score >= ENTRY[1]) | (features.crisis_level > 0)).any()
        if in_crisis and silent_ns < _ASLEEP_NS:
            return self._engine.next_timeout_ns()
        step_ns = _CALM_NS if silent_ns < _STALE_NS else _SILENT_NS
        return (self._now_ns // step_ns + 1) * step_ns

    def _begin(self, now_ns: int) -> None:
        chains: dict[str, tuple[ConversionStep, ...]] = {_DEPOSIT_ASSET: ()}
        chains |= {spec.base_asset: (ConversionStep(i, False),) for i, spec in enumerate(self._specs)}
        account = AccountState(1, _DEPOSIT_ASSET, _BALANCE, 1, _ACCOUNT_LEVERAGE)
        for event in (
            AccountLoaded(now_ns, account),
            SymbolsLoaded(now_ns, self._specs, len(self._specs), chains, chains),
            Reconciled(now_ns, (), ()),
            ReadinessChanged(now_ns, ()),
        ):
            self._engine.receive(event)

    def _decide(self, now_ns: int) -> None:
        self._now_ns = now_ns
        engine = self._engine
        decision = engine.decide(now_ns)
        self._decisions += 1
        has_traded = False
        while decision.requests and (answers := paper_events(self._paper, engine, decision)):
            has_traded, before = True, engine.valuation.leverage.copy()
            for answer in answers:
                engine.receive(answer)
            decision = engine.decide(now_ns)
            self._note_fills([a for a in answers if isinstance(a, ExecutionReported)], before, now_ns)
        self._note(now_ns, has_traded=has_traded)

    def _note_fills(self, answers: Iterable[ExecutionReported], before: np.ndarray, now_ns: int) -> None:
        features, valuation = self._engine.features, self._engine.valuation
        assert features is not None
        for deal in (answer.deal for answer in answers if answer.deal is not None):
            s = deal.symbol_id - 1
            mid, level, units = float(features.mid[s]), int(features.crisis_level[s]), deal.volume_cents / 100
            cost = cost_bps(units, deal.price, mid, self._engine.quote_rate(s), valuation.equity)
            # At the prices of this moment, so that only the fill is in it.
            held = float(before[s])
            change = units * mid * self._engine.quote_rate(s) / valuation.equity
            for tag, share in self._tags[s].split(held, held + change, level):
                after = held + share * change
                row = (now_ns, s, share * units, deal.price, mid, level, held, after, share * cost, tag)
                self._fills.add(row)
                held = after

    def _note(self, now_ns: int, *, has_traded: bool) -> None:
        features, targets = self._engine.features, self._engine.targets
        second = now_ns // _SECOND_NS
        if features is None or targets is None:
            return
        is_new, self._second = second != self._second, second
        for s in range(len(self._specs)):
            level, goal = int(features.crisis_level[s]), float(targets.rows["goal"][s])
            held = float(self._engine.valuation.leverage[s])
            was_level, was_goal = self._last[s]
            low, high = sorted((abs(goal), abs(was_goal)))
            has_moved = (
                has_traded or level != was_level or low < _MOVE * high or (goal != goal) != (was_goal != was_goal)
            )
            if not (is_new or has_moved):
                continue
            row = self._row(s, now_ns, level, goal, held)
            if is_new:
                self._seconds.add(row)
            if has_moved:
                self._moves.add(row)
                self._last[s] = (level, goal)

    def _row(self, s: int, now_ns: int, level: int, goal: float, held: float) -> tuple[object, ...]:
        features, targets = self._engine.features, self._engine.targets
        assert features is not None
        assert targets is not None
        found = np.zeros(len(SIGNS))
        score = float(features.crisis_score[s])
        evaluator = self._engine._evaluator  # what it remembers is nobody's business but a study's
        if score > 0 and evaluator is not None:
            signs(evaluator.state[s], evaluator.table[s], now_ns, found)
        aim = targets.rows[s]
        return (
            *(now_ns, s, float(features.mid[s]), float(features.spread_bps[s]), float(features.usual_spread_bps[s])),
            *(float(features.liquidity_ratio[s]), goal, float(aim["target"]), held, int(aim["bound"])),
            *(level, score, found),
        )
