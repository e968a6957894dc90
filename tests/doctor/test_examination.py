"""Examinations of embedded venues, good and broken: every verdict, and that nothing is sent that was not asked for."""

import math
from decimal import Decimal
from typing import Any

import pytest
from doctor_desk import ACCOUNT, START, StillMarket, Visit, venue

from bot.ctrader.enquiry import EnquiryFailed
from bot.ctrader.schema import enum
from bot.doctor.examination import listening_times
from bot.market.symbols import SymbolSpec
from bot.sim.change import Change
from bot.sim.listing import TIERS

WEEKDAYS = ((5 * 86_400, 6 * 86_400),)  # Friday alone; START is a Tuesday


def lists(made: Any, change: Any) -> None:
    """Let a venue list its symbols otherwise: `change` gets each ProtoOALightSymbol."""
    real = made.catalogue.light_symbol

    def light_symbol(spec: SymbolSpec) -> Any:
        light = real(spec)
        change(light)
        return light

    made.catalogue.light_symbol = light_symbol


def test_a_good_venue_passes_every_check() -> None:
    visit = Visit(venue()).run()
    assert set(visit.results().values()) == {"ok"}
    assert visit.findings.exit_code == 0
    for name in ("connection", "application", "token", "scope", "account", "kind", "session", "leverage", "clock"):
        assert visit.results()[name] == "ok"
    for symbol in ("EURUSD", "USDJPY"):
        for kind in ("symbol", "mode", "hours", "spot", "depth", "margin"):
            assert visit.results()[f"{kind}:{symbol}"] == "ok"


@pytest.mark.parametrize(
    "account",
    [
        {"account_type": "netted"},
        {"deposit_currency": "JPY", "balance": 1_500_000},
        {"deposit_currency": "EUR", "leverage": 30},
        {"leverage": 2000},
    ],
)
def test_every_kind_of_account_passes(account: dict[str, Any]) -> None:
    account |= {"balance": Decimal(account.get("balance", 10_000))}
    visit = Visit(venue(account=account), symbols=("EURUSD", "XAUUSD", "BTCUSD", "EURJPY")).run()
    assert set(visit.results().values()) == {"ok"}, visit.results()


def test_it_reads_only_unless_orders_are_asked_for() -> None:
    visit = Visit(venue()).run()
    assert visit.account.order_history == {}
    assert not any(name.startswith(("orders.", "demo_orders")) for name in (f.name for f in visit.findings.all))


# -- access ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name", "exit_code", "words"),
    [
        ({"token": "nobody's"}, "token", 3, "auth login"),
        ({"account_id": 42}, "account", 3, "not in the token's grant"),
        ({"environment": "live"}, "kind", 3, "is demo, but venue.environment is live"),
    ],
)
def test_what_is_not_authorised_fails_with_3_and_ends_it(
    changes: dict[str, Any], name: str, exit_code: int, words: str
) -> None:
    visit = Visit(venue(), **changes).run()
    assert (visit.check(name).result, visit.findings.exit_code) == ("fail", exit_code)
    assert words in visit.check(name).text
    assert visit.findings.checks[-1].name == name


def test_view_scope_fails_a_trading_config_and_is_enough_for_a_dry_run() -> None:
    trading = Visit(venue(), token="view", trade=True).run()
    assert (trading.check("scope").result, trading.findings.exit_code) == ("fail", 3)
    assert trading.results()["margin:EURUSD"] == "ok"  # the rest is examined all the same
    assert Visit(venue(), token="view").run().check("scope").result == "ok"


@pytest.mark.parametrize(
    ("rights", "trade", "result"),
    [
        ("FULL_ACCESS", True, "ok"),
        ("CLOSE_ONLY", True, "warn"),
        ("NO_TRADING", True, "fail"),
        ("NO_TRADING", False, "warn"),
        ("NO_LOGIN", False, "fail"),
    ],
)
def test_access_rights_are_judged_by_what_the_config_wants(rights: str, trade: bool, result: str) -> None:
    visit = Visit(reading(venue(), "ProtoOATraderRes", lambda r: set_rights(r, rights)), trade=trade).run()
    assert visit.check("access_rights").result == result


