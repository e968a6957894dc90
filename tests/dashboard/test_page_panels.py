"""What the panels say of a snapshot: its own values, what is unknown called so, every state with words of its own."""

import re
from typing import Any

import pytest

from bot.dashboard.panels.account import account
from bot.dashboard.panels.events import events
from bot.dashboard.panels.fills import fills
from bot.dashboard.panels.head import head, standing
from bot.dashboard.panels.ladder import LEVELS, ladder
from bot.dashboard.panels.leverage import leverage
from bot.dashboard.panels.market import market
from bot.dashboard.panels.orders import orders
from bot.dashboard.panels.picker import picker
from bot.dashboard.panels.positions import positions
from bot.dashboard.panels.spark import spark
from bot.dashboard.trail import Trail
from bot.dashboard.tree import found, text_of
from bot.dashboard.words.catalogue import LANGUAGES, Words
from tests.page_snapshots import newest, paper_run, resting_run, scene_of, shown_value

PANELS = (head, standing, account, picker, ladder, market, leverage, positions, orders, fills, events)


# -- every panel ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_a_panel_shows_every_moment_of_a_run(panel: Any, language: str) -> None:
    for snapshot in (*paper_run()[::3], *resting_run()[::3]):
        said = text_of(panel(scene_of(snapshot, language)))
        assert "{" not in said and "None" not in said and not re.search(r"\bnan\b", said)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_a_panel_shows_that_there_is_nothing_yet(panel: Any, language: str) -> None:
    scene = scene_of(None, language, trouble="connecting", received_s=None)
    assert text_of(panel(scene)) != ""
    journal = scene_of(None, language, kind="journal", trouble="reading", received_s=None)
    assert panel(journal) is not None


