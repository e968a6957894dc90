"""Requests that are refused, in every shape, or not answered; orders that are filled in part."""

from pathlib import Path

import pytest
from fault_scene import CLOSE, EXECUTION, GRID, ORDER, Scene, gaps, slow

from bot.sim.faults.link_faults import LoseEvent
from bot.sim.faults.reply_faults import NoReply, PartialFill, Reject
from bot.sim.faults.script import ALWAYS

SHAPES = [slow("error_res"), slow("common"), "order_error", "execution"]
UNLISTED = "A_CODE_OF_TOMORROW"


@pytest.mark.parametrize("request_", ["ignored", slow("executed")])
@pytest.mark.parametrize("name", GRID)
def test_any_request_may_stay_without_an_answer(name: str, request_: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_request(name, NoReply(request_))
    scene.a_day().check(replay=name in (ORDER, CLOSE))
    assert scene.has_struck(NoReply, 2)


@pytest.mark.parametrize("shape", ["error_res", slow("common")])
@pytest.mark.parametrize(
    "code", [UNLISTED, *map(slow, ["CANT_ROUTE_REQUEST", "TIMEOUT_ERROR", "ACCOUNT_NOT_AUTHORIZED"])]
)
@pytest.mark.parametrize("name", GRID)
def test_any_request_may_be_refused_with_any_code(name: str, code: str, shape: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_request(name, Reject(code, shape))
    scene.a_day().check()
    assert scene.has_struck(Reject)


@pytest.mark.parametrize("what", ["ignored", "executed"])
@pytest.mark.parametrize("name", [ORDER, CLOSE])
def test_an_order_without_an_answer_is_unknown_in_time_and_looked_up(name: str, what: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(name, NoReply(what))
    scene.grow() if name == ORDER else scene.shrink()
    scene.until(lambda: "unknown" in scene.states())
    assert 1.9 <= scene.now_s - scene.written_s(name)[-1] <= 2.3, "order_timeout_s is 2"
    asked = len(scene.written(name))
    scene.until(scene.is_calm)
    assert len(scene.written(name)) == asked, "it was not sent again before the venue had answered"
    # What no list knows may only be missing yet: it is looked for twice before it counts as never done.
    looks = len(scene.heard("ProtoOAOrderListReq"))
    assert looks == len(scene.heard("ProtoOADealListReq")) == (2 if what == "ignored" else 1)
    scene.until(scene.is_invested).check(replay=True)
    assert scene.states()[-1] == "filled"
    assert len(scene.written(name)) == asked + (what == "ignored"), "done once, whichever it was"
    assert scene.states().count("resolved") == (what == "ignored")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [slow(ORDER), CLOSE])
def test_a_refused_order_is_tried_again_after_pauses_that_double(name: str, shape: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(name, Reject("NOT_ENOUGH_MONEY", shape), times=5)
    tried = len(scene.written(name))
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(40).until(scene.is_invested).check(replay=shape == "execution")
    times = scene.written_s(name)[tried:]
    assert len(times) == 6
    assert all(pause >= wanted for pause, wanted in zip(gaps(times), [1, 2, 4, 8, 16], strict=True)), times
    assert all(pause < wanted + 0.6 for pause, wanted in zip(gaps(times), [1, 2, 4, 8, 16], strict=True)), times
    assert scene.states().count("rejected") == 5
    assert "unknown" not in scene.states()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [ORDER, CLOSE])
def test_a_code_that_nobody_knows_leaves_an_order_unknown(name: str, shape: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(name, Reject(UNLISTED, shape))
    tried = len(scene.written(name))
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(1)
    if shape == "execution":  # an order that is reported as rejected is rejected, whatever the code
        assert "rejected" in scene.states()
    else:
        assert "unknown" in scene.states()
        assert len(scene.written(name)) == tried + 1
    scene.let(8).check()
    assert len(scene.written(name)) == tried + 2
    assert UNLISTED in scene.codes()


@pytest.mark.parametrize("code", ["MARKET_CLOSED", slow("SYMBOL_HAS_HOLIDAY"), slow("TRADING_DISABLED")])
@pytest.mark.parametrize("shape", ["execution", slow("order_error")])
def test_a_refusal_that_says_closed_is_not_repeated_for_a_minute(code: str, shape: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}})
    scene.on_request(ORDER, Reject(code, shape)).start().let(58, 1 / 8)
    assert len(scene.written(ORDER)) == 1
    assert "market_closed:EURUSD" in scene.reasons()
    scene.until(scene.is_invested, 10).check()


@pytest.mark.parametrize("code", ["CH_ACCESS_TOKEN_INVALID", "CHANNEL_IS_BLOCKED", "RET_ACCOUNT_DISABLED"])
def test_what_no_retry_can_heal_ends_the_run_and_says_so(code: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_request("ProtoOAAccountAuthReq", Reject(code)).start().let(5)
    assert scene.bot.result is not None
    assert scene.bot.result.exit_code == 3  # type: ignore[union-attr]
    assert code in scene.bot.result.text  # type: ignore[union-attr]


@pytest.mark.parametrize("fraction", [slow(0.1), 0.5, slow(0.9)])
@pytest.mark.parametrize("rest", ["cancelled", "filled"])
@pytest.mark.parametrize("name", [ORDER, CLOSE])
def test_what_is_filled_in_part_counts_as_far_as_it_was(name: str, rest: str, fraction: float, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(name, PartialFill(fraction, rest), times=2)
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(1).until(scene.is_invested)
    scene.check(replay=fraction == 0.5)
    assert scene.has_struck(PartialFill)
    assert ("cancelled" in scene.states()) == (rest == "cancelled")


@pytest.mark.parametrize("name", [ORDER, CLOSE])
def test_a_part_that_is_told_by_a_cancellation_alone_counts(name: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(name, PartialFill(0.5, "cancelled"))
    scene.on_event(EXECUTION, LoseEvent(), kind="ORDER_PARTIAL_FILL")
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(1).until(scene.is_invested).check()
    assert scene.has_struck(LoseEvent)
    assert "cancelled" in scene.states()


def test_an_account_that_always_refuses_growth_may_still_reduce(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.on_request(ORDER, Reject("NOT_ENOUGH_MONEY"), times=ALWAYS)
    scene.grow().let(20)
    held = scene.leverage("EURUSD")
    assert held < 2.7
    scene.shrink(0.5).let(40).check()
    assert 2.7 < scene.leverage("EURUSD") < 3.3