def set_rights(reply: Any, rights: str) -> None:
    reply.trader.accessRights = enum("ProtoOAAccessRights")[rights]


def reading(made: Any, name: str, change: Any) -> Any:
    """Let a venue's answers of one kind be otherwise: `change` gets each before it is sent."""
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real_send = link.send

        def send(body: Any, client_msg_id: str | None = None) -> None:
            if body.DESCRIPTOR.name == name:
                change(body)
            real_send(body, client_msg_id)

        link.send = send
        return link

    made.connect = connect
    return made


def test_what_the_broker_leaves_out_is_unknown_and_said() -> None:
    def nothing(reply: Any) -> None:
        reply.ClearField("permissionScope")
        for account in reply.ctidTraderAccount:
            account.ClearField("isLive")

    made = reading(venue(), "ProtoOAGetAccountListByAccessTokenRes", nothing)
    reading(made, "ProtoOATraderRes", lambda r: r.trader.ClearField("moneyDigits"))
    visit = Visit(made).run()
    assert visit.check("scope").result == visit.check("kind").result == "unknown"
    assert visit.seen("money_digits.trader").value is None
    assert visit.findings.exit_code == 0


# -- symbols -----------------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_fails_with_2_and_close_names_and_the_others_are_examined() -> None:
    visit = Visit(venue(), symbols=("EURUDS", "USDJPY")).run()
    check = visit.check("symbol:EURUDS")
    assert (check.result, check.exit_code, visit.findings.exit_code) == ("fail", 2, 2)
    assert "EURUSD" in check.text
    assert visit.results()["margin:USDJPY"] == "ok"


def test_without_any_good_symbol_it_still_comes_to_an_end() -> None:
    visit = Visit(venue(), symbols=("NOPE",)).run()
    assert visit.findings.exit_code == 2
    assert visit.results()["round_trip"] == "ok"


def test_a_disabled_symbol_fails_with_2() -> None:
    made = venue()
    lists(made, lambda light: setattr(light, "enabled", light.symbolName != "EURUSD"))
    visit = Visit(made).run()
    assert (visit.check("symbol:EURUSD").result, visit.findings.exit_code) == ("fail", 2)
    assert "disabled" in visit.check("symbol:EURUSD").text


@pytest.mark.parametrize(
    ("change", "name", "result"),
    [
        (lambda s: s.ClearField("lotSize"), "symbol:EURUSD", "fail"),
        (lambda s: setattr(s, "minVolume", s.maxVolume + s.stepVolume), "symbol:EURUSD", "fail"),
        (lambda s: setattr(s, "minVolume", s.stepVolume + 1), "symbol:EURUSD", "warn"),
        (lambda s: setattr(s, "tradingMode", 3), "mode:EURUSD", "warn"),
        (lambda s: setattr(s, "enableShortSelling", False), "short:EURUSD", "warn"),
        (lambda s: s.ClearField("schedule"), "hours:EURUSD", "unknown"),
    ],
)
def test_details_that_cannot_be_traded_on_are_named(change: Any, name: str, result: str) -> None:
    made = reading(venue(), "ProtoOASymbolByIdRes", lambda r: [change(symbol) for symbol in r.symbol])
    visit = Visit(made, symbols=("EURUSD",)).run()
    assert visit.check(name).result == result


def test_a_missing_conversion_chain_fails() -> None:
    made = reading(venue(), "ProtoOASymbolsForConversionRes", lambda r: r.ClearField("symbol"))
    visit = Visit(made).run()
    assert visit.check("conversion:USD").result == "fail"
    assert "JPY" in visit.check("conversion:USD").text


# -- the market --------------------------------------------------------------------------------------------------------


def closed(reply: Any) -> None:
    for symbol in reply.symbol:
        del symbol.schedule[:]
        symbol.schedule.add(startSecond=WEEKDAYS[0][0], endSecond=WEEKDAYS[0][1])


