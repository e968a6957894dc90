"""What the panels say of leverage, positions, orders, fills and events, and what is asked before a command."""

import re
from typing import Any

import pytest

from bot.dashboard.panels.confirmation import confirmation, outcome
from bot.dashboard.panels.events import events
from bot.dashboard.panels.fills import fills
from bot.dashboard.panels.leverage import leverage
from bot.dashboard.panels.orders import orders
from bot.dashboard.panels.playback import playback
from bot.dashboard.panels.positions import positions
from bot.dashboard.scene import Scene
from bot.dashboard.trail import Trail
from bot.dashboard.tree import found, text_of
from bot.dashboard.words.catalogue import Words
from tests.page_snapshots import newest, resting_run, scene_of, shown_value

# -- the leverage ---------------------------------------------------------------------------------------------------


def test_the_leverage_is_shown_in_bars_in_words_and_as_a_sum() -> None:
    snapshot = newest()
    each, tree = snapshot["symbols"][0], leverage(scene_of(newest()))
    for name in ("wanted", "goal", "target", "now"):
        assert shown_value(tree, f"EURUSD:leverage_{name}")[0] == each[f"leverage_{name}"]
    (said,) = found(tree, data_testid="why")
    assert text_of(said).startswith("Holds ")
    steps = text_of(found(tree, class_="steps")[0])
    for factor in each["factors"].values():
        assert f"× {factor:.2f}" in steps
    assert "Base +3.00x" in steps


def test_the_sum_has_the_cap_and_the_crisis_where_they_take_away() -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["symbols"][0].update(
            cap=0.5, leverage_wanted=2.0, leverage_goal=0.25, crisis_level=1, bound="crisis", factors={"impact": None}
        )

    said = text_of(leverage(scene_of(newest(change))))
    assert "Cap ≤ 0.50" in said and "Crisis × 0.5" in said and "impact unknown" in said


def test_a_short_symbol_has_a_short_sum_and_a_turn_has_bars_on_both_sides() -> None:
    short = leverage(scene_of(newest(), symbol="USDJPY"))
    assert "Base −1.50x" in text_of(short)
    turning = newest(lambda s: s["symbols"][0].update(leverage_now=-1.0, leverage_wanted=2.0))
    tree = leverage(scene_of(turning))
    (held,), (wanted,) = found(tree, class_="bar held"), found(tree, class_="bar wanted")
    assert float(re.split("[:%]", held[1]["style"])[1]) < 50 and wanted[1]["style"].startswith("left:50.00%")
    assert found(leverage(scene_of(turning)), class_="rule zero")


def test_before_a_decision_there_is_no_sum() -> None:
    nothing = dict.fromkeys(
        ("leverage_base", "leverage_wanted", "leverage_goal", "leverage_target", "cap", "cap_bound", "bound")
    )
    tree = leverage(scene_of(newest(lambda s: s["symbols"][0].update(nothing | {"factors": {}}))))
    assert found(tree, class_="steps") == [] and "has not decided" in text_of(tree)


# -- positions, orders, fills, events -------------------------------------------------------------------------------


def test_a_position_has_its_profit_its_stops_and_whose_it_is() -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["positions"][0].update(stop_loss=1.09, take_profit=1.12, ours=False, unrealised=-2.5)
        snapshot["positions"][1].update(symbol=None, lots=None)

    snapshot = newest(change)
    tree = positions(scene_of(snapshot))
    place = f"position:{snapshot['positions'][0]['position_id']}"
    assert shown_value(tree, f"{place}:unrealised") == (-2.5, "−2.50 USD")
    said = text_of(tree)
    assert "stop 1.09000" in said and "target 1.12000" in said and "others'" in said and "the bot" in said
    assert "unknown" in said


