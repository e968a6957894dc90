"""What is provoked on purpose, against venues that take it either way; and that nothing of it happens unasked."""

from itertools import pairwise
from typing import Any

import pytest
from doctor_desk import ACCOUNT, SECOND, START, Talk, Visit, venue
from test_demo_orders import kind

from bot.ctrader.enquiry import EnquiryFailed, Heard
from bot.ctrader.schema import message, payload_type
from bot.doctor.excess import MOST_PROBING_S
from bot.doctor.second_connection import SecondView, tell_stream
from bot.sim.entities import Refused
from bot.sim.rate_limits import RateLimits

TRADING = {
    payload_type(f"ProtoOA{name}Req")
    for name in ("NewOrder", "CancelOrder", "AmendOrder", "AmendPositionSLTP", "ClosePosition")
}
REFRESH, VERSION = payload_type("ProtoOARefreshTokenReq"), payload_type("ProtoOAVersionReq")


class Keeper:
    """Keeps a token in memory, and notes what it was told."""

    def __init__(self, refresh_token: str = "refresh") -> None:
        self._refresh_token = refresh_token
        self.said: list[str] = []
        self.pair: tuple[str, str] | None = None

    def begin(self) -> str:
        self.said.append("begin")
        return self._refresh_token

    def keep(self, access_token: str, refresh_token: str, expires_ns: int) -> None:
        self.said.append("keep")
        self.pair = access_token, refresh_token

    def end(self) -> None:
        self.said.append("end")


def provoked(made: Any, **options: Any) -> Visit:
    return Visit(made, symbols=("EURUSD",), provoke=True, **options).run(1500)


def log(visit: Visit) -> list[Any]:
    return list(visit.venue.stage.request_log)


def hearing(made: Any, heard: Any) -> Any:
    """Call `heard(link, payload type)` before the venue takes a frame."""
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real = link._receive_frame

        def receive_frame(body: bytes, received_ns: int) -> None:
            heard(link, message("ProtoMessage").FromString(body).payloadType)
            real(body, received_ns)

        link._receive_frame = receive_frame
        return link

    made.connect = connect
    return made


# -- unasked -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orders", [False, True])
def test_without_the_flag_nothing_of_it_happens(orders: bool) -> None:
    keeper = Keeper()
    visit = Visit(venue(), orders=orders, seconds=60, keeper=keeper).run()
    entries = log(visit)
    assert {entry.link_number for entry in entries} == {1}
    kinds = {entry.payload_type for entry in entries}
    assert REFRESH not in kinds
    assert bool(kinds & TRADING) is orders
    limits = visit.venue.stage.request_log
    assert limits.max_in_window(SECOND, historical=True) <= 5
    assert limits.max_in_window(SECOND, historical=False) <= 50
    times = [entry.received_ns for entry in entries] + [visit.now_ns]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 10.1 * SECOND
    assert keeper.said == []
    assert not any(f.name.startswith(("excess", "second_", "token_refresh", "idle_")) for f in visit.findings.all)


def test_with_the_flag_alone_no_order_is_sent() -> None:
    visit = provoked(venue())
    assert not {entry.payload_type for entry in log(visit)} & TRADING
    assert visit.account.order_history == {}


@pytest.mark.parametrize("is_live", [True, None])
def test_an_account_not_known_to_be_a_demo_is_refused_with_2_before_any_of_it(is_live: bool | None) -> None:
    keeper = Keeper()
    visit = Visit(kind(venue(), is_live), provoke=True, keeper=keeper).run()
    error = visit.enquiry.error
    assert isinstance(error, EnquiryFailed)
    assert (error.exit_code, "--provoke" in error.text, "not demo" in error.text) == (2, True, True)
    assert len(log(visit)) == 3  # application, version, account list
    assert keeper.said == []


# -- too many requests -------------------------------------------------------------------------------------------------

BLOCKS = {"block_after": 3, "block_for_ns": 7 * SECOND}


@pytest.mark.parametrize(
    ("limits", "codes", "told", "again"),
    [
        (RateLimits(), ["REQUEST_FREQUENCY_EXCEEDED"], None, 1),
        (RateLimits(**BLOCKS), ["BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"], 7, 7),
        (
            RateLimits(**BLOCKS, tells_retry_after=False),
            ["BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"],
            None,
            7,
        ),
    ],
)
def test_an_excess_is_measured_by_its_codes_its_wait_and_when_the_type_is_served_again(
    limits: RateLimits, codes: list[str], told: float | None, again: float
) -> None:
    visit = provoked(venue(rate_limits=limits))
    for name, served in (("VersionReq", 50), ("GetTrendbarsReq", 5), ("OrderListReq", 5)):
        value = visit.seen(f"excess.{name}").value
        assert (value["codes"], value["served"], value["retry_after_s"]) == (codes, served, told)
        assert value["served_again_s"] == pytest.approx(again, abs=1.01)
    assert visit.seen("excess.refused_requests_extend").value is None


