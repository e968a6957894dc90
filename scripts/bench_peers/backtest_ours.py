"""Our side of the backtest bench: whole trials, with the session, the risk gate and the embedded venue.

How it works: the rule is a strategy that reads the five best levels from the engine's own book at each whole second
and wants the leverage that is the position aimed at; what stands between a wish and an order is off as far as a config
can turn it off. Between whole seconds it wants what it wanted, so that a faster clock decides more and trades the same.

Our engine trades on no price in doubt (best quote and depth apart, or crossed), and no config makes it. The rule sits
such a second out, and the others are told which they were: they follow no best quotes.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench_peers.backtest_recording import beginning, open_depth, plain_rows
from bench_peers.backtest_rule import LATENCY_NS, LEVELS, SECOND_NS, aim_cents
from bench_peers.timing import pin_to_one_core, took_ns, write_figures
from bench_peers.timing import tell as tell_figures
from bot.app import warm_up
from bot.assembly import Run
from bot.config import Config
from bot.engine.decision import Decision
from bot.engine.settings import EngineSettings
from bot.market import book
from bot.market.symbols import SymbolSpec
from bot.research.backtest.messages import Messages
from bot.research.backtest.result import Result
from bot.research.sources import Source
from bot.trial_assumptions import conditions_of
from bot.trials import Trial, run_trial

_BALANCE = 10_000_000.0
_COMMON: dict[str, Any] = {"venue": {"environment": "simulator"}, "symbols": {"BTCUSD": {"direction": "signal"}}}
_ACCOUNT = {"balance": _BALANCE, "latency": f"{LATENCY_NS // 1_000_000}ms"}
RULE = _COMMON | {
    "strategy": {"name": "order-book-imbalance"},  # its place is taken by the rule
    "sizing": {
        "warm_up_s": 0, "persistence_s": 0, "max_increase_frac_per_min": None, "band": 0, "calendar": False,
        "time_of_day": False, "crisis": False,
    },
    "risk": {
        "max_margin_use_frac": 1, "min_margin_level_frac": 1, "max_daily_loss_frac": 1, "max_drawdown_frac": 1,
        "max_orders_per_minute": 10_000, "stale_quote_s": 3_600, "max_spread_bps": 10_000, "max_reject_frac": 1,
        "max_slippage_beyond_bps": 10_000, "expected_margin_tolerance_frac": 1, "profit_tolerance_frac": 1,
    },
    "execution": {"order_type": "market", "slicing": "none", "min_interval_s": 0},
    "backtest": _ACCOUNT | {
        "account_type": "netted", "commission_per_million": 0, "resilience_half_life_s": 0, "reject_dead_quotes": False,
    },
}  # fmt: skip
COMPOSITE = _COMMON | {
    "symbols": {"BTCUSD": {"direction": "long"}},
    "strategy": {"name": "composite", "base_leverage": 0.1},
    "sizing": {"warm_up_s": 20, "persistence_s": 5},
    "backtest": _ACCOUNT,
}


class Rule:
    """The rule as a strategy: it wants the leverage of the position that `aim_cents` names."""

    name = "bench"
    has_direction, requires_caps, factor_names = True, False, ("aim",)
    symbols_needed: tuple[str, ...] = ()
    note = problem = None

    def __init__(self, last_ns: int) -> None:
        self._last_ns = last_ns
        self.run: Run | None = None
        self.imbalances: list[float] = []
        self.positions: list[int] = []
        self.seconds: list[int] = []
        self.sat_out: list[bool] = []
        self.orders = 0
        self._now_ns, self._second, self._aim, self._size = 0, -1, 0, 0.0

    def on_now(self, now_ns: int) -> None:
        """Take the time of the next decision."""
        self._now_ns = now_ns

    def watch(self, run: Run, decision: Decision) -> None:
        """Take the run, and count its orders."""
        self.run = run
        self.orders += len(decision.intended)

    def settings(self, settings: EngineSettings) -> EngineSettings:
        """Put the rule in the place of the config's strategy."""
        return replace(settings, strategy=self)

    def bound(self, specs: tuple[SymbolSpec, ...], base: np.ndarray) -> Self:  # noqa: ARG002
        """Return itself: there is one symbol."""
        self._base = float(base[0])
        return self

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Look at the book if a second has passed, and return the side wanted."""
        second = self._now_ns // SECOND_NS
        if second > self._second and self._now_ns <= self._last_ns:
            self._look(second, table[0])
        return np.array([float(np.sign(self._aim))])

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the leverage wanted over the base."""
        if not self._aim or self.run is None:
            return np.zeros((1, 1))
        engine = self.run.engine
        notional = self._size / 100 * float(table["mid"][0]) * engine.quote_rate(0)
        return np.array([[notional / engine.valuation.equity / self._base]])

    def expected_returns(self, table: np.ndarray) -> None:
        """State nothing."""

    def _look(self, second: int, row: np.void) -> None:
        engine = self.run.engine if self.run is not None else None
        if engine is None or engine.books is None:
            return
        bid, ask = (int(book.levels(engine.books, side, 0)[1][:LEVELS].sum()) for side in (book.BID, book.ASK))
        if not bid + ask:
            return
        is_whole = self._now_ns % SECOND_NS == 0  # the first decision of all is when the connection is there
        if not is_whole and not self.seconds:
            return
        imbalance, held = (bid - ask) / (bid + ask), round(float(engine.held_units[0]) * 100)
        in_doubt = not row["is_current"] or bool(row["bid"] > row["ask"])
        self._second, self._aim = second, held if in_doubt else aim_cents(imbalance, held)
        # The volume of an order is rounded down to the step: half a step more makes it exact, both ways.
        self._size = abs(self._aim) + (0.5 if abs(self._aim) >= abs(held) else -0.5)
        self.sat_out.append(in_doubt)
        self.seconds.append(self._now_ns)
        self.imbalances.append(imbalance)
        self.positions.append(held)