def test_an_order_rests_is_on_its_way_or_is_of_unknown_outcome() -> None:
    snapshot = resting_run()[-1]
    order = snapshot["orders"][0]
    snapshot["orders"] += [
        order
        | {"client_order_id": "b", "resting": False, "limit_price": None, "state": "sent", "order_type": "market"},
        order | {"client_order_id": "c", "resting": False, "state": "unknown", "order_type": None, "side": None},
    ]
    tree = orders(scene_of(snapshot))
    said = text_of(tree)
    assert "rests (accepted)" in said and "on the way" in said and "outcome unknown" in said
    assert shown_value(tree, f"order:{order['client_order_id']}:age_s")[0] == order["age_s"]
    lots = order["volume_cents"] / 100 / 100_000
    assert shown_value(tree, f"order:{order['client_order_id']}:lots")[0] == pytest.approx(lots)


def test_fills_show_what_was_predicted_beside_what_it_came_to() -> None:
    snapshot = newest()
    tree = fills(scene_of(snapshot))
    for fill in snapshot["fills"]:
        for name in ("predicted_bps", "realised_bps"):
            assert shown_value(tree, f"fill:{fill['deal_id']}:{name}")[0] == fill[name]
    means = snapshot["symbols"][0]["slippage"]
    assert shown_value(tree, "EURUSD:slippage:realised_bps")[0] == means["realised_bps"]
    own = [fill for fill in snapshot["fills"] if fill["symbol"] == "EURUSD"]
    assert len(found(tree, class_="dot buy")) == len(own) and "on paper" in text_of(tree)


def test_a_fill_that_sold_points_down_and_one_without_a_prediction_is_no_point() -> None:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["fills"][0].update(side="sell", symbol="EURUSD")
        snapshot["fills"].append(snapshot["fills"][0] | {"deal_id": 5, "predicted_bps": None})

    tree = fills(scene_of(newest(change)))
    assert len(found(tree, class_="dot sell")) == 1


def test_events_come_newest_first_and_can_be_filtered() -> None:
    snapshot = newest()
    numbers = [
        int(each[1]["data-testid"].partition(":")[2]) for each in found(events(scene_of(snapshot))) if each[0] == "li"
    ]
    newest_of = {each["client_order_id"] or each["number"]: each["number"] for each in snapshot["events"]}
    assert numbers == sorted(newest_of.values(), reverse=True) and len(numbers) < len(snapshot["events"])
    assert "intended → on the way → accepted → filled" in text_of(events(scene_of(snapshot)))
    only = events(scene_of(snapshot, events_shown="state"))
    kept = {each["number"] for each in snapshot["events"] if each["kind"] == "state"}
    assert len([each for each in found(only) if each[0] == "li"]) == len(kept) < len(numbers)
    assert "Nothing has happened" in text_of(events(scene_of(snapshot, events_shown="notice")))


def test_a_price_of_an_event_has_the_digits_of_its_symbol() -> None:
    snapshot = newest()
    filled = next(each for each in snapshot["events"] if each["symbol"] == "EURUSD" and each["code"] == "filled")
    filled["price"] = 1.1
    assert "filled at 1.10000" in text_of(events(scene_of(snapshot)))


def test_an_order_that_is_moved_again_and_again_is_one_line_with_a_count() -> None:
    snapshot = resting_run()[-1]
    first = next(each for each in snapshot["events"] if each["kind"] == "order")
    moved = [first | {"number": 900 + i, "code": code} for i, code in enumerate(["accepted", *["replaced"] * 3])]
    tree = events(scene_of(snapshot | {"events": moved}))
    assert "accepted → changed ×3" in text_of(tree)
    later = events(scene_of(snapshot | {"events": [*moved, first | {"number": 950, "code": "filled"}]}))
    (line,), (same) = ([each for each in found(t) if each[0] == "li"] for t in (tree, later))
    assert line[1]["key"] == same[0][1]["key"] and line[1]["data-testid"] != same[0][1]["data-testid"]


def test_a_base_that_is_unknown_has_no_unit() -> None:
    said = text_of(leverage(scene_of(newest(lambda s: s["symbols"][0].update(leverage_base=None)))))
    assert "base not known yet" in said and "unknownx" not in said


# -- commands and recordings ----------------------------------------------------------------------------------------