def test_a_venue_that_refuses_nothing_gets_three_bursts_and_no_more() -> None:
    visit = provoked(venue(rate_limits=RateLimits(requests_per_s=10_000, historical_per_s=10_000)))
    for name, count in (("VersionReq", 60), ("GetTrendbarsReq", 10), ("OrderListReq", 10)):
        assert visit.seen(f"excess.{name}").value == "not refused"
        kind_number = payload_type(f"ProtoOA{name}")
        sent = [entry for entry in log(visit) if entry.payload_type == kind_number]
        assert 3 * count <= len(sent) <= 3 * count + 10


@pytest.mark.slow
def test_a_block_that_every_request_begins_anew_is_probed_gently_and_ends_within_the_bound() -> None:
    """Probes once a second would keep such a block up for ever; they become rarer."""
    extending = RateLimits(**BLOCKS, refused_extend=True, tells_retry_after=False)
    visit = provoked(venue(rate_limits=extending))
    assert 7 < visit.seen("excess.VersionReq").value["served_again_s"] <= MOST_PROBING_S
    endless = RateLimits(block_after=3, block_for_ns=500 * SECOND, tells_retry_after=False)
    visit = provoked(venue(rate_limits=endless))
    measured = visit.seen("excess.VersionReq")
    assert measured.value["served_again_s"] is None
    assert "not served again within 90 s" in measured.text
    probes = [e for e in log(visit) if e.payload_type == VERSION and e.outcome == "BLOCKED_PAYLOAD_TYPE"]
    # The burst, then never more than one a second, and none after the bound; the last ones are other parts'.
    times = sorted({entry.received_ns for entry in probes})
    assert all(later - earlier >= 0.99 * SECOND for earlier, later in pairwise(times))
    assert len([t for t in times if t - times[0] <= MOST_PROBING_S * SECOND]) <= 16


def test_a_venue_that_closes_the_connection_on_an_excess_is_said_and_ends_the_bursts() -> None:
    counts = {"version": 0}

    def heard(link: Any, number: int) -> None:
        counts["version"] += number == VERSION
        if counts["version"] > 40:
            link.drop("too many requests")

    visit = provoked(hearing(venue(), heard))
    assert visit.seen("excess.VersionReq").value == "DISCONNECTED"
    assert not any(f.name == "excess.OrderListReq" for f in visit.findings.all)
    assert visit.seen("idle_close_s").value is None


# -- a second connection -----------------------------------------------------------------------------------------------


def test_two_connections_that_both_hold_the_account() -> None:
    visit = provoked(venue())
    assert visit.seen("second_connection.holds").value == "both"
    assert visit.seen("second_connection.first_stream").value == "kept"
    assert {entry.link_number for entry in log(visit)} == {1, 2}
    assert visit.venue.links == [visit.talks[0].link], "the second is closed"


def taking_over(made: Any) -> Any:
    """Let every new session of the account end the older ones, with an event."""

    def heard(link: Any, number: int) -> None:
        if number == payload_type("ProtoOAAccountAuthReq"):
            made.disconnect_account(ACCOUNT)

    return hearing(made, heard)


def test_a_second_connection_that_takes_the_session_away_and_the_first_gets_it_back() -> None:
    visit = provoked(taking_over(venue()))
    measured = visit.seen("second_connection.holds")
    assert measured.value == "second only"
    assert "2164" in measured.text
    assert visit.seen("second_connection.first_stream").value == "lost"
    assert visit.check("session_restored").result == "ok"
    assert visit.seen("excess.GetTrendbarsReq").value["codes"] == ["REQUEST_FREQUENCY_EXCEEDED"], "it went on after it"


def test_prices_that_came_before_the_second_was_in_do_not_count() -> None:
    visit = provoked(venue())
    facts, spot = visit.examination.facts, message("ProtoOASpotEvent")(ctidTraderAccountId=ACCOUNT, symbolId=1)
    for at_ns, spot_count, seen in ((50, 5, "lost"), (150, 5, "kept"), (50, 1, None)):
        tell_stream(facts, SecondView(logged_in_ns=100, spot_count=spot_count), [Heard(at_ns, spot, None)])
        assert getattr(visit.findings.all[-1], "value", "") == seen