@pytest.mark.parametrize("quoted", [True, False])
def test_a_closed_market_is_unknown_and_never_a_failure(quoted: bool) -> None:
    made = venue(market=StillMarket(quoted=quoted))
    reading(made, "ProtoOASymbolByIdRes", closed)
    visit = Visit(made).run()
    assert visit.findings.counts()["fail"] == 0
    assert visit.check("spot:EURUSD").result == "unknown"
    assert "closed" in visit.check("spot:EURUSD").text
    assert visit.check("clock").result == "unknown"
    assert "opens Fri" in visit.check("hours:EURUSD").text
    # The last prices are enough to compare margins; without any there is nothing to compare.
    assert visit.check("margin:EURUSD").result == ("ok" if quoted else "unknown")
    assert visit.seen("depth.EURUSD.levels" if quoted else "depth.EURUSD").value == (1 if quoted else None)


def test_prices_without_depth_are_a_warning() -> None:
    made = venue()
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real = link.send_frame
        link.send_frame = lambda data: None if b"\x08\xeb\x10" in data[:8] else real(data)  # payload type 2155
        return link

    made.connect = connect
    visit = Visit(made).run()
    assert visit.check("depth:EURUSD").result == "warn"
    assert visit.check("spot:EURUSD").result == "ok"


def test_a_crossed_book_is_a_warning_with_its_share() -> None:
    market = StillMarket()
    market.queue.append(Change(START + 10**9, 1, 110_010, 110_000, StillMarket.book(1, 110_010, 110_000)))
    check = Visit(venue(market=market), symbols=("EURUSD",)).run().check("depth:EURUSD")
    assert check.result == "warn"
    assert "crossed at" in check.text


@pytest.mark.parametrize(
    ("ahead_s", "result", "words"),
    [(0.0, "ok", ""), (0.9, "ok", "0.9"), (5.0, "warn", "5.000 s ahead of"), (-5.0, "warn", "5.000 s behind")],
)
def test_the_clock_s_offset_is_measured_and_a_wrong_clock_is_a_warning(ahead_s: float, result: str, words: str) -> None:
    check = Visit(venue(), clock_ahead_s=ahead_s).run().check("clock")
    assert check.result == result
    assert words in check.text
    assert check.value == pytest.approx(ahead_s, abs=0.002)


# -- margin ------------------------------------------------------------------------------------------------------------


def test_a_venue_that_says_500_for_1_to_500_is_told_from_one_that_says_50000() -> None:
    plain = Visit(venue()).run().check("margin:EURUSD")
    cents = Visit(venue(tier_leverage_in_cents=True)).run().check("margin:EURUSD")
    assert (plain.result, plain.value["readings"]) == ("ok", ["ratio"])
    assert (cents.result, cents.value["readings"]) == ("ok", ["hundredths"])
    assert "whole ratios" in plain.text
    assert "hundredths" in cents.text


def test_either_reading_fits_where_the_account_s_own_leverage_is_the_smaller_everywhere() -> None:
    made = venue(
        account={"leverage": 4}, tiers={1: ((1_000_000, 900), (5_000_000, 800)), **{k: TIERS[k] for k in (2, 3)}}
    )
    check = Visit(made, symbols=("EURUSD",)).run().check("margin:EURUSD")
    assert (check.result, check.value["readings"]) == ("ok", ["ratio", "hundredths"])


def test_tiers_that_fit_in_no_reading_fail_with_the_figures() -> None:
    lying = dict(TIERS) | {1: ((1_000_000, 333), (5_000_000, 150), (50_000_000, 77))}
    visit = Visit(venue(tiers=lying)).run()
    check = visit.check("margin:EURUSD")
    assert (check.result, visit.findings.exit_code, check.value["readings"]) == ("fail", 1, [])
    assert "no reading" in check.text
    # 27.27 lots at 1.10 are 3 M USD: 1 M / 500 + 2 M / 200 = 12,000 charged.
    assert "12,0" in check.text or "11,99" in check.text


def test_a_reading_that_fits_but_is_not_the_bot_s_own_fails() -> None:
    """A table of 1:50 and 1:20 in hundredths lies below 10000, where the bot takes it for ratios."""
    low = {1: ((1_000_000, 5_000), (5_000_000, 2_000)), **{k: TIERS[k] for k in (2, 3)}}
    made = venue(tiers=dict(TIERS) | {1: ((1_000_000, 50), (5_000_000, 20))})
    made.desks[ACCOUNT].account._tiers = made.catalogue.tiers  # charge by these, and say them in hundredths
    made.tiers = made.catalogue.tiers = low
    check = Visit(made, symbols=("EURUSD",)).run().check("margin:EURUSD")
    assert check.result == "fail"
    assert check.value["readings"] == ["hundredths"]
    assert "the bot would read it" in check.text