def test_flatten_lists_what_is_closed_and_what_is_left_alone() -> None:
    snapshot = newest(lambda s: s["positions"][1].update(ours=False))
    tree = confirmation(scene_of(snapshot), "flatten")
    first, second = snapshot["positions"][:2]
    assert found(tree, data_testid=f"value:closes:{first['position_id']}")
    assert found(tree, data_testid=f"value:closes:{second['position_id']}") == []
    assert "1 position(s) that are not ours are left alone" in text_of(tree)
    assert "No position of ours" in text_of(confirmation(scene_of(newest(lambda s: s.update(positions=[]))), "flatten"))


def test_a_question_says_which_account_and_that_its_money_is_real() -> None:
    tree = confirmation(scene_of(newest(lambda s: s.update(environment="live"))), "halt")
    assert "Account 1000001 · LIVE" in text_of(tree) and found(tree, class_="where bad")
    assert "restart" in text_of(tree)


def test_resume_says_what_it_takes_away() -> None:
    assert "not halted" in text_of(confirmation(scene_of(newest()), "resume"))
    halted = newest(lambda s: s.update(causes=[{"code": "by_hand"}]))
    assert "halted by a person" in text_of(confirmation(scene_of(halted), "resume"))


def test_resume_says_of_what_it_does_not_end_what_does() -> None:
    thin = newest(lambda s: s.update(causes=[{"code": "margin_level", "value": 2.5, "limit": 3.0}]))
    said = text_of(confirmation(scene_of(thin), "resume"))
    assert "below its limit (250%, least 300%)" in said and "until it has recovered" in said
    assert "回復するまで" in text_of(confirmation(scene_of(thin, "ja"), "resume"))


def test_halt_says_that_reductions_go_on() -> None:
    assert "still shrinks where the strategy or a limit asks" in text_of(confirmation(scene_of(newest()), "halt"))
    assert "一部決済は続き" in text_of(confirmation(scene_of(newest(), "ja"), "halt"))


def test_resume_names_the_symbols_that_it_takes_up_again() -> None:
    said = text_of(confirmation(scene_of(newest(lambda s: s.update(hands_off=["EURUSD", "XAUUSD"]))), "resume"))
    assert "hands off: EURUSD, XAUUSD" in said and "not halted" not in said


def test_a_question_before_the_first_snapshot_can_be_asked() -> None:
    assert "unknown" in text_of(confirmation(scene_of(None), "halt"))


def test_what_came_of_a_command_is_said() -> None:
    words = Words("en")
    assert "waiting" in text_of(outcome(words, None, ""))
    assert text_of(outcome(words, True, "halted")) == "Done: Trading: halted"
    assert "may have done it or not" in text_of(outcome(words, False, "no_answer"))
    assert text_of(outcome(words, False, "the bot says no")) == "Not done: the bot says no"


def test_a_recording_says_where_it_stands() -> None:
    snapshot = newest()
    scene = scene_of(snapshot, kind="journal", speed=5.0, playing=True, received_s=None)
    tree = playback(scene, 4, 31)
    assert "5 of 31" in text_of(tree) and snapshot["time"][:10] in text_of(tree)
    assert found(tree, data_testid="play")[0][1]["data-act"] == "play:off"
    assert [text_of(each) for each in found(tree, aria_pressed="true")] == ["5×"]
    empty = playback(Scene(Words("ja"), None, "journal", Trail()), 0, 0)
    assert "disabled" in found(empty, data_testid="play")[0][1]


@pytest.mark.parametrize("panel", [positions, orders, fills, events], ids=lambda panel: panel.__name__)
def test_that_there_is_nothing_is_not_said_before_it_is_known(panel: Any) -> None:
    assert "Nothing is known yet" in text_of(panel(scene_of(None, trouble="connecting", received_s=None)))
    known = newest(lambda s: s.update(positions=[], orders=[], fills=[], events=[]))
    assert "Nothing is known yet" not in text_of(panel(scene_of(known)))