def _without_figures(content: Any) -> Any:
    """The snapshot with every figure unknown that may be."""
    kept = {"digits", "pip", "lot_units", "crisis_level", "volume_cents", "executed_cents", "number", "deal_id"}
    kept |= {"position_id", "account_id", "orders_last_minute", "max_orders_per_minute", "age_s", "fills", "price"}
    kept |= {"max_leverage", "max_margin_use_frac", "min_margin_level_frac", "stop_out_level_frac", "used_margin"}
    kept |= {"max_daily_loss_frac", "max_drawdown_frac"}
    if isinstance(content, dict):
        return {
            key: value if key in kept and not isinstance(value, list | dict) else _without_figures(value)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [] if content and isinstance(content[0], list) else [_without_figures(each) for each in content]
    return None if isinstance(content, float) else content


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_what_is_unknown_is_called_unknown_and_never_zero(panel: Any) -> None:
    scene = scene_of(_without_figures(newest()), "ja")
    tree = panel(scene)
    for figure in (each for each in found(tree) if each[1].get("data-testid", "").startswith("value:")):
        if figure[1]["data-value"] == "":
            assert text_of(figure) in ("不明", "建玉なし")


# -- the head -------------------------------------------------------------------------------------------------------


def test_the_head_says_which_account_how_real_and_how_fresh() -> None:
    tree = head(scene_of(newest()))
    said = text_of(tree)
    assert "Account 1000001 · hedged · USD" in said and "Simulator" in said and "Dry run, on paper" in said
    assert "0.2 s old" in said and re.search(r"\d\d:\d\d:\d\d UTC", said)
    assert shown_value(tree, "equity")[0] == newest()["equity"]
    assert found(tree, data_testid="connection")[0][1]["data-value"] == "True"


def test_real_money_is_said_in_words_and_not_for_a_recording() -> None:
    live = newest(lambda s: s.update(environment="live", mode="trade"))
    tree = head(scene_of(live))
    assert "LIVE: real money" in text_of(tree) and tree[1]["class"] == "head live"
    assert "実際の資金" in text_of(head(scene_of(live, "ja")))
    assert "real money" not in text_of(head(scene_of(live | {"mode": "dry-run"})))
    recorded = head(scene_of(live, kind="journal", received_s=None))
    assert recorded[1]["class"] == "head" and "Recording" in text_of(recorded)


@pytest.mark.parametrize(("environment", "name"), [("simulator", "Simulator"), ("demo", "Demo account")])
def test_that_money_is_not_real_is_said_as_well(environment: str, name: str) -> None:
    played = newest(lambda s: s.update(environment=environment, mode="trade"))
    assert f"{name}: no real money" in text_of(head(scene_of(played)))
    assert "（実資金なし）" in text_of(head(scene_of(played, "ja")))


def test_a_lost_connection_tells_what_went_wrong_last() -> None:
    error = {"time": "2023-11-14T22:10:00.000Z", "text": "no link"}
    lost = newest(lambda s: s.update(connected=False, connected_s=None, last_error=error))
    (shown,) = found(head(scene_of(lost)), data_testid="connection")
    assert "not connected" in text_of(shown) and "no link" in shown[1]["title"] and "bad" in shown[1]["class"]


@pytest.mark.parametrize(
    ("more", "is_old"),
    [
        ({"received_s": 0.2}, False),
        ({"received_s": 2.1}, True),
        ({"received_s": None}, True),
        ({"received_s": 0.2, "trouble": "lost"}, True),
        ({"received_s": None, "kind": "journal"}, False),
        ({"received_s": None, "kind": "journal", "trouble": "reading"}, False),
    ],
)
def test_values_are_old_when_nothing_new_has_come(more: dict[str, Any], is_old: bool) -> None:
    scene = scene_of(newest(), **more)
    assert scene.is_old == is_old
    assert ("OLD" in text_of(head(scene))) == is_old
    assert ("may no longer be so" in text_of(standing(scene))) == is_old


def test_the_commands_are_there_for_a_live_run_that_can_be_reached_and_gone_for_a_recording() -> None:
    buttons = found(head(scene_of(newest())), type="button")
    assert [button[1]["data-act"] for button in buttons] == ["ask:halt", "ask:resume", "ask:flatten"]
    assert all("disabled" not in button[1] for button in buttons)
    unreachable = found(head(scene_of(newest(), trouble="unreachable")), type="button")
    assert all("disabled" in button[1] for button in unreachable)
    assert found(head(scene_of(newest(), kind="journal")), type="button") == []


def test_the_other_language_is_one_link_away() -> None:
    links = [link for link in found(head(scene_of(newest(), "ja"))) if link[0] == "a"]
    assert [(link[1]["href"], link[1].get("aria-current")) for link in links] == [
        ("?lang=en", None),
        ("?lang=ja", "true"),
    ]


# -- the standing ---------------------------------------------------------------------------------------------------


def test_readiness_and_trading_stand_with_their_reasons() -> None:
    cause = {
        "code": "by_hand",
        "level": "halted",
        "text": "halted by hand (lunch)",
        "until": None,
        "flattens": True,
        "since": "2023-11-14T22:10:00.000Z",
        "by_limit": False,
    }
    halted = newest(
        lambda s: s.update(
            trading="halted",
            causes=[cause],
            reasons=["stale_quote:EURUSD", "by_hand"],
            texts=["no fresh quote for EURUSD", "halted by hand (lunch)"],
            stopping=True,
        )
    )
    said = text_of(standing(scene_of(halted)))
    assert "Ready no fresh quote for EURUSD" in said and "Trading: halted" in said and "the bot is stopping" in said
    # A cause is told once, with since when.
    assert said.count("(lunch)") == 1 and "since 22:10:00 UTC" in said and "being closed" in said
    assert "準備完了" in text_of(standing(scene_of(halted, "ja")))


def test_before_it_is_ready_it_says_what_it_waits_for() -> None:
    first = paper_run()[0]
    tree = standing(scene_of(first))
    assert "Not ready" in text_of(tree)
    connecting = standing(scene_of(first | {"reasons": ["connecting"], "texts": ["connecting to the venue"]}, "ja"))
    assert "取引サーバーに接続しています" in text_of(connecting)
    # That nobody has halted it is no leave to trade, and does not stand there in green.
    assert found(tree, data_testid="trading")[0][1]["class"] == "state waits"
    assert "Trading: not before it is ready" in text_of(tree)


@pytest.mark.parametrize(
    "trouble", ["connecting", "refused_token", "untrusted", "absent", "unreachable", "lost", "not_understood"]
)
def test_every_trouble_of_a_live_feed_is_said(trouble: Any) -> None:
    (banner,) = found(standing(scene_of(newest(), trouble=trouble)), data_testid="trouble")
    assert text_of(banner).startswith(Words("en").code("trouble", trouble)) and "bad" in banner[1]["class"]


def test_a_journal_that_is_still_read_says_how_far() -> None:
    scene = scene_of(newest(), kind="journal", trouble="reading", read_frac=0.256, received_s=None)
    (banner,) = found(standing(scene), data_testid="trouble")
    assert "25.6%" in text_of(banner) and "quiet" in banner[1]["class"]
    # It counts on four times a second: a reader is not told each time.
    assert "role" not in banner[1] and banner[1]["aria-live"] == "off"


# -- the account ----------------------------------------------------------------------------------------------------


def test_the_account_shows_what_is_used_of_every_limit() -> None:
    snapshot = newest()
    tree, limits = account(scene_of(snapshot)), snapshot["account_limits"]
    for place, value in (
        ("balance", snapshot["balance"]),
        ("used_margin", snapshot["used_margin"]),
        ("margin_level", snapshot["margin_level"]),
        ("stop_out_loss", limits["stop_out_loss"]),
        ("stop_out_move_frac", limits["stop_out_move_frac"]),
        ("daily_loss", max(limits["daily_loss_frac"], 0.0)),
        ("drawdown", max(limits["drawdown_frac"], 0.0)),
        ("margin_use", limits["margin_use_frac"]),
        ("leverage", limits["leverage"]),
        ("orders_last_minute", snapshot["orders_last_minute"]),
    ):
        assert shown_value(tree, place)[0] == value
    assert "of 2.00%" in text_of(tree) and "of 10.0%" in text_of(tree)


def test_a_limit_that_is_close_or_reached_says_so() -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["account_limits"].update(daily_loss_frac=0.021, drawdown_frac=0.08)

    said = text_of(account(scene_of(newest(change))))
    assert said.count("reached") == 1 and said.count("close") == 1


def test_the_pace_of_orders_is_no_alarm() -> None:
    for sent, notes in ((29, []), (30, ["waits"])):
        tree = account(scene_of(newest(lambda s, n=sent: s.update(orders_last_minute=n, max_orders_per_minute=30))))
        assert [text_of(note) for note in found(tree, class_="note close")] == notes
        assert found(tree, class_="note over") == found(tree, class_="fill over") == []


@pytest.mark.parametrize(
    ("loss", "move", "level", "notes"),
    [
        (5000.0, 0.30, 20.0, []),
        (500.0, 0.04, 3.5, ["close", "close"]),
        (100.0, 0.01, 2.0, ["too low", "close"]),
        (-10.0, -0.001, 0.49, ["too low", "passed"]),
    ],
)
def test_a_stop_out_that_is_near_or_passed_says_so(loss: float, move: float, level: float, notes: list[str]) -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["margin_level"] = level
        snapshot["account_limits"].update(stop_out_loss=loss, stop_out_move_frac=move)

    tree = account(scene_of(newest(change)))
    assert [text_of(each) for each in found(tree) if each[1].get("class", "").startswith("note ")] == notes


def test_more_than_everything_can_not_be_lost_by_a_move() -> None:
    far = newest(lambda s: s["account_limits"].update(stop_out_move_frac=3.12))
    assert shown_value(account(scene_of(far)), "stop_out_move_frac") == (3.12, ">100 %")


def test_long_sums_are_set_smaller_so_that_they_stay_apart() -> None:
    rupiah = newest(lambda s: s.update(deposit_currency="IDR", balance=1.3e9))
    (balance,) = found(account(scene_of(rupiah)), data_testid="value:balance")
    assert text_of(balance) == "1,300,000,000 IDR" and "long" in balance[1]["class"]
    assert found(account(scene_of(newest())), class_="figure long") == []


def test_with_nothing_held_there_is_no_stop_out() -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot.update(used_margin=0.0, margin_level=None)
        snapshot["account_limits"].update(stop_out_loss=None, stop_out_move_frac=None)

    tree = account(scene_of(newest(change)))
    assert shown_value(tree, "margin_level") == (None, "nothing held") == shown_value(tree, "stop_out_loss")


def test_before_the_account_is_known_nothing_held_is_not_said() -> None:
    tree = account(scene_of(paper_run()[0]))
    assert shown_value(tree, "margin_level") == (None, "unknown") == shown_value(tree, "used_margin")


# -- symbols, ladder, market ----------------------------------------------------------------------------------------


def test_a_symbol_is_chosen_and_the_first_is_shown_until_then() -> None:
    snapshot = newest()
    assert [s["symbol"] for s in scene_of(snapshot).traded] == ["EURUSD", "USDJPY"]
    pressed = found(picker(scene_of(snapshot)), aria_pressed="true")
    assert [card[1]["data-testid"] for card in pressed] == ["symbol:EURUSD"]
    chosen = scene_of(snapshot, symbol="USDJPY")
    assert [card[1]["data-testid"] for card in found(picker(chosen), aria_pressed="true")] == ["symbol:USDJPY"]
    assert chosen.shown is not None and chosen.shown["symbol"] == "USDJPY"
    gone = scene_of(snapshot, symbol="NOSUCH").shown
    assert gone is not None and gone["symbol"] == "EURUSD"


def test_a_crisis_is_said_with_its_level() -> None:
    tree = picker(scene_of(newest(lambda s: s["symbols"][0].update(crisis_level=2))))
    (level,) = found(tree, data_testid="value:card:EURUSD:crisis_level")
    assert text_of(level) == "crisis 2 of 3" and len(found(level, class_="box full")) == 2


def test_the_ladder_shows_the_levels_in_lots_and_what_has_summed_up() -> None:
    snapshot = newest()
    each = snapshot["symbols"][0]
    tree = ladder(scene_of(snapshot))
    rows = [row for row in found(tree) if row[1].get("data-testid", "").startswith("level:")]
    prices = [float(row[1]["data-testid"].rpartition(":")[2]) for row in rows]
    assert prices == sorted(prices, reverse=True) and len(rows) == 2 * LEVELS
    best_bid = rows[LEVELS]
    cells = [text_of(cell) for cell in best_bid[2]]
    lots = each["bids"][0][1] / each["lot_units"]
    assert cells[1] == f"{each['bids'][0][0]:.5f}" and cells[2] == cells[3] == f"{lots:.2f}"
    whole = sum(units for _, units in each["asks"][:LEVELS]) / each["lot_units"]
    assert float(text_of(rows[0][2][3]).replace(",", "")) == pytest.approx(whole, abs=0.06)
    assert "spread 0." in text_of(tree)


def test_our_resting_orders_and_fills_stand_on_the_ladder() -> None:
    snapshot = resting_run()[-1]
    order = next(order for order in snapshot["orders"] if order["symbol"] == "EURUSD")
    (mark,) = found(ladder(scene_of(snapshot)), class_=f"mark order {order['side']}")
    assert text_of(mark).startswith(f"{order['side']} ")
    order["limit_price"] = 1.0
    assert "At other prices: buy" in text_of(ladder(scene_of(snapshot)))
    filled = newest()
    fill = next(fill for fill in filled["fills"] if fill["symbol"] == "EURUSD")
    filled["symbols"][0]["asks"][0][0] = fill["price"]
    assert found(ladder(scene_of(filled)), class_="mark fill buy")
    fill["is_own"] = False
    assert found(ladder(scene_of(filled)), class_="mark fill buy") == []


def test_without_depth_the_ladder_says_so_and_shows_the_spot_prices() -> None:
    snapshot = newest(lambda s: s["symbols"][0].update(is_spot_only=True, bids=[], asks=[]))
    tree = ladder(scene_of(snapshot))
    assert "no depth" in text_of(tree) and shown_value(tree, "EURUSD:bid")[0] == snapshot["symbols"][0]["bid"]
    empty = newest(lambda s: s["symbols"][0].update(bids=[], asks=[], bid=None, ask=None, mid=None))
    assert "no order book" in text_of(ladder(scene_of(empty)))
    assert shown_value(ladder(scene_of(empty)), "EURUSD:ask") == (None, "unknown")


def test_a_book_with_one_side_has_a_ladder_of_one_side() -> None:
    snapshot = newest(lambda s: s["symbols"][0].update(asks=[]))
    rows = [row for row in found(ladder(scene_of(snapshot))) if row[1].get("data-testid", "").startswith("level:")]
    assert len(rows) == LEVELS
    # The mid stands where it stood with both sides.
    shown = [row[1].get("key") for row in found(ladder(scene_of(snapshot))) if row[0] == "tr"]
    assert shown.index("spread") == LEVELS + 1


def test_the_market_is_shown_with_units_and_what_is_usual() -> None:
    taken = paper_run()
    trail = Trail()
    for snapshot in taken:
        trail.add(snapshot)
    each = taken[-1]["symbols"][0]
    tree = market(scene_of(taken[-1], trail=trail))
    for name in ("spread_bps", "liquidity_ratio", "obi", "ofi", "volatility_bps"):
        assert shown_value(tree, f"EURUSD:{name}")[0] == each[name]
    assert shown_value(tree, "EURUSD:impact_bps")[0] == max(each["buy_impact_bps"], each["sell_impact_bps"])
    assert shown_value(tree, "EURUSD:bid_depth_lots")[0] == each["bid_depth_units"] / each["lot_units"]
    said = text_of(tree)
    assert "bps" in said and "× usual" in said and f"usual {each['usual_spread_bps']:.2f}" in said
    assert len([line for line in found(tree) if line[0] == "polyline"]) >= 4


def test_a_trend_line_has_a_gap_where_a_value_is_unknown_and_a_level_for_what_is_usual() -> None:
    broken = [each for each in found(spark([1.0, 2.0, None, 2.0, 3.0, None, 4.0], usual=9.0)) if each[0] == "polyline"]
    assert [len(each[1]["points"].split()) for each in broken] == [2, 2]
    assert len(found(spark([1.0, 2.0], usual=1.0), class_="usual")) == 1
    assert found(spark([1.0, 2.0]), class_="usual") == []
    flat = found(spark([2.0] * 500), class_="line")[0]
    assert {point.split(",")[1] for point in flat[1]["points"].split()} == {"14.0"} and len(
        flat[1]["points"].split()
    ) == 120
    assert text_of(spark([None, 1.0])) == "" and spark([None, 1.0])[2] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"liquidity_ratio": 0.5}, "thinner than usual"),
        ({"liquidity_ratio": 1.5}, "deeper than usual"),
        ({"obi": 0.6}, "more bids"),
        ({"obi": -0.6}, "more asks"),
        ({"obi": 0.0}, "balanced"),
        ({"ofi": 2.0}, "net buying"),
        ({"ofi": -2.0}, "net selling"),
        ({"ofi": None}, "not measured yet"),
    ],
)
def test_what_a_figure_means_is_said_in_words(changes: dict[str, Any], said: str) -> None:
    assert said in text_of(market(scene_of(newest(lambda s: s["symbols"][0].update(changes)))))
