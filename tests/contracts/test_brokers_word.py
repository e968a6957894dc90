"""What the broker says of margin and profit against what we count, over the whole bot and the real protocol."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fault_scene import CLOSE, EURUSD, ORDER, Scene
from wired_bot import ACCOUNT, SECOND, START, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.net.outcome import Outcome
from bot.sim import wire
from bot.sim.faults.reply_faults import NoReply
from bot.sim.faults.venue_faults import LeverageChange, MarginChange

ASK_MARGIN, ASK_PROFIT = "ProtoOAExpectedMarginReq", "ProtoOAGetPositionUnrealizedPnLReq"
BTCUSD = 6
WITH_BITCOIN = {"symbols": {"EURUSD": {"direction": "long"}, "BTCUSD": {"direction": "long", "weight": 0.1}}}


def run(folder: Path, *, cents: bool = False, seconds: float = 8, **changes: Any) -> WiredBot:
    venue = virtual_venue()
    venue.tier_leverage_in_cents = cents
    return WiredBot(folder, bot_config(folder, **changes), venue).start().let(seconds)


def refused(bot: WiredBot, symbol: str) -> list[Any]:
    return [r for d in bot.decisions for r in d.refused if r.symbol == symbol]


def reasons(bot: WiredBot) -> dict[str, str]:
    given = [d.state for d in bot.decisions if d.state is not None]
    return {code: text for state in given for code, text in zip(state.reasons, state.texts, strict=True)}


@pytest.mark.parametrize("trade", [True, False])
def test_a_broker_that_wants_more_margin_than_its_tiers_say_is_not_grown_with(trade: bool, tmp_path: Path) -> None:
    # 5000 for 1:50 is nothing that could not be a ratio: only the expected margin can tell.
    bot = run(tmp_path, cents=True, trade=trade, **WITH_BITCOIN)
    (refusal,) = refused(bot, "BTCUSD")
    assert (refusal.check, refusal.limit) == ("expected_margin", 0.05)
    assert refusal.value == pytest.approx(9, rel=0.01)
    assert "1,200.00" not in refusal.reason and "by our rules" in refusal.reason
    assert "expected_margin:BTCUSD" in reasons(bot)
    portfolio = bot.run.engine.portfolio
    assert portfolio.own_cents(BTCUSD) == 0 and portfolio.own_cents(EURUSD) > 0, "EURUSD is read rightly"
    bot.driver.stop(Outcome(0))
    bot.let(12)
    assert replay_journal(bot.journal_path).difference is None


def test_a_broker_whose_tiers_are_read_rightly_refuses_nothing(tmp_path: Path) -> None:
    bot = run(tmp_path, trade=True, **WITH_BITCOIN)
    assert bot.run.engine.portfolio.own_cents(BTCUSD) > 0
    assert not [r for d in bot.decisions for r in d.refused] and not reasons(bot).keys() & {"expected_margin:BTCUSD"}
    asked = [w.body.symbolId for w in bot.written if w.name == ASK_MARGIN]
    assert sorted(asked) == [EURUSD, BTCUSD], "one question a symbol"


def test_nothing_grows_before_the_broker_has_answered_and_then_by_our_figures_within_one_tier(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}})
    for number in range(1, 5):
        scene.on_request(ASK_MARGIN, NoReply(), nth=number)
    scene.start().let(25)
    assert scene.ours(EURUSD) == 0 and "expected_margin" in scene.refused("EURUSD")
    assert "has not said yet" in reasons(scene.bot)["expected_margin:EURUSD"]
    assert len(scene.written(ASK_MARGIN)) == 3
    scene.let(10)
    assert scene.is_invested()
    assert "does not answer" in reasons(scene.bot)["expected_margin:EURUSD"]
    scene.check(replay=True)


@pytest.mark.parametrize("what", [LeverageChange(50), MarginChange(2, tiers=True)])
def test_the_broker_is_asked_again_when_leverage_or_tiers_change(what: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}}).trading()
    before = len(scene.written(ASK_MARGIN))
    scene.fire(what, symbol="EURUSD" if isinstance(what, MarginChange) else None).let(5)
    assert len(scene.written(ASK_MARGIN)) == before + 1
    scene.grow().let(3).until(scene.is_invested).check()
    assert "expected_margin" not in scene.refused()


def test_a_position_that_is_charged_more_than_the_rules_say_is_told_of(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}}).trading()
    scene.fire(MarginChange(1.5)).let(10)
    text = reasons(scene.bot)["margin_difference:EURUSD"]
    stated = scene.account.used_margin() / 100
    assert f"{stated:,.2f}" in text and f"{stated / 1.5:,.2f}" in text
    scene.check(same_margin=False)


class LyingVenue:
    """Makes the venue's profit wrong by a sum, from the next question on."""

    def __init__(self, scene: Scene, money: str) -> None:
        self.account, self.true = scene.account, scene.account.net
        self.account.net = lambda position: self.true(position) + self.account.minor(Decimal(money))

    def tell_the_truth(self) -> None:
        del self.account.net