def test_expected_margin_on_top_of_open_positions_is_recognised() -> None:
    made = venue(account={"balance": Decimal(1_000_000)})
    made.owner.trade(ACCOUNT, 1, "buy", 500_000_000)
    check = Visit(made, symbols=("EURUSD",)).run().check("margin:EURUSD")
    assert check.result == "ok"
    assert "on top of what is open" in check.text


@pytest.mark.parametrize(("field", "value", "check"), [("isLimitedRisk", True, "limited_risk"),
                                                      ("accountType", 2, "account_type")])  # fmt: skip
def test_an_account_of_a_kind_that_is_not_supported_fails(field: str, value: Any, check: str) -> None:
    visit = Visit(reading(venue(), "ProtoOATraderRes", lambda r: setattr(r.trader, field, value))).run()
    assert visit.check(check).result == "fail" and "not supported" in visit.check(check).text


def test_no_value_of_a_finding_is_a_number_json_cannot_hold() -> None:
    def finite(value: Any) -> bool:
        if isinstance(value, float):
            return math.isfinite(value)
        if isinstance(value, dict):
            return all(map(finite, value.values()))
        return all(map(finite, value)) if isinstance(value, list | tuple) else True

    zero = reading(venue(), "ProtoOAExpectedMarginRes", lambda r: [setattr(m, "buyMargin", 0) for m in r.margin])
    for made in (venue(), venue(market=StillMarket(quoted=False)), zero):
        visit = Visit(made).run()
        assert all(finite(finding.value) for finding in visit.findings.all)


# -- measurements ------------------------------------------------------------------------------------------------------


def test_the_embedded_venue_s_habits_are_measured_as_they_are() -> None:
    visit = Visit(venue(), symbols=("EURUSD",)).run()
    assert visit.seen("depth.EURUSD.first_event_is_snapshot").value is True
    assert visit.seen("depth.EURUSD.id_in_both_lists").value == 0
    assert visit.seen("depth.EURUSD.crossed").value == 0
    assert visit.seen("depth.EURUSD.levels").value == 10
    assert visit.seen("depth.EURUSD.top_equals_spot_frac").value > 0.9
    assert visit.seen("depth.EURUSD.ids_after_resubscription").value == "kept"
    assert visit.seen("duplicate_subscription").value == "ALREADY_SUBSCRIBED"
    assert visit.seen("spot_timestamp_unit").value == "ms"
    assert visit.seen("tick_data.prices").value == "differences"
    assert visit.seen("tick_data.times").value == "differences, newest first"
    assert visit.seen("answers_in_order").value is True
    assert visit.seen("server_heartbeat_s").value is None


def test_a_long_listening_leaves_the_link_idle_and_sees_the_heartbeats() -> None:
    visit = Visit(venue(), symbols=("EURUSD",), seconds=100).run()
    assert visit.seen("server_heartbeat_s").value == pytest.approx(25, abs=0.5)
    assert listening_times(15) == (15, 0)
    assert listening_times(44) == (44, 0)
    assert listening_times(45) == (15, 30)


def test_a_drop_in_the_middle_is_exit_4_and_what_was_found_stays() -> None:
    def cut(visit: Visit) -> None:
        if visit.now_ns > START + 2 * 10**9:
            visit.enquiry.connection_lost(visit.now_ns, "cut")

    visit = Visit(venue(), between=cut).run()
    assert visit.check("session").result == "ok"
    assert visit.findings.result_of("round_trip") in (None, "unknown")


def test_a_failure_before_the_script_is_about_the_connection_or_the_application() -> None:
    for code, name in ((4, "connection"), (3, "application")):
        visit = Visit(venue())
        visit.examination.failed(EnquiryFailed(code, "why"))
        assert (visit.check(name).result, visit.findings.exit_code) == ("fail", code)
