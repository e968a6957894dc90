"""A run keeps its token valid: over the connection, over HTTP, from the file; stored before use, refreshed once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from wired_bot import CLIENT, SECOND, START, TOKEN, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.config import ConfigError
from bot.config.token_file import Token, TokenLock, write_token_file
from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message, payload_type
from bot.net import token_keeper
from bot.net.oauth import OAuthRefused, OAuthUnreachable
from bot.net.outcome import EXIT_FAILED, Outcome
from bot.sim.faults.link_faults import Latency
from bot.sim.faults.reply_faults import Reject
from bot.sim.faults.script import Fault, When
from bot.sim.venue import Venue

REFRESH = payload_type("ProtoOARefreshTokenReq")
LIFE_S = 2_628_000


class Pages:
    """The OAuth server: answers from a list, and counts."""

    def __init__(self, *answers: Callable[[str], Any]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def refresh(self, refresh_token: str) -> "Deferred[Token]":
        self.asked.append(refresh_token)
        return self.answers.pop(0)(refresh_token)  # type: ignore[no-any-return]


def pages_of(venue: Venue, now_ns: Callable[[], int]) -> Pages:
    """The venue's own pages, without HTTP."""

    def answer(refresh_token: str) -> "Deferred[Token]":
        keys = CLIENT.client_id, CLIENT.client_secret
        issued = venue.credentials.refresh_over_http(*keys, refresh_token, now_ns())
        expires_at = now_ns() // SECOND + LIFE_S
        return succeed(Token(issued.access_token, issued.refresh_token, expires_at))

    return Pages(answer)


