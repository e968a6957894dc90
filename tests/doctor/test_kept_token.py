"""The token file over a refresh of the doctor's: at every moment it holds a token that the venue takes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from doctor_desk import SECOND, Visit, venue
from test_provocations import REFRESH, hearing, log

from bot.cli.kept_token import KeptToken
from bot.config.token_file import Token, TokenLock, read_token_file
from bot.ctrader.enquiry import EnquiryFailed


def token_file(folder: Path, access: str = "trade", refresh: str | None = "refresh") -> Path:
    path = folder / "token.json"
    path.write_text(json.dumps({"access_token": access, "refresh_token": refresh, "expires_at": 2_000_000_000}))
    path.chmod(0o600)
    return path


def visit_with(path: Path, made: Any, **options: Any) -> Visit:
    keeper = KeptToken(path, read_token_file(path), lambda secret: None)
    return Visit(made, symbols=("EURUSD",), provoke=True, keeper=keeper, **options)


def is_good(made: Any, path: Path) -> bool:
    """Whether the file's token is one that the venue takes, and can be refreshed again."""
    token = read_token_file(path)
    good = made.credentials.grant(token.access_token) is not None
    return good and token.refresh_token in made.credentials._refresh


def is_free(path: Path) -> bool:
    lock = TokenLock(path)
    try:
        return lock.try_acquire()
    finally:
        lock.release()


def test_killed_at_any_step_the_file_holds_the_new_pair_and_nothing_is_asked_before_it_does(tmp_path: Path) -> None:
    path, made = token_file(tmp_path), venue()
    steps = {"good": 0, "heard": 0}

    def heard(link: Any, number: int) -> None:
        assert is_good(made, path), "a request left before the new pair was in the file"
        steps["heard"] += 1

    def between(visit: Visit) -> None:
        assert is_good(made, path), "killed here, the token would be lost"
        steps["good"] += 1

    visit = visit_with(path, hearing(made, heard), between=between).run(1500)
    assert visit.check("token_kept").result == "ok"
    assert read_token_file(path).access_token != "trade"
    assert min(steps.values()) > 100
    assert is_free(path)


@pytest.mark.parametrize("patient", [True, False])
def test_an_interrupt_while_the_answer_is_under_way_loses_no_token(tmp_path: Path, patient: bool) -> None:
    """Impatient: the second interrupt comes a moment later, when the answer has come."""
    path, made = token_file(tmp_path), venue()
    stops: list[int] = []

    def heard(link: Any, number: int) -> None:
        if number == REFRESH and not stops:
            stops.append(1)
            visit.enquiry.stop(EnquiryFailed(130, "interrupted"), visit.now_ns)

    def between(visit: Visit) -> None:
        if stops and not patient and not visit.enquiry.is_over:
            visit.enquiry.stop(EnquiryFailed(130, "interrupted"), visit.now_ns)

    visit = visit_with(path, hearing(made, heard), between=between)
    visit.run(1500)
    assert isinstance(visit.enquiry.error, EnquiryFailed)
    assert visit.enquiry.error.exit_code == 130
    assert visit.check("token_kept").result == "ok"
    assert is_good(made, path)
    assert is_free(path)
    kinds = [entry.payload_type for entry in log(visit)]
    assert kinds[-1] == REFRESH, "nothing was measured any more"


def holding_back(made: Any, seconds: float | None) -> Any:
    """Let the answer to a refresh come late, or not at all (None)."""
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real = link.send

        def send(body: Any, client_msg_id: str | None = None) -> None:
            if body.DESCRIPTOR.name != "ProtoOARefreshTokenRes":
                real(body, client_msg_id)
            elif seconds is not None:
                due_ns = made.now_ns + round(seconds * SECOND)
                made.stage.schedule(due_ns, lambda now_ns: real(body, client_msg_id))

        link.send = send
        return link

    made.connect = connect
    return made


