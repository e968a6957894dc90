"""A link that breaks at every moment: what is held stays what is wanted, nothing is sent twice, and replay agrees."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.net.outcome import EXIT_INTERRUPTED, Outcome

FINAL = {"filled", "cancelled", "expired", "rejected", "resolved"}


@pytest.mark.parametrize("account_type", ["hedged", pytest.param("netted", marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_whatever_happens_to_the_link_nothing_is_bought_twice_and_all_is_found_again(
    seed: int, account_type: str, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    venue = virtual_venue(account_type=account_type)
    config = bot_config(
        tmp_path,
        trade=True,
        symbols={"EURUSD": {"direction": "long"}, "USDJPY": {"direction": "short", "weight": 0.5}, "EURJPY": {}},
        strategy={"name": "liquidity-weighted", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
        sizing={"warm_up_s": 0, "persistence_s": 0, "max_increase_frac_per_min": 1, "band": 0.02},
        execution={"order_timeout_s": 2, "settle_s": 1, "min_interval_s": 0.2},
    )
    bot = WiredBot(tmp_path, config, venue).start()
    bot.until(lambda: bot.is_ready)
    positions = venue.desks[ACCOUNT].account.positions
    for _ in range(25 if seed else 6):
        bot.let(chance.uniform(0.0, 4.0))
        match chance.choice(["drop", "deaf", "mute", "both", "stall"]):
            case "drop":
                bot.client.drop("cut")
            case "deaf":
                bot.client.is_deaf = True
            case "mute":
                bot.client.is_mute = True
            case "both":
                bot.client.is_deaf = bot.client.is_mute = True
            case "stall":
                bot.client.mute_from = b"microlev"
        bot.let(chance.uniform(0.0, 3.0))
        if chance.random() < 0.7:
            bot.client.drop("cut")
            bot.let(0.01)
        bot.client.is_deaf = bot.client.is_mute = False
        bot.client.mute_from = None
        assert bot.result is None, bot.result
        for name, most in (("EURUSD", 3.6), ("USDJPY", 1.8), ("EURJPY", 3.6)):
            assert _leverage(bot, positions.values(), name) <= most, f"{name} was bought twice"
    bot.let(40)
    assert bot.is_ready
    assert not bot.driver.figures.open_orders
    held = {p.position_id: p.volume_cents * (1 if p.is_buy else -1) for p in positions.values()}
    assert held == {p.position_id: p.volume_cents for p in bot.run.engine.portfolio.positions()}
    states = [state for _, state in bot.states]
    assert states.count("filled") > 10 and states.count("unknown") > 3, "too little has happened to prove anything"
    assert _ids_are_never_used_again(bot)
    assert _one_open_order_a_symbol(bot)
    assert float(venue.desks[ACCOUNT].account.balance) / 100 == pytest.approx(float(bot.run.engine.portfolio.balance))
    bot.driver.stop(Outcome(EXIT_INTERRUPTED))
    bot.let(12)
    assert replay_journal(bot.journal_path).difference is None


def _leverage(bot: WiredBot, positions: Iterable[Any], name: str) -> float:
    spec = next(spec for spec in bot.run.engine.specs if spec.name == name)
    in_usd = {"EURUSD": 1.1, "USDJPY": 1.0, "EURJPY": 1.1}[name]
    units = sum(p.volume_cents * (1 if p.is_buy else -1) for p in positions if p.symbol_id == spec.symbol_id) / 100
    return abs(units) * in_usd / 10_000


def _ids_are_never_used_again(bot: WiredBot) -> bool:
    ids = [order.client_order_id for decision in bot.decisions for order in decision.intended]
    return len(ids) == len(set(ids))


def _one_open_order_a_symbol(bot: WiredBot) -> bool:
    opened: dict[str, str] = {}
    for decision in bot.decisions:
        for change in decision.order_changes:
            name, symbol = change.order.client_order_id, change.order.symbol
            if change.state in FINAL:
                opened.pop(symbol, None)
            elif opened.setdefault(symbol, name) != name:
                return False
    return True
