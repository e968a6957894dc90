"""What must be true of a `TradingWorld` once every fault is over: bot, ledger and venue say the same."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from exact_account import ExactAccount
from trading_world import LABEL, TradingWorld
from wired_bot import ACCOUNT, SECOND

from bot.engine.adoption import is_for_owner
from bot.journal.ledger import FINAL_STATES

SETTLE_S = 420.0
"""Within this time after the last fault nothing may be left in doubt: a lost event shows at the next look, one look a
minute once it has been quiet for half of one, and a new connection takes up to 30 s."""

CLOCK_SLACK_S = 60
"""So far apart the clocks of bot and venue may be when orders are looked up by time."""

QUIET_S = 95.0
"""So long must pass before what a lost event has left out is believed: one minute's look, and its answer."""


def settle(world: TradingWorld) -> None:
    """End every fault, and let time pass until nothing is on its way and nothing differs.

    Raises: AssertionError when something still does after `SETTLE_S`.
    """
    world.calm()
    end_s = world.clock.seconds() + SETTLE_S
    world.let(QUIET_S)
    wrong = [*differences(world)]
    while wrong and world.clock.seconds() < end_s:
        world.let(2.0)
        if world.result is not None:
            break
        wrong = [*differences(world)]
    if wrong:
        raise AssertionError(world.tell(wrong))
    world.counts["settled"] += 1


def differences(world: TradingWorld) -> Iterator[str]:
    """Give everything in which the bot, its ledger and the venue do not agree, or that is still in doubt."""
    session = world.run.session
    if not session.ready:
        yield f"not READY: {session.phase.name}, {session.last_loss}"
        return
    doubtful = {name: change.state for name, change in world.driver.figures.unanswered.items()}
    if doubtful:
        yield f"orders without an answer: {doubtful}"
    yield from _positions(world)
    yield from _money(world)
    yield from _orders(world)
    yield from _ledger(world)
    yield from _deals(world)


def _positions(world: TradingWorld) -> Iterator[str]:
    account = world.venue.desks[ACCOUNT].account
    scale = 10**account.money_digits
    believed = {p.position_id: p for p in world.run.engine.portfolio.positions()}
    if believed.keys() != account.positions.keys():
        yield f"positions: the venue has {sorted(account.positions)}, the bot {sorted(believed)}"
    for held in account.positions.values():
        seen = believed.get(held.position_id)
        if seen is None:
            continue
        true = (
            held.symbol_id,
            held.volume_cents if held.is_buy else -held.volume_cents,
            held.label,
            Decimal(held.swap) / scale,
            Decimal(held.commission) / scale,
            Decimal(held.used_margin) / scale,
        )
        if (seen.symbol_id, seen.volume_cents, seen.label, seen.swap, seen.commission, seen.used_margin) != true:
            yield f"position {held.position_id}: the venue has {true}, the bot {seen}"
        legs = _price(held.stop_loss), _price(held.take_profit), held.trailing_distance is not None
        if (seen.stop_loss, seen.take_profit, seen.is_trailing) != legs:
            yield f"position {held.position_id}: the venue protects it at {legs}, the bot says {seen}"
        if abs(seen.price - float(held.price)) > 1e-9 * float(held.price):
            yield f"position {held.position_id}: entered at {held.price}, the bot says {seen.price!r}"


def _price(exact: Decimal | None) -> float | None:
    return None if exact is None else float(exact)


def _money(world: TradingWorld) -> Iterator[str]:
    account, engine = world.venue.desks[ACCOUNT].account, world.run.engine
    scale = 10**account.money_digits
    if engine.portfolio.balance != Decimal(account.balance) / scale:
        yield f"balance: the venue has {account.balance}, the bot {engine.portfolio.balance}"
    spots = {s: (book.bid_e5 or 0, book.ask_e5 or 0) for s, book in world.venue.books.items()}
    exact = ExactAccount(world.venue, ACCOUNT, LABEL, spots).equity()
    # The venue rounds the profit of each position to the cent.
    most = Decimal(len(account.positions) + 1) / 2 / scale
    if abs(exact - Decimal(account.equity()) / scale) > most:
        yield f"equity: the venue says {account.equity()}, by its own prices it is {exact}"
    if not abs(engine.valuation.equity - float(exact)) <= 0.5 / scale:
        yield f"equity: the venue has {exact}, the bot {engine.valuation.equity}"


def _orders(world: TradingWorld) -> Iterator[str]:
    labelled = {
        o.client_order_id: (o.order_id, o.volume_cents if o.is_buy else -o.volume_cents, o.executed_cents)
        for o in world.venue.desks[ACCOUNT].account.orders.values()
        if o.label == LABEL
    }
    truth = {own_id: order for own_id, order in labelled.items() if not is_for_owner(own_id)}
    open_orders = world.driver.figures.open_orders
    believed = {}
    for order in world.run.engine._orders._in_flight.all():
        if not order.is_foreign:
            believed[order.client_order_id] = (order.order_id, order.volume_cents, order.executed_cents)
    if world.run.config.manage == "all":
        traded = {s.symbol_id for s in world.run.engine.specs if s.name in world.run.config.symbols}
        theirs = {
            (o.order_id, o.volume_cents if o.is_buy else -o.volume_cents, o.executed_cents)
            for o in world.venue.desks[ACCOUNT].account.orders.values()
            if (o.label != LABEL or is_for_owner(o.client_order_id))
            and o.symbol_id in traded
            and o.order_type in ("LIMIT", "STOP", "STOP_LIMIT")
        }
        flight = [o for o in world.run.engine._orders._in_flight.all() if o.is_foreign]
        watched = {(o.order_id, o.volume_cents, o.executed_cents) for o in flight}
        if theirs != watched:
            yield f"other people's orders: the venue has {theirs}, the bot {watched}"
    if truth != believed:
        yield f"working orders: the venue has {truth}, the bot {believed}"
    resting = {name for name, change in open_orders.items() if change.order.action == "place" or change.order.order_id}
    if set(labelled) != resting:
        yield f"working orders: the venue has {set(labelled)}, the summary {resting}"