def bot_with_file(
    tmp_path: Path, venue: Venue, oauth: Any, *, expires_in_s: float = LIFE_S, **arguments: Any
) -> WiredBot:
    path = tmp_path / "token.json"
    if not path.exists():
        write_token_file(path, Token(TOKEN.access_token, TOKEN.refresh_token, START // SECOND + expires_in_s))
    folder = tmp_path / arguments.get("run_id", "run1")
    folder.mkdir()
    config = bot_config(folder, credentials={"token_file": str(path)})
    return WiredBot(folder, config, venue, oauth=oauth, **arguments)


def in_file(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "token.json").read_text())  # type: ignore[no-any-return]


def expire(bot: WiredBot) -> None:
    assert bot.venue is not None
    bot.venue.credentials.expire(in_file(bot.config.credentials.token_file.parent)["access_token"], bot.now_ns())


def refreshes(venue: Venue) -> int:
    return sum(heard.payload_type == REFRESH for heard in venue.stage.request_log)


def test_a_token_that_expires_is_renewed_on_the_connection(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    expire(bot)
    bot.until(lambda: not bot.is_ready)
    bot.until(lambda: bot.is_ready)
    assert bot.driver.figures.connections == 1
    assert refreshes(venue) == 1
    kept = in_file(tmp_path)
    assert kept["access_token"] == bot.run.session.token.pair.access_token != TOKEN.access_token
    assert kept["refresh_token"] != TOKEN.refresh_token
    assert kept["expires_at"] == pytest.approx(bot.now_ns() / SECOND + LIFE_S, abs=5)
    journal = bot.journal_path.read_bytes()
    for secret in (kept["access_token"], kept["refresh_token"], TOKEN.access_token, TOKEN.refresh_token):
        assert str(secret).encode() not in journal


def test_a_token_is_renewed_ahead_of_its_end_while_trading_goes_on(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages(), expires_in_s=50).start()
    bot.until(lambda: bot.is_ready)
    bot.let(35)
    assert refreshes(venue) == 0
    bot.let(10)
    assert refreshes(venue) == 1
    assert bot.is_ready
    assert in_file(tmp_path)["access_token"] == bot.run.session.token.pair.access_token != TOKEN.access_token


def test_the_new_pair_is_on_disk_before_a_byte_leaves_that_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    used_before: list[bool] = []

    def write(path: Path, token: Token) -> None:
        used_before.append(any(token.access_token.encode() in data for data in bot.client.sent))
        write_token_file(path, token)

    monkeypatch.setattr(token_keeper, "write_token_file", write)
    expire(bot)
    bot.until(lambda: not bot.is_ready)
    bot.until(lambda: bot.is_ready)
    assert used_before == [False]
    new = in_file(tmp_path)["access_token"].encode()
    assert any(new in data for data in bot.client.sent)


def test_a_pair_that_cannot_be_stored_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)

    def full(path: Path, token: Token) -> None:
        raise ConfigError(f"{path}: the token file cannot be written: No space left on device")

    monkeypatch.setattr(token_keeper, "write_token_file", full)
    sent_before = len(bot.client.sent)
    expire(bot)
    bot.let(30)
    assert bot.result is not None
    assert bot.result.exit_code == EXIT_FAILED  # type: ignore[union-attr]
    assert "No space left" in bot.result.text  # type: ignore[union-attr]
    assert "auth login" in bot.result.text  # type: ignore[union-attr]
    new = bot.run.session.token.pair.access_token.encode()
    assert not any(new in data for data in bot.client.sent[sent_before:])
    assert TokenLock(tmp_path / "token.json").try_acquire()


def test_a_token_that_is_over_before_the_start_is_renewed_over_http(tmp_path: Path) -> None:
    venue = virtual_venue()
    pages = pages_of(venue, lambda: START)
    bot = bot_with_file(tmp_path, venue, pages, expires_in_s=-5)
    bot.client.connect = lambda: None  # no connection yet
    bot.start().let(1)
    assert pages.asked == [TOKEN.refresh_token]
    assert in_file(tmp_path)["access_token"] == bot.run.session.token.pair.access_token != TOKEN.access_token
    del bot.client.connect
    bot.client.connect()
    bot.until(lambda: bot.is_ready)
    assert refreshes(venue) == 0


def test_two_runs_with_one_token_file_refresh_it_once(tmp_path: Path) -> None:
    venue = virtual_venue()
    one = bot_with_file(tmp_path, venue, Pages()).start()
    other = bot_with_file(tmp_path, venue, Pages(), run_id="run2", clock=one.clock).start()

    def both_until(condition: Callable[[], bool]) -> None:
        for _ in range(30 * 128):
            if condition():
                return
            one.let(1 / 128)
            other.client.pump()
        raise AssertionError("still not so after 30 s")

    both_until(lambda: one.is_ready and other.is_ready)
    expire(one)
    both_until(lambda: not one.is_ready and not other.is_ready)
    both_until(lambda: one.is_ready and other.is_ready)
    assert refreshes(venue) == 1
    tokens = {bot.run.session.token.pair.access_token for bot in (one, other)}
    assert tokens == {in_file(tmp_path)["access_token"]}


def test_what_the_connection_refuses_is_asked_once_over_http(tmp_path: Path) -> None:
    venue = virtual_venue()
    bots: list[WiredBot] = []
    pages = pages_of(venue, lambda: bots[0].now_ns())
    bot = bot_with_file(tmp_path, venue, pages).start()
    bots.append(bot)
    bot.until(lambda: bot.is_ready)
    venue.stage.play(Fault(Reject("UNSUPPORTED_MESSAGE"), When(on_request=("ProtoOARefreshTokenReq",))), bot.now_ns())
    expire(bot)
    bot.until(lambda: not bot.is_ready)
    bot.until(lambda: bot.is_ready)
    assert refreshes(venue) == 1
    assert pages.asked == [TOKEN.refresh_token]
    assert in_file(tmp_path)["access_token"] == bot.run.session.token.pair.access_token


def test_without_http_a_refusal_is_final(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, False).start()
    bot.until(lambda: bot.is_ready)
    venue.stage.play(Fault(Reject("INVALID_REQUEST"), When(on_request=("ProtoOARefreshTokenReq",))), bot.now_ns())
    expire(bot)
    bot.let(20)
    assert bot.result is not None
    assert bot.result.exit_code == 3  # type: ignore[union-attr]
    assert "INVALID_REQUEST" in bot.result.text  # type: ignore[union-attr]


def test_a_refresh_token_that_is_used_up_ends_the_run_with_what_to_do(tmp_path: Path) -> None:
    venue = virtual_venue()
    pages = Pages(lambda _: fail(OAuthRefused("ACCESS_DENIED", "used up")))
    bot = bot_with_file(tmp_path, venue, pages).start()
    bot.until(lambda: bot.is_ready)
    venue.credentials.refresh(str(TOKEN.refresh_token), bot.now_ns())  # by somebody who kept the pair to himself
    venue.end_sessions(TOKEN.access_token, "the access token was refreshed")
    bot.let(30)
    assert bot.result is not None
    assert bot.result.exit_code == 3  # type: ignore[union-attr]
    assert "auth login" in bot.result.text  # type: ignore[union-attr]


def test_a_file_that_somebody_renewed_without_the_lock_is_found_after_a_refusal(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    issued = venue.credentials.refresh(str(TOKEN.refresh_token), bot.now_ns())
    assert issued is not None
    write_token_file(tmp_path / "token.json", Token(issued.access_token, issued.refresh_token, None))
    venue.end_sessions(TOKEN.access_token, "the access token was refreshed")
    bot.until(lambda: not bot.is_ready)
    bot.until(lambda: bot.is_ready)
    assert refreshes(venue) == 0


def test_while_another_process_refreshes_the_run_waits_for_its_pair(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    with TokenLock(tmp_path / "token.json"):
        issued = venue.credentials.refresh(str(TOKEN.refresh_token), bot.now_ns())
        assert issued is not None
        venue.end_sessions(TOKEN.access_token, "the access token was refreshed")
        bot.let(20)
        assert bot.result is None
        assert not bot.is_ready
        write_token_file(tmp_path / "token.json", Token(issued.access_token, issued.refresh_token, None))
    bot.until(lambda: bot.is_ready)
    assert refreshes(venue) == 0


@pytest.mark.parametrize("error", [OAuthUnreachable("no answer"), OAuthRefused("ACCESS_DENIED", "used up")])
def test_over_http_trouble_is_tried_again_and_a_refusal_is_not(tmp_path: Path, error: Exception) -> None:
    venue = virtual_venue()
    pages = Pages(*[lambda _: fail(error)] * 5)
    bot = bot_with_file(tmp_path, venue, pages, expires_in_s=-5)
    bot.client.connect = lambda: None
    bot.start().let(25)
    if isinstance(error, OAuthRefused):
        assert len(pages.asked) == 1
        assert bot.result is not None
        assert bot.result.exit_code == 3  # type: ignore[union-attr]
    else:
        assert len(pages.asked) == 3  # at 0, 5 and 15 s
        assert bot.result is None


@pytest.mark.parametrize("over_http", [False, True])
def test_a_run_that_renews_its_token_is_replayed_bit_for_bit(tmp_path: Path, *, over_http: bool) -> None:
    venue = virtual_venue()
    pages = pages_of(venue, lambda: START)
    bot = bot_with_file(tmp_path, venue, pages, expires_in_s=-5 if over_http else 50, seconds=60)
    if over_http:
        bot.client.connect = lambda: None
        bot.start().let(1)
        del bot.client.connect
        bot.client.connect()
    else:
        bot.start()
    bot.let(70)
    assert bot.result == Outcome(0)
    assert len(pages.asked) == over_http
    assert refreshes(venue) == (not over_http)
    result = replay_journal(bot.journal_path)
    assert result.difference is None
    assert result.decisions == len(bot.decisions)


def test_a_stop_waits_for_the_answer_that_holds_the_new_pair(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    venue.stage.fire(Latency(outbound_ns=3 * SECOND, inbound_ns=0), for_ns=60 * SECOND)
    expire(bot)
    bot.until(lambda: bot.run.session.is_renewing_token)
    bot.driver.stop(Outcome(0))
    bot.let(1)
    assert bot.result is None
    bot.let(8)
    assert bot.result == Outcome(0)
    assert refreshes(venue) == 1
    assert in_file(tmp_path)["access_token"] == bot.run.session.token.pair.access_token != TOKEN.access_token


def test_a_connection_that_is_given_up_in_the_same_breath_still_gives_the_new_pair(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages()).start()
    bot.until(lambda: bot.is_ready)
    venue.stage.fire(Latency(outbound_ns=SECOND), for_ns=10 * SECOND)
    expire(bot)
    bot.until(lambda: bot.run.session.is_renewing_token)
    bot.client.is_deaf = True
    bot.let(2)
    bot.client.is_deaf = False
    answer = bot.client.link.data_to_send()
    gone = message("ProtoOAClientDisconnectEvent")(reason="restart")
    bot.driver.link_data(frame(envelope(gone)) + answer)
    assert in_file(tmp_path)["access_token"] == bot.run.session.token.pair.access_token != TOKEN.access_token
    bot.until(lambda: bot.is_ready)
    assert refreshes(venue) == 1


def test_a_venue_whose_tokens_do_not_live_is_asked_twice_a_minute_at_most(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = bot_with_file(tmp_path, venue, Pages(), expires_in_s=50).start()
    venue.credentials.token_life_s = 1
    bot.let(120)
    assert 2 <= refreshes(venue) <= 4


def test_a_token_that_lives_for_ages_is_stored_and_used(tmp_path: Path) -> None:
    venue = virtual_venue()
    pages = Pages(lambda _: succeed(Token("ages", "refresh-ages", 2.0**62)))
    bot = bot_with_file(tmp_path, venue, pages, expires_in_s=-5)
    bot.client.connect = lambda: None
    bot.start().let(1)
    assert bot.result is None
    assert in_file(tmp_path)["access_token"] == "ages"