def test_a_second_connection_that_is_not_let_in() -> None:
    made = venue()
    real = made.check_login

    def check_login(account_id: int) -> None:
        if any(link.has_account(account_id) for link in made.links):
            raise Refused("CONNECTIONS_LIMIT_EXCEEDED", "one session an account")
        real(account_id)

    made.check_login = check_login
    visit = provoked(made)
    measured = visit.seen("second_connection.holds")
    assert measured.value == "first only"
    assert "CONNECTIONS_LIMIT_EXCEEDED" in measured.text


def test_a_second_connection_that_cannot_be_made_is_said_and_the_rest_goes_on() -> None:
    made = venue()

    def heard(link: Any, number: int) -> None:
        if link.number == 2:
            link.drop("one is enough")

    visit = Visit(hearing(made, heard), symbols=("EURUSD",), provoke=True)

    def carry(talk: Talk) -> bool:
        if talk.link.is_closed and not talk.enquiry.is_over and talk.enquiry is not visit.enquiry:
            talk.enquiry.stop(EnquiryFailed(4, "no conversation within 5 s"), visit.now_ns)
        return real_carry(talk)

    real_carry = Talk.carry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Talk, "carry", carry)
        visit.run(1500)
    measured = visit.seen("second_connection.holds")
    assert measured.value == "no second connection"
    assert "within 5 s" in measured.text
    assert visit.seen("excess.VersionReq").value["served"] == 50


# -- a refresh ---------------------------------------------------------------------------------------------------------


def test_a_refresh_that_ends_the_sessions_of_the_old_token() -> None:
    keeper = Keeper()
    visit = provoked(venue(), keeper=keeper)
    assert keeper.said == ["begin", "keep", "end"]
    assert keeper.pair is not None
    assert visit.venue.credentials.grant(keeper.pair[0]) is not None
    assert visit.venue.credentials.grant("trade") is None
    assert visit.check("token_kept").result == "ok"
    assert visit.seen("token_refresh.events").value == ["AccountsTokenInvalidatedEvent (2147)"]
    assert visit.seen("token_refresh.session_lives").value is False
    assert visit.seen("token_refresh.auth_again").value == "accepted"
    assert visit.check("session_restored").result == "ok"
    assert visit.seen("excess.OrderListReq").value["served"] == 5, "the rest is measured with the new token"


def test_a_refresh_that_leaves_the_sessions_alone() -> None:
    made = venue()
    made.end_sessions = lambda token, reason: None
    visit = provoked(made, keeper=Keeper())
    assert visit.seen("token_refresh.events").value == []
    assert visit.seen("token_refresh.session_lives").value is True
    assert visit.seen("token_refresh.stream").value > 0
    assert visit.seen("token_refresh.auth_again").value == "ALREADY_LOGGED_IN"


def test_a_token_that_is_not_kept_in_a_file_is_not_refreshed() -> None:
    visit = provoked(venue())
    assert visit.seen("token_refresh.events").value is None
    assert REFRESH not in {entry.payload_type for entry in log(visit)}


def test_the_new_token_is_in_no_finding() -> None:
    keeper = Keeper("old-refresh")
    made = venue(access_token="old-access", refresh_token="old-refresh")
    visit = provoked(made, token="old-access", keeper=keeper)
    assert keeper.pair is not None
    said = repr(visit.findings.all) + repr(visit.examination.facts.plan)
    assert not any(secret in said for secret in (*keeper.pair, "old-refresh", "old-access"))


# -- silence -----------------------------------------------------------------------------------------------------------


def test_a_venue_that_closes_idle_clients_is_measured() -> None:
    def strict(visit: Visit) -> None:
        heard = log(visit)
        if heard and visit.now_ns - heard[-1].received_ns >= 20 * SECOND:
            visit.talks[0].link.drop("idle")

    visit = provoked(venue(), seconds=40, between=strict)
    measured = visit.seen("idle_close_s")
    assert measured.value == pytest.approx(20, abs=1.1)
    assert "closed by the venue" in measured.text
    assert visit.findings.exit_code == 0


def test_a_venue_that_bears_the_silence_is_said_to() -> None:
    visit = provoked(venue(), seconds=40)
    measured = visit.seen("idle_close_s")
    assert (measured.value, "still open after 40 s" in measured.text) == (None, True)
    assert log(visit)[-1].received_ns <= visit.now_ns - 39 * SECOND


def test_a_short_listening_tries_no_silence() -> None:
    visit = provoked(venue(), seconds=29)
    assert "not tried" in visit.seen("idle_close_s").text
    assert visit.now_ns < START + 200 * SECOND