def _ledger(world: TradingWorld) -> Iterator[str]:
    account, ledger = world.venue.desks[ACCOUNT].account, world.run.ledger
    assert ledger is not None
    by_client: dict[str, list[Any]] = {}
    for order in account.order_history.values():
        if order.client_order_id:
            by_client.setdefault(order.client_order_id, []).append(order)
    for own_id, orders in by_client.items():
        if len(orders) > 1:
            yield f"{own_id} was ordered {len(orders)} times"
        if own_id not in world.intents:
            yield f"{own_id} is at the venue and not in the ledger"
    for own_id in world.intents:
        intent = ledger.intent(own_id)
        if intent is None:
            yield f"{own_id} has gone from the ledger"
            continue
        sent = world.orders.sent.get(own_id)
        made = [account.order_history[i] for i in (sent.order_ids or [])] if sent is not None else []
        if intent.action in ("amend", "cancel"):
            if intent.state not in FINAL_STATES | {"replaced"}:
                yield f"{own_id}, {intent.action}, is {intent.state} in the ledger"
            continue
        true = _true_states(intent, made)
        if not made and intent.action in ("reduce", "close"):
            true |= _seen_states(intent, account)
        if intent.state not in true:
            yield f"{own_id}, {intent.action}, is {intent.state} in the ledger, not {sorted(true)}: {made}"


def _true_states(intent: Any, made: list[Any]) -> set[str]:
    """Return the states that an intent may have, by what the venue made of it."""
    if not made:
        return {"rejected", "resolved"}  # refused, or it never came there
    (order,) = made
    if not order.is_done:
        return {"accepted", "partially_filled", "replaced"}
    if order.executed_cents == order.volume_cents:
        return {"filled"}
    return {order.status.lower()}


def _seen_states(intent: Any, account: Any) -> set[str]:
    """Return what a close that never arrived may be taken for: it has no id, and others close by the same volume, too.

    What the venue has done by itself is no excuse.
    """
    since_ns = intent.created_ns - CLOCK_SLACK_S * SECOND
    return {
        order.status.lower()
        for order in account.order_history.values()
        if order.closing and order.order_type == "MARKET" and not order.is_stop_out
        if (order.position_id, order.volume_cents) == (intent.position_id, abs(intent.volume_cents))
        if order.updated_ns >= since_ns
    }


def _deals(world: TradingWorld) -> Iterator[str]:
    """Every deal of an order that a bot sent is in the ledger, under its intent, as the venue has it."""
    account, ledger = world.venue.desks[ACCOUNT].account, world.run.ledger
    assert ledger is not None
    owners: dict[int, list[str]] = {}
    for own_id, sent in world.orders.sent.items():
        for order_id in sent.order_ids or ():
            owners.setdefault(order_id, []).append(own_id)
    asked = "SELECT deal_id, order_id, client_order_id, volume_cents, is_own, price FROM deals"
    kept = {row[0]: row[1:] for row in ledger._read(asked, ())}
    filled: dict[int, int] = {}
    for deal in account.deals:
        filled[deal.order_id] = filled.get(deal.order_id, 0) + deal.filled_cents
        names = owners.get(deal.order_id, [])
        order = account.order_history[deal.order_id]
        if len(names) > 1 or (order.client_order_id and names != [order.client_order_id]):
            yield f"order {deal.order_id} of {order.client_order_id!r} belongs to {names}"
        if not names:
            continue  # somebody else's, or the venue's own
        row = kept.get(deal.deal_id)
        cents = deal.filled_cents if deal.is_buy else -deal.filled_cents
        if row is None:
            yield f"{names[0]} is not in the ledger with {deal}"
        elif (row[0], row[2]) != (deal.order_id, cents) or row[1] not in (names[0], None):
            yield f"deal {deal.deal_id} of {names[0]} is {row} in the ledger, not {(deal.order_id, cents)}"
        elif not row[3] and account.settings.account_type == "hedged":
            # On a netted account an order of ours may have met a position that somebody else has opened just before.
            yield f"deal {deal.deal_id} of {names[0]} is somebody else's in the ledger"
        elif abs(row[4] - float(deal.price)) > 1e-9 * row[4]:
            yield f"deal {deal.deal_id} at {deal.price} is at {row[4]!r} in the ledger"
        elif row[1] is None:
            world.counts["deals without their intent's id"] += 1
    for order_id, cents in filled.items():
        if cents != account.order_history[order_id].executed_cents:
            yield f"the deals of order {order_id} make {cents}: {account.order_history[order_id]}"
