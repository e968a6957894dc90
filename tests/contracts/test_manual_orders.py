"""`manage: all` over the wire, in memory: orders that the account's owner rests by hand, resized at the venue."""

from decimal import Decimal
from pathlib import Path

import pytest
from owners_orders import (
    LOT,
    NO_AMENDS,
    TERMS,
    ended_well,
    eurusd,
    faulty_venue,
    following_bot,
    given,
    order,
    planned,
    rest,
)  # fmt: skip
from wired_bot import ACCOUNT, virtual_venue

from bot.app import replay_journal


@pytest.mark.parametrize(
    ("order_type", "account_type"), [("limit", "hedged"), ("stop", "netted"), ("stop_limit", "hedged")]
)
def test_an_order_is_cut_and_given_back_and_all_else_of_it_is_kept(
    order_type: str, account_type: str, tmp_path: Path
) -> None:
    venue = virtual_venue(account_type=account_type)
    bot = following_bot(tmp_path, venue, seconds=20)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue, order_type)
    as_given = given(order(venue, order_id))
    bot.let(2)
    # 3 equities of 10 000 USD are 27 000 EUR at 1.10; a cut leaves 95 % of that.
    assert order(venue, order_id).volume_cents == 2_500_000
    assert given(order(venue, order_id)) == as_given
    venue.deposit(ACCOUNT, 10_000)
    bot.let(3)
    assert order(venue, order_id).volume_cents == 5_100_000
    venue.deposit(ACCOUNT, 40_000)
    bot.let(3)
    assert order(venue, order_id).volume_cents == LOT, "and never beyond what its owner gave it"
    venue.withdraw(ACCOUNT, 55_000)
    bot.let(3)
    assert order(venue, order_id).volume_cents == 1_200_000
    assert given(order(venue, order_id)) == as_given
    assert [action for action, *_ in planned(bot)] == ["amend"] * 4
    amends = [w.body for w in bot.written if w.name == "ProtoOAAmendOrderReq"]
    for name, told in TERMS[order_type].items():
        if name not in ("timeInForce", "comment", "label"):
            assert {getattr(body, name) for body in amends} == {told}, name
    assert ended_well(bot)


def test_an_order_that_would_have_nothing_left_is_taken_back_and_one_that_reduces_is_left_alone(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, seconds=15)
    bot.until(lambda: bot.is_ready)
    venue.trade_by_hand(ACCOUNT, eurusd(venue), "buy", 2_600_000)
    bot.let(3)
    grows, reduces = rest(venue, "limit", "buy", 500_000), rest(venue, "limit", "sell", 2_000_000, limitPrice=1.2)
    bot.let(3)
    assert set(venue.desks[ACCOUNT].account.orders) == {reduces}
    assert order(venue, reduces).volume_cents == 2_000_000
    assert ("cancel", "limit", 500_000) in planned(bot)
    (line,) = [o for d in bot.decisions for o in d.intended if o.action == "cancel"]
    assert line.order_id == grows and line.client_order_id.startswith("run1-")
    assert "less than the least volume would be left: leverage allows +3.00x, held +" in line.reason
    assert ended_well(bot)


def test_an_owners_change_is_his_new_wish(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, seconds=20)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(2)
    assert order(venue, order_id).volume_cents == 2_500_000
    venue.amend_by_hand(order_id, volume=1_500_000, limitPrice=1.06)
    venue.deposit(ACCOUNT, 50_000)
    bot.let(3)
    assert (order(venue, order_id).volume_cents, order(venue, order_id).limit_price) == (1_500_000, Decimal("1.06"))
    venue.amend_by_hand(order_id, limitPrice=1.07)
    bot.let(2)
    assert order(venue, order_id).limit_price == Decimal("1.07")
    venue.amend_by_hand(order_id, volume=3 * LOT)
    bot.let(3)
    assert order(venue, order_id).volume_cents == 15_500_000, "3 x 60 000 USD, less a twentieth"
    assert ended_well(bot)


def test_a_price_that_our_own_amend_has_overtaken_is_put_back(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, seconds=20)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(2)
    bot.client.is_deaf = True
    venue.amend_by_hand(order_id, limitPrice=1.06)  # the bot does not know it yet
    venue.withdraw(ACCOUNT, 5_000)
    bot.client.is_deaf = False
    bot.let(4)
    found = order(venue, order_id)
    assert (found.volume_cents, found.limit_price) == (1_200_000, Decimal("1.06"))
    assert ended_well(bot)


def test_a_dry_run_changes_nothing_of_it_but_says_what_it_would(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, trade=False, seconds=10)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(5)
    assert order(venue, order_id).volume_cents == LOT
    assert planned(bot) == [("amend", "limit", 2_500_000)]
    changes = [(c.state, c.paper) for d in bot.decisions for c in d.order_changes]
    assert changes == [("sent", False), ("replaced", True)]
    assert ended_well(bot)


def test_with_manage_own_other_peoples_orders_are_left_alone(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, manage="own", seconds=8)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(4)
    assert order(venue, order_id).volume_cents == LOT
    assert ended_well(bot) and planned(bot) == []


