"""Every preset in config/ against every synthetic market: a whole bot, trading on the embedded venue, in virtual time.

The flash crash is put off until the slowest preset has built a position; the other markets are played as they are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wired_bot import START, WiredBot, virtual_venue

from bot.app import preset_config
from bot.assembly import Run
from bot.config import Config, load_preset
from bot.engine.decision import Decision
from bot.market.book import ASK, BID
from bot.sim.scenario import SCENARIOS, Moment, Scenario

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "config"
PRESETS = ("fx_majors", "gold", "crypto", "indices", "mispricing", "high_frequency")
SECONDS = 150.0
STEP_S = 1 / 64
CRASH_S = 90.0
"""When prices begin to fall; they are lowest 3 s later, and for 2 s nobody bids."""
PUT_OFF_S = CRASH_S - 12.0
SECOND = 1_000_000_000


class Witness:
    """Sees every decision of a run, and notes what is wrong as it happens."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.wrong: list[str] = []
        self.leverage: list[tuple[float, np.ndarray]] = []
        self.crisis: dict[str, int] = {}
        self.texts: list[str] = []
        self.orders: list[str] = []
        self._looked_ns = 0

    def __call__(self, decision: Decision) -> None:
        engine, at_s = self._run.engine, (decision.now_ns - START) / SECOND
        self.orders += [f"{at_s:.3f} {o.action} {o.side} {o.symbol} {o.order_type}" for o in decision.intended]
        for order in decision.intended:
            s = [spec.name for spec in engine.specs].index(order.symbol)
            assert engine.books is not None
            against = int(engine.books.heads[s]["level_count"][BID if order.side == "sell" else ASK])
            if not against and order.order_type != "limit":
                self.wrong.append(f"{at_s:.3f} {order.action} {order.symbol} at {order.order_type} into an empty side")
        for row in decision.rows:
            name = engine.specs[int(row["symbol"])].name
            self.crisis[name] = max(self.crisis.get(name, 0), int(row["crisis_level"]))
        held = engine.valuation.leverage
        self._check_limits(at_s, np.abs(held))
        if decision.now_ns - self._looked_ns < SECOND // 4 or not (why := engine.explanations()):
            return
        self._looked_ns = decision.now_ns
        self.leverage.append((at_s, held.copy()))
        self.texts += [each.text for each in why]
        config = self._run.config
        for each, (name, choice) in zip(why, config.symbols.items(), strict=True):
            base = f" of {config.strategy.base_leverage * choice.weight:g}x"
            if each.symbol != name or not {":", ","} & set(each.text.partition(base)[2][:1]) or "nan" in each.text:
                self.wrong.append(f"{at_s:.3f} {name} is explained by {each.text!r}")

    def _check_limits(self, at_s: float, size: np.ndarray) -> None:
        risk = self._run.config.risk
        known = size[~np.isnan(size)]
        if (known > risk.max_symbol_leverage).any() or known.sum() > risk.max_leverage:
            self.wrong.append(f"{at_s:.3f} {size} is held; {risk.max_symbol_leverage}, {risk.max_leverage} is allowed")

    def held_at(self, at_s: float) -> np.ndarray:
        """Return the leverage that was held at a moment, (T,)."""
        return next(held for seen_s, held in reversed(self.leverage) if seen_s <= at_s)


def put_off(scenario: Scenario, seconds: float) -> Scenario:
    """Return the scenario with a longer calm before its first round, and before each further one."""
    first, *rest = scenario._moments
    return Scenario(first, *(Moment(moment.at_s + seconds, *moment[1:]) for moment in rest))


def played(folder: Path, name: str, market: str) -> tuple[Witness, Config]:
    preset = load_preset(FOLDER / f"{name}.yaml", {})
    config = preset_config(preset, trade=True, venue={}, state=folder / "state")
    witnesses: list[Witness] = []

    def watch(run: Run) -> Sequence[Any]:
        witnesses.append(Witness(run))
        return witnesses

    venue = virtual_venue(f"synthetic:{market}", symbols=tuple(preset.symbols))
    bot = WiredBot(folder, config, venue, seconds=SECONDS, watch=watch).start()
    bot.let(SECONDS + 20, STEP_S)
    assert bot.result is not None and getattr(bot.result, "exit_code", None) == 0, bot.result
    return witnesses[0], config


@pytest.mark.parametrize("market", [name for name in SCENARIOS if name != "flash-crash"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_at_home_in_a_market(name: str, market: str, tmp_path: Path) -> None:
    seen, config = played(tmp_path, name, market)
    assert seen.wrong == []
    assert len(seen.texts) >= 4 * 0.9 * SECONDS * len(config.symbols)
    levels = {symbol: seen.crisis[symbol] for symbol in config.symbols}
    if market == "rollover":
        assert min(levels.values()) >= 1, levels
    else:
        assert max(levels.values()) == 0, levels
    if name == "mispricing":
        assert seen.orders == []  # the triangle holds on every synthetic market
    elif market != "rollover":
        traded = {symbol for symbol in config.symbols if any(f" {symbol} " in order for order in seen.orders)}
        assert traded == set(config.symbols), seen.orders


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_a_flash_crash(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENARIOS, "flash-crash", put_off(SCENARIOS["flash-crash"], PUT_OFF_S))
    seen, config = played(tmp_path, name, "flash-crash")
    assert seen.wrong == []
    levels = {symbol: seen.crisis[symbol] for symbol in config.symbols}
    assert min(levels.values()) >= 2, levels
    before, trough = seen.held_at(CRASH_S), seen.held_at(CRASH_S + 3.5)
    if name != "mispricing":
        assert np.abs(before).sum() > 0.2 * config.strategy.base_leverage, seen.orders
    for s, symbol in enumerate(config.symbols):
        if abs(before[s]) > 0.05:
            assert abs(trough[s]) < abs(before[s]) / 2, (symbol, before, trough, seen.orders)