def test_a_profit_that_differs_three_times_lets_only_reductions_through_until_it_agrees_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}}).trading().let(3)
    lies = LyingVenue(scene, "30")
    scene.let(25)
    assert scene.bot.run.engine.trading == "active", "twice is not enough"
    scene.let(10)
    assert scene.bot.run.engine.trading == "reducing"
    assert "3 times in a row" in reasons(scene.bot)["profit_difference"]
    held = scene.ours(EURUSD)
    scene.grow().let(3)
    assert scene.ours(EURUSD) == held and "halted" in scene.refused()
    lies.tell_the_truth()
    scene.let(35).until(scene.is_invested)
    assert scene.bot.run.engine.trading == "active" and scene.ours(EURUSD) > held
    scene.check(replay=True)


def test_a_profit_within_the_tolerance_is_no_news(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}}).trading()
    LyingVenue(scene, "15")
    scene.let(45)
    assert scene.bot.run.engine.trading == "active"
    asked_s = scene.written_s(ASK_PROFIT)
    assert len(asked_s) >= 4 and 9.9 < asked_s[-1] - asked_s[-2] < 10.5


def test_a_dry_run_compares_what_stands_at_the_venue_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, trade=False).start().let(20)
    assert not scene.written(ASK_PROFIT), "nothing is open at the venue"
    scene.venue.trade_by_hand(ACCOUNT, EURUSD, "buy", 1_000_000)
    scene.let(35)
    assert len(scene.written(ASK_PROFIT)) >= 3
    assert scene.bot.run.engine.trading == "active" and scene.bot.run.engine.portfolio.own_cents(EURUSD) > 0


@pytest.mark.parametrize("kind", ["isLimitedRisk", "SPREAD_BETTING"])
def test_an_account_of_a_kind_that_is_not_supported_is_only_reduced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wire.trader_message

    def altered(*args: Any) -> Any:
        trader = made(*args)
        if kind == "isLimitedRisk":
            trader.isLimitedRisk = True
        else:
            trader.accountType = 2
        return trader

    monkeypatch.setattr(wire, "trader_message", altered)
    bot = run(tmp_path, trade=True)
    assert not [w for w in bot.written if w.name == ORDER]
    (refusal,) = refused(bot, "EURUSD")
    assert refusal.check == "halted" and "not supported by this version" in refusal.reason
    assert "not supported" in reasons(bot)["unsupported_account"]
    assert bot.run.engine.trading == "reducing"


def test_a_window_of_lower_leverage_is_seen_coming_for_new_positions_only(tmp_path: Path) -> None:
    at = START // SECOND + 400
    risk = {
        "max_margin_use_frac": 0.02,
        "leverage_windows": [{"at": at, "minutes_before": 1, "minutes_after": 1, "leverage": 20}],
    }
    scene = Scene(tmp_path, symbols={"EURUSD": {"direction": "long"}}, risk=risk).trading()
    held = scene.ours(EURUSD)
    scene.let(40).grow().let(5)  # five minutes before it opens
    assert not scene.written(CLOSE), "what is held keeps its margin"
    more = (scene.ours(EURUSD) - held) / 100 * 1.1 / 20
    assert 0 < more / (scene.account.equity() / 100) <= 0.02
    assert not scene.is_invested()