# -- what can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_type", "code"),
    [
        ("stop_limit", "UNABLE_TO_AMEND_ORDER"),
        pytest.param("limit", "TRADING_BAD_VOLUME", marks=pytest.mark.slow),
        pytest.param("stop", "UNABLE_TO_AMEND_ORDER", marks=pytest.mark.slow),
    ],
)
def test_where_the_venue_lets_none_be_cut_it_is_placed_anew_under_our_label(
    order_type: str, code: str, tmp_path: Path
) -> None:
    venue = faulty_venue(NO_AMENDS % code)
    bot = following_bot(tmp_path / "first", venue, seconds=25)
    bot.until(lambda: bot.is_ready)
    first = rest(venue, order_type)
    as_given = given(order(venue, first))
    bot.let(20)
    (anew,) = venue.desks[ACCOUNT].account.orders.values()
    assert anew.volume_cents == 2_500_000
    assert (anew.label, anew.client_order_id.split("-for-")[1]) == ("microlev", str(first))
    ours = {"label": anew.label, "client_order_id": anew.client_order_id}
    assert given(anew) == as_given | ours
    assert [action for action, *_ in planned(bot)] == ["amend", "cancel", "place"]
    assert bot.driver.figures.open_orders.keys() == {anew.client_order_id}
    assert ended_well(bot)
    assert list(venue.desks[ACCOUNT].account.orders.values()) == [anew], "it is its owner's: a stop leaves it"
    # The next run knows it by label and id, and neither takes it back nor doubles it.
    second = following_bot(tmp_path / "second", venue, run_id="run2", clock=bot.clock, seconds=10)
    second.let(9)
    assert list(venue.desks[ACCOUNT].account.orders.values()) == [anew]
    assert (anew.client_order_id, "accepted") in second.states
    assert planned(second) == []


@pytest.mark.parametrize("order_type", ["limit", "stop"])
def test_one_placed_anew_is_its_owners_for_a_run_that_finds_it_in_its_ledger_too(
    order_type: str, tmp_path: Path
) -> None:
    venue = faulty_venue(NO_AMENDS % "UNABLE_TO_AMEND_ORDER")
    bot = following_bot(tmp_path, venue, seconds=6)
    bot.until(lambda: bot.is_ready)
    rest(venue, order_type)
    assert ended_well(bot)
    (anew,) = venue.desks[ACCOUNT].account.orders.values()
    second = following_bot(tmp_path, venue, run_id="run2", clock=bot.clock, seconds=20)
    second.until(lambda: second.is_ready).let(15)
    assert list(venue.desks[ACCOUNT].account.orders.values()) == [anew] and planned(second) == []
    assert second.run.engine.foreign_order(anew.order_id) is not None
    # It is looked up once, and then it rests: it is no order on its way that nothing answers.
    assert [state for _, state in second.states] == ["unknown", "accepted"]
    venue.withdraw(ACCOUNT, 5_000)
    second.let(3)
    (smaller,) = venue.desks[ACCOUNT].account.orders.values()
    assert smaller.volume_cents == 1_200_000, "what there is room for shrinks, and it with that"


def test_a_drop_with_an_amend_on_its_way_asks_first_and_then_goes_on(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, seconds=40)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(2)
    for money in (10_000, 20_000, 30_000):
        bot.client.is_deaf = True
        venue.deposit(ACCOUNT, money)
        bot.client.is_deaf = False
        bot.let(0.3)
        bot.client.is_deaf = True
        bot.let(2)
        bot.client.drop("cut")
        bot.let(0.1)
        bot.client.is_deaf = False
        bot.until(lambda: bot.is_ready)
        bot.let(4)
    assert order(venue, order_id).volume_cents == LOT
    assert given(order(venue, order_id))["limit_price"] == Decimal("1.05")
    assert ended_well(bot)


# About one fault every two seconds, drawn by chance.
A_BAD_DAY = """
seed: 5
random:
  per_hour: 1800
  faults:
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq]
      no_reply: {request: executed}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq]
      no_reply: {request: ignored}
    - on_request: ProtoOAAmendOrderReq
      drop: {when: after_execution}
    - on_request: ProtoOAAmendOrderReq
      reject: {shape: order_error, code: PENDING_EXECUTION}
    - on_request: ProtoOAAmendOrderReq
      reject: {shape: error_res, code: TIMEOUT_ERROR}
    - on_event: ProtoOAExecutionEvent
      kind: [ORDER_REPLACED, ORDER_ACCEPTED]
      late: {by: 2s}
    - on_event: ProtoOAExecutionEvent
      kind: [ORDER_REPLACED]
      duplicate:
    - account_disconnect:
"""


@pytest.mark.slow
@pytest.mark.parametrize("account_type", ["hedged", "netted"])
def test_on_a_bad_day_an_order_never_grows_beyond_its_owners_volume_and_ends_as_it_may_be(
    account_type: str, tmp_path: Path
) -> None:
    venue = faulty_venue(A_BAD_DAY, account_type)
    execution = {"order_timeout_s": 2, "settle_s": 1}
    bot = following_bot(tmp_path, venue, seconds=150, execution=execution)
    bot.until(lambda: bot.is_ready)
    orders = [rest(venue, order_type) for order_type in TERMS]
    terms = [given(order(venue, order_id)) for order_id in orders]
    for turn in range(12):
        (venue.deposit if turn % 2 == 0 else venue.withdraw)(ACCOUNT, 60_000 if turn % 2 == 0 else 59_000)
        for _ in range(10):
            bot.let(1)
            standing = [
                order(venue, order_id) for order_id in orders if order_id in venue.desks[ACCOUNT].account.orders
            ]
            assert all(found.volume_cents <= LOT for found in standing)
    assert {"unknown", "replaced"} <= {state for _, state in bot.states}
    for order_id, as_given in zip(orders, terms, strict=True):
        if order_id in venue.desks[ACCOUNT].account.orders:
            assert given(order(venue, order_id)) == as_given
    bot.let(60)
    assert bot.result is not None and replay_journal(bot.journal_path).difference is None