def trial_of(content: dict[str, Any], clock_s: float, source: Source, **more: Any) -> Trial:
    """Return a trial of a config with this clock."""
    config = Config.model_validate(content | {"backtest": content["backtest"] | {"clock_s": clock_s}})
    return Trial("bench", config, [source], conditions_of(config), **more)


def prepared(source: Source, pieces: list[Messages]) -> Source:
    """Return a source whose messages have been decoded already."""

    def stream(place: int, from_ns: int) -> Iterator[Messages]:  # noqa: ARG001
        return iter(pieces)

    return replace(source, stream=stream)


class Side:
    """The rows of one recording, measured one after the other.

    Args: `source` as it is read from its file; `pieces` the same, decoded.
    """

    def __init__(self, source: Source, pieces: list[Messages], until_ns: int) -> None:
        self._file, self._until_ns = source, until_ns
        self._ready = prepared(source, pieces)
        self.events = 0
        self.told: dict[str, dict[str, Any]] = {}
        self._last_ns = int(pieces[-1].times_ns[-1])
        self.rule = Rule(0)

    def run(self, row: str, content: dict[str, Any], clock_s: float, *, is_rule: bool, is_file: bool = False) -> float:
        """Return the processor seconds of a whole trial."""
        rule = Rule(self._last_ns)
        source = self._file if is_file else self._ready
        more: dict[str, Any] = {"until_ns": self._until_ns}
        if is_rule:
            more |= {"change": rule.settings, "on_now": rule.on_now}
        trial = trial_of(content, clock_s, source, **more)
        results: list[Result] = []
        took = took_ns(lambda: results.append(run_trial(trial, watch=rule.watch))) / 1e9
        figures = results[0].figures
        self.told[row] = {
            "decisions": figures["decisions"], "orders": rule.orders, "fills": len(results[0].fills),
            "messages": figures["messages"], "refused": figures["refused"], "rejected": figures["rejected"],
        }  # fmt: skip
        if is_rule:
            self.told[row] |= {"looks": len(rule.imbalances)}
            if not self.rule.imbalances:
                self.rule = rule
            elif (rule.seconds, rule.imbalances, rule.positions) != (
                self.rule.seconds, self.rule.imbalances, self.rule.positions
            ):  # fmt: skip
                raise AssertionError(f"{row}: {_difference(self.rule, rule)}")
        return took


def _difference(one: Rule, other: Rule) -> str:
    pairs = zip(
        one.seconds, one.imbalances, one.positions, other.seconds, other.imbalances, other.positions, strict=False
    )
    for number, (s, i, p, t, j, q) in enumerate(pairs):
        if (s, i, p) != (t, j, q):
            return f"look {number}: at {s} imbalance {i} position {p}, and at {t} {j} {q}"
    return f"{len(one.seconds)} and {len(other.seconds)} looks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="where to leave what the others read")
    parser.add_argument("--sat-out", type=Path, required=True, help="where to leave which seconds were sat out")
    parser.add_argument("--looks", type=Path, required=True, help="where to leave the seconds of the decisions")
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=0, help="only the beginning; 0 for all of it")
    wanted = parser.parse_args()
    pin_to_one_core()
    warm_up()
    source = open_depth(wanted.recording)
    until_ns = source.span_ns[0] + round(wanted.seconds * 1e9) if wanted.seconds else 2**62
    if not wanted.rows.exists():
        np.save(wanted.rows, plain_rows(beginning(source, until_ns)))
    events = len(np.load(wanted.rows, mmap_mode="r"))
    short_ns = source.span_ns[0] + 5 * SECOND_NS
    pieces = list(beginning(source, until_ns))
    side = Side(source, pieces, until_ns)
    warm = Side(source, list(beginning(source, short_ns)), short_ns)
    startup = Side(source, [pieces[0].part(0, 1)], until_ns)
    rows: dict[str, Callable[[Side], float]] = {
        "rule_1": partial(_ours, "rule_1", 1.0),
        "rule_file": lambda s: s.run("rule_file", RULE, 1.0, is_rule=True, is_file=True),
        "rule_025": partial(_ours, "rule_025", 0.25),
        "rule_0": partial(_ours, "rule_0", 0.0),
        "composite": lambda s: s.run("composite", COMPOSITE, 1.0, is_rule=False),
    }
    for run in rows.values():
        run(warm)
    seconds = {row: [run(side)] for row, run in rows.items()}
    np.save(wanted.sat_out, np.array(side.rule.sat_out))
    np.save(wanted.looks, np.array(side.rule.seconds))
    write_figures(
        wanted.figures, [x for pair in zip(side.rule.imbalances, side.rule.positions, strict=True) for x in pair]
    )
    versions = {"Python": platform.python_version()} | {n: version(n) for n in ("numpy", "numba", "protobuf")}
    tell_figures(
        seconds,
        versions,
        events=events,
        told=side.told,
        startup_s=_ours("rule_1", 1.0, startup),
        sat_out=sum(side.rule.sat_out),
    )


def _ours(row: str, clock_s: float, side: Side) -> float:
    return side.run(row, RULE, clock_s, is_rule=True)


if __name__ == "__main__":
    main()
