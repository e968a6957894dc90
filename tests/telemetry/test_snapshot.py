"""What a run says of itself: complete, plain JSON, and without changing what it looks at."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import strategies
from bot.assembly import Run
from bot.engine.decision import Decision, OrderChange
from bot.engine.rows import NO_ROWS
from bot.telemetry.event_log import EVENTS_KEPT, EventLog
from bot.telemetry.snapshot import Snapshots
from tests.page_snapshots import resting_run
from tests.wired_bot import WiredBot, bot_config, virtual_venue


class Watched:
    """A wired bot of the composite strategy that is looked at, or not."""

    def __init__(self, folder: Path, *, looks: bool = True, **changes: Any) -> None:
        self.looks = looks
        self.taken: list[dict[str, Any]] = []
        composite = {
            "strategy": {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
            "sizing": {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05},
        }
        config = bot_config(folder, **(composite | changes))
        watch = self._watch if looks else lambda run: ()
        self.bot = WiredBot(folder, config, virtual_venue(), watch=watch, is_steered=True)

    def _watch(self, run: Run) -> list[Any]:
        self.snapshots = Snapshots(run.config, run.session, run.engine)
        return [self.snapshots, lambda decision: self.taken.append(self.now())]

    def now(self, ladders: Any = None) -> dict[str, Any]:
        return self.snapshots.snapshot(self.bot.driver.figures, self.bot.now_ns(), ladders)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path)
    watched.bot.start().until(lambda: watched.bot.is_ready).let(15)
    return watched


def test_a_snapshot_is_plain_json_at_every_moment_of_a_run(watched: Watched) -> None:
    keys = {frozenset(each) for each in watched.taken}
    assert len(watched.taken) > 100 and len(keys) == 1
    for each in (watched.taken[0], watched.taken[-1]):
        assert json.loads(json.dumps(each, allow_nan=False)) == each
    assert watched.taken[0]["symbols"] == [] and not watched.taken[0]["ready"]


def test_it_shows_what_the_engine_has(watched: Watched) -> None:
    engine, shown = watched.bot.run.engine, watched.now()
    assert engine.table is not None
    assert [each["symbol"] for each in shown["symbols"] if each["traded"]] == ["EURUSD", "USDJPY"]
    for s, each in enumerate(shown["symbols"]):
        if each["traded"]:
            for name in ("bid", "ask", "spread_bps", "obi", "liquidity_ratio", "sell_impact_bps"):
                assert each[name] == float(engine.table[name][s])
    for each, why in zip(shown["symbols"], engine.explanations(), strict=False):
        assert (each["leverage_now"], each["leverage_goal"]) == (why.leverage_now, why.leverage_goal)
        assert each["leverage_wanted"] == why.leverage_wanted and each["text"] == why.text
        product = each["leverage_base"] * (1 if each["direction"] == "long" else -1)
        for factor in each["factors"].values():
            product *= factor
        assert each["leverage_wanted"] == pytest.approx(product)


def test_an_order_that_follows_its_target_tells_leverage_and_factors_and_nothing_else(watched: Watched) -> None:
    orders = [event for event in watched.now()["events"] if event["kind"] == "order"]
    assert {event["code"] for event in orders} >= {"intended", "filled"}
    for event in orders:
        assert event["rest"] == "" and list(event["factors"]) == list(watched.bot.run.engine.strategy.factor_names)
        said = ", ".join(f"{name} {factor:.2f}" for name, factor in event["factors"].items())
        change = f"{event['leverage_now']:+.2f}x -> {event['leverage_target']:+.2f}x"
        assert event["text"] == f"composite: {change} ({said})"


def test_what_a_person_does_is_told_with_the_reason_and_a_close_with_what_remains_to_be_said(watched: Watched) -> None:
    watched.bot.command("flatten", reason="lunch")
    watched.bot.let(2)
    shown = watched.now()
    assert [(cause["code"], cause["note"], cause["value"]) for cause in shown["causes"]] == [("by_hand", "lunch", None)]
    state = [event for event in shown["events"] if event["kind"] == "state"][-1]
    assert state["causes"] == [{"code": "by_hand", "value": None, "limit": None, "note": "lunch"}]
    closes = [event for event in shown["events"] if event["action"] == "close"]
    assert closes and all(event["factors"] and "everything is closed" in event["rest"] for event in closes)


def test_an_order_that_rests_keeps_its_whole_text() -> None:
    orders = [event for event in resting_run()[-1]["events"] if event["kind"] == "order"]
    assert orders and all(event["factors"] is None and event["rest"] is None for event in orders)


def test_an_order_of_another_kind_keeps_its_whole_text(watched: Watched) -> None:
    engine = watched.bot.run.engine
    log = EventLog(engine, is_paper=False)
    order = next(intended for decision in watched.bot.decisions for intended in decision.intended)
    others = (
        replace(order, reason="protection of position 7"),
        replace(order, leverage_target=None),
        replace(order, symbol="unknown"),
        replace(order, leverage_target=9.0),
    )
    for other in others:
        log(Decision(watched.bot.now_ns(), NO_ROWS, intended=(other,)))
    assert [(event["factors"], event["rest"]) for event in log.newest()] == [(None, None)] * 4


def test_an_order_that_failed_says_why_and_what_is_kept_of_open_orders_is_bounded(watched: Watched) -> None:
    log = EventLog(watched.bot.run.engine, is_paper=False)
    order = next(intended for decision in watched.bot.decisions for intended in decision.intended)
    many = tuple(replace(order, client_order_id=str(i)) for i in range(EVENTS_KEPT + 50))
    log(Decision(1, NO_ROWS, intended=many))
    assert len(log._whys) == EVENTS_KEPT
    change = OrderChange(many[-1], "rejected", None, None, 0, None, "NOT_ENOUGH_MONEY", paper=False)
    log(Decision(2, NO_ROWS, order_changes=(change,)))
    last = log.newest()[-1]
    assert (last["text"], last["rest"]) == ("NOT_ENOUGH_MONEY", None) and many[-1].client_order_id not in log._whys


def test_a_ladder_has_the_best_level_first_and_only_where_it_is_wanted(watched: Watched) -> None:
    books = watched.bot.run.engine.books
    assert books is not None
    first = watched.now()["symbols"][0]
    assert first["bids"][0][0] < first["asks"][0][0]
    assert [price for price, _ in first["bids"]] == sorted((p for p, _ in first["bids"]), reverse=True)
    assert [price for price, _ in first["asks"]] == sorted(p for p, _ in first["asks"])
    best = int(books.heads[0]["level_count"][0]) - 1
    assert first["bids"][0][1] == books.levels[0, 0, best]["size"] / 100
    without = watched.now(ladders=["USDJPY"])["symbols"]
    assert without[0]["bids"] == [] and without[1]["bids"]


def test_events_and_fills_tell_what_happened_and_what_it_cost(watched: Watched) -> None:
    shown = watched.now()
    assert [event["number"] for event in shown["events"]] == sorted(event["number"] for event in shown["events"])
    filled = [event for event in shown["events"] if event["code"] == "filled"]
    assert filled and all(event["paper"] and event["price"] and event["lots"] > 0 for event in filled)
    assert len(filled) == len(shown["fills"])
    for fill in shown["fills"]:
        side = 1 if fill["side"] == "buy" else -1
        assert fill["realised_bps"] == pytest.approx(side * (fill["price"] / fill["decision_mid"] - 1) * 1e4)
    slippage = shown["symbols"][0]["slippage"]
    own = [fill for fill in shown["fills"] if fill["symbol"] == "EURUSD"]
    assert slippage["fills"] == len(own)
    assert slippage["predicted_bps"] == pytest.approx(sum(fill["predicted_bps"] for fill in own) / len(own))


def test_the_stop_out_is_where_the_margin_level_would_be_that_of_the_config(watched: Watched) -> None:
    shown = watched.now()
    limits = shown["account_limits"]
    left = shown["equity"] - limits["stop_out_loss"]
    assert left / shown["used_margin"] == pytest.approx(limits["stop_out_level_frac"])
    assert limits["stop_out_move_frac"] == pytest.approx(
        limits["stop_out_loss"] / (limits["leverage"] * shown["equity"])
    )
    profit = sum(position["unrealised"] for position in shown["positions"])
    assert shown["equity"] == pytest.approx(shown["balance"] + profit, abs=1e-6)


def test_it_shows_what_would_be_if_the_spread_doubled(watched: Watched) -> None:
    engine, shown = watched.bot.run.engine, watched.now()
    doubled = engine.if_spread_doubles()
    assert len(doubled) == 2 and watched.taken[0]["symbols"] == []
    for each, there in zip(shown["symbols"], doubled, strict=False):
        found, then = each["if_spread_doubles"], there.then
        assert found["spread_bps"] == there.spread_bps == 2 * each["spread_bps"]
        assert (found["leverage_goal"], found["leverage_target"]) == (then.leverage_goal, then.leverage_target)
        assert abs(found["leverage_goal"]) < abs(each["leverage_goal"])
        assert (found["factors"], found["text"]) == (then.factors, then.text)
        assert (found["bound"], found["cap_bound"], found["crisis_level"]) == ("rate", "max_symbol", 0)
    before_ready = [each for each in watched.taken if each["symbols"] and not each["ready"]]
    assert before_ready and all(s["if_spread_doubles"] is None for each in before_ready for s in each["symbols"])


@pytest.mark.parametrize("name", sorted(strategies.BUILT_IN))
def test_looking_changes_nothing(name: str, tmp_path: Path) -> None:
    strategy = {"name": name, "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}}
    runs = [Watched(tmp_path / str(looks), looks=looks, strategy=strategy) for looks in (True, False)]
    for run in runs:
        run.bot.start().until(lambda run=run: run.bot.is_ready).let(10)
    assert len(runs[0].bot.encoded) > 100
    assert runs[0].bot.encoded == runs[1].bot.encoded
