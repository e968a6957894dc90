"""Sessions that end, tokens that expire, servers that are away: the bot waits as it was told, and comes back."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fault_scene import EVERY_REQUEST, HANDSHAKE, ORDER, Scene, gaps, slow
from wired_bot import SECOND, START, TOKEN

from bot.sim.faults.link_faults import Drop
from bot.sim.faults.session_faults import (
    AccountDisconnect,
    ClientDisconnect,
    ExpireToken,
    Maintenance,
    NotRoutable,
    RefuseConnections,
    ServerUnreachable,
    TokenInvalidated,
)

ENDS = [AccountDisconnect(), TokenInvalidated(), ClientDisconnect()]
REFRESH = "ProtoOARefreshTokenReq"


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
@pytest.mark.parametrize("name", [n if n == ORDER else slow(n) for n in EVERY_REQUEST])
def test_a_session_that_ends_at_any_request_is_opened_again(name: str, end: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_request(name, end)
    scene.a_day().check(replay=name == ORDER)
    assert scene.has_struck(type(end))


@pytest.mark.parametrize(("end", "connections"), [(ENDS[0], 1), (ENDS[1], 1), (ENDS[2], 2)])
def test_an_account_s_session_is_healed_on_the_same_line_and_a_client_s_on_another(
    end: Any, connections: int, tmp_path: Path
) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(end).let(3).check()
    assert scene.bot.driver.figures.connections == connections
    assert len(scene.heard("ProtoOAAccountAuthReq")) == 2
    assert len(scene.heard("ProtoOAReconcileReq")) == 2, "positions are asked for before anything is sent"


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_an_order_that_was_on_its_way_is_looked_up(end: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    orders = len(scene.written(ORDER))
    scene.on_request(ORDER, end, nth=2).grow().let(10).check()
    # The first was executed before the session ended, the second found none: it is refused, and asked for anew.
    assert orders + 2 <= len(scene.written(ORDER)) <= orders + 3


@pytest.mark.slow
def test_a_session_that_ends_all_the_time_is_asked_for_with_pauses(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_request("ProtoOASubscribeDepthQuotesReq", AccountDisconnect(), times=12)
    scene.fire(AccountDisconnect()).check(limit_s=120)
    assert scene.bot.driver.figures.connections >= 4
    pauses = gaps([(ns - START) / SECOND for ns in scene.bot.client.attempts_ns[1:]])
    assert pauses == sorted(pauses)


# -- the token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID"])
@pytest.mark.parametrize("name", [None, ORDER, *map(slow, HANDSHAKE[2:])])
def test_a_token_that_expires_is_renewed_once_and_trading_goes_on(name: str | None, code: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, token_file=True).trading()
    if name is None:
        scene.fire(ExpireToken(code))
    else:
        scene.on_request(name, ExpireToken(code)).grow()
        if name != ORDER:
            scene.fire(Drop())
    scene.let(5).until(scene.is_invested).check(replay=name == ORDER)
    assert scene.has_struck(ExpireToken)
    assert len(scene.heard(REFRESH)) == 1
    kept = json.loads((tmp_path / "token.json").read_text())
    assert kept["access_token"] == scene.bot.run.session.token.pair.access_token != TOKEN.access_token


def test_a_token_that_cannot_be_renewed_ends_the_run_and_says_what_to_do(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(ExpireToken()).let(5)
    assert scene.bot.result is not None
    assert scene.bot.result.exit_code == 3  # type: ignore[union-attr]
    assert "auth login" in scene.bot.result.text  # type: ignore[union-attr]


# -- servers that are away ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["error_res", "common"])
@pytest.mark.parametrize("connections", ["accepted", slow("refused")])
@pytest.mark.parametrize("name", [ORDER, "ProtoOASymbolByIdReq"])
def test_maintenance_is_waited_for_until_its_stated_end(
    name: str, connections: str, shape: str, tmp_path: Path
) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_request(name, Maintenance(shape, connections), for_s=90)
    scene.grow() if name == ORDER else scene.fire(Drop())
    scene.until(lambda: scene.has_struck(Maintenance)).let(1)
    end_s = (scene.venue.stage.fired[-1].time_ns - START) / SECOND + 90
    attempts = len(scene.bot.client.attempts_ns)
    scene.let(end_s - 0.5 - scene.now_s, 1 / 8)
    assert len(scene.bot.client.attempts_ns) == attempts, "nobody asks before the end"
    assert any(reason.startswith("waiting_until:") for reason in scene.reasons())
    scene.until(scene.is_invested, 20).check()
    assert scene.bot.client.attempts_ns[attempts] >= START + end_s * SECOND


def test_refused_connections_are_tried_again_from_one_second_up_to_thirty(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(RefuseConnections(), for_s=120).fire(Drop())
    scene.let(119, 1 / 8)
    pauses = gaps([(ns - START) / SECOND for ns in scene.bot.client.attempts_ns[1:]])
    assert pauses[0] < 2
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses[:5])), pauses
    assert max(pauses) <= 30.2
    assert len(pauses) <= 8
    scene.check(replay=True)


def test_refused_connections_at_the_start_end_the_run_in_time(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fire(RefuseConnections()).start().let(31)
    assert scene.bot.result is not None
    assert scene.bot.result.exit_code == 4  # type: ignore[union-attr]


@pytest.mark.parametrize("away", [slow(NotRoutable()), ServerUnreachable()], ids=repr)
@pytest.mark.parametrize("trades", [slow(False), True])
def test_a_trading_server_that_is_away_is_asked_again_until_it_is_back(away: Any, trades: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(away, for_s=40)
    if trades:
        scene.grow()
    else:
        scene.fire(Drop())
    scene.let(40, 1 / 16)
    if trades and isinstance(away, ServerUnreachable):
        assert "unknown" in scene.states(), "it may have been executed all the same"
    scene.until(scene.is_invested).check(replay=trades)
    assert scene.states().count("sent") <= 20