def test_an_answer_that_comes_after_the_patience_is_over_is_kept_all_the_same(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    made = holding_back(venue(), 19)
    visit = visit_with(path, made).run(1500)
    assert visit.check("token_kept").result == "ok"
    assert is_good(made, path)
    assert visit.seen("token_refresh.auth_again").value == "accepted"


def test_an_answer_that_never_comes_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    visit = visit_with(path, holding_back(venue(), None)).run(1500)
    check = visit.check("token_kept")
    assert (check.result, check.exit_code, "auth login" in check.text) == ("fail", 3, True)
    assert read_token_file(path).access_token == "trade"
    assert is_free(path)


def test_two_interrupts_before_the_answer_comes_say_that_the_token_may_be_gone(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    stops: list[int] = []

    def between(visit: Visit) -> None:
        if log(visit) and log(visit)[-1].payload_type == REFRESH and len(stops) < 2:
            stops.append(1)
            visit.enquiry.stop(EnquiryFailed(130, "interrupted"), visit.now_ns)

    visit = visit_with(path, holding_back(venue(), 3), between=between).run(1500)
    assert visit.enquiry.is_over
    check = visit.check("token_kept")
    assert (check.result, "auth login" in check.text) == ("fail", True)
    assert is_free(path)


def test_a_connection_lost_while_the_answer_is_under_way_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    path, made = token_file(tmp_path), venue()
    visit = visit_with(path, hearing(made, lambda link, number: link.drop("cut") if number == REFRESH else None))
    visit.run(1500)
    assert visit.check("token_kept").result == "fail"
    assert is_free(path)


def test_a_file_that_cannot_be_replaced_is_found_out_before_the_refresh_token_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = token_file(tmp_path), venue()

    def full(*given: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bot.config.token_file.tempfile.mkstemp", full)
    visit = visit_with(path, made).run(1500)
    assert "No space left" in visit.seen("token_refresh.events").text
    assert REFRESH not in {entry.payload_type for entry in log(visit)}
    assert is_good(made, path)
    assert is_free(path)


def test_a_disk_that_fails_at_the_worst_moment_is_a_failure_without_a_secret_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = token_file(tmp_path)

    def broken(*given: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", broken)
    visit = visit_with(path, venue()).run(1500)
    check = visit.check("token_kept")
    assert (check.result, check.exit_code) == ("fail", 1)
    assert "Input/output error" in check.text
    assert visit.examination.facts.access_token not in check.text
    assert visit.seen("excess.OrderListReq").value["served"] == 5, "the rest is measured with the new token"


@pytest.mark.parametrize(
    ("access", "refresh", "words"),
    [("another", "refresh", "another process has refreshed"), ("trade", None, "no refresh token")],
)
def test_a_file_that_has_changed_meanwhile_is_left_alone(
    access: str, refresh: str | None, words: str, tmp_path: Path
) -> None:
    path = token_file(tmp_path, access, refresh)
    keeper = KeptToken(path, Token("trade", "refresh"), lambda secret: None)
    visit = Visit(venue(), symbols=("EURUSD",), provoke=True, keeper=keeper).run(1500)
    assert words in visit.seen("token_refresh.events").text
    assert REFRESH not in {entry.payload_type for entry in log(visit)}
    assert is_free(path)


def test_while_another_process_refreshes_nothing_is_asked(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    with TokenLock(path):
        visit = visit_with(path, venue()).run(1500)
    assert "another process is refreshing" in visit.seen("token_refresh.events").text
    assert REFRESH not in {entry.payload_type for entry in log(visit)}


def test_a_refused_refresh_leaves_the_old_pair_and_the_lock_free(tmp_path: Path) -> None:
    path = token_file(tmp_path, refresh="not-the-venue-s")
    visit = visit_with(path, venue()).run(1500)
    assert "CH_ACCESS_TOKEN_INVALID" in visit.seen("token_refresh.events").text
    assert read_token_file(path).access_token == "trade"
    assert is_free(path)


def test_every_new_secret_is_learned_so_that_no_report_can_hold_it(tmp_path: Path) -> None:
    path, learned = token_file(tmp_path), list[str]()
    keeper = KeptToken(path, read_token_file(path), learned.append)
    assert keeper.begin() == "refresh"
    keeper.keep("new-access", "new-refresh", 1_900_000_000 * SECOND)
    keeper.end()
    assert learned == ["new-access", "new-refresh"]
    assert read_token_file(path) == Token("new-access", "new-refresh", 1_900_000_000.0)
