"""The bot is killed by SIGKILL while it trades, again and again; ledger, venue and summary agree in the end.

The moments are drawn from a seed: some after a delay, some right after the venue has told of an order, when the bot
may or may not have read the answer.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kill_rig import Bot, Entry, Nursery, Process, ledger_entries, write_config
from observer import Observer
from venue_process import running_venue

from bot.ctrader.schema import enum

pytestmark = pytest.mark.slow

STATUS = {number: name.removeprefix("ORDER_STATUS_") for name, number in enum("ProtoOAOrderStatus").items()}
KILLS = 50
FINAL = {"filled", "cancelled", "expired", "rejected", "resolved"}


def test_the_command_that_is_killed_and_started_again_agrees_with_the_venue_to_the_cent(tmp_path: Path) -> None:
    with running_venue("--seed", "3", "--balance", "1000000") as ready, Observer(ready) as observer:
        config = write_config(ready, tmp_path)
        play(observer, 2, tmp_path, lambda: Bot(config, tmp_path, Process))


def test_after_fifty_kills_the_ledger_the_venue_and_the_bot_agree_to_the_cent(tmp_path: Path) -> None:
    with running_venue("--seed", "3", "--balance", "1000000") as ready, Observer(ready) as observer:
        config = write_config(ready, tmp_path)
        with Nursery(config, tmp_path) as nursery:
            counts = play(observer, KILLS, tmp_path, lambda: Bot(config, tmp_path, nursery.start))
    assert counts["orders at the venue"] >= 2 * KILLS, "too little was traded to prove anything"


def play(observer: Observer, kills: int, folder: Path, start: Callable[[], Bot]) -> Counter[str]:
    """Kill so many lives of the bot, let the last one end well, and compare."""
    seed = int(os.environ.get("MICROLEV_KILL_SEED", "1"))
    chance, counts, began = Random(seed), Counter[str](), time.monotonic()
    used: list[str] = []
    for _ in range(kills):
        bot = start()
        bot.until(type="state", ready=True)
        if chance.random() < 0.6:
            for _ in range(chance.randrange(1, 6)):
                wait_for_order(observer, bot)
            counts["killed at an order"] += 1
        else:
            observer.listen(chance.uniform(0.0, 0.8))
            counts["killed after a delay"] += 1
        bot.kill()
        used += ids_of(bot)
    last = start()
    last.until(type="state", ready=True)
    last.until(type="order", state="filled")
    observer.listen(4.0)  # what was left unknown is looked up within settle_s
    summary = last.stop()
    used += ids_of(last)
    assert len(set(used)) == len(used), "a client order id was used twice"
    check(observer, ledger_entries(folder), summary, counts)
    told = "; ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    print(f"seed {seed}: {kills} kills in {time.monotonic() - began:.0f} s; {told}")
    return counts


def wait_for_order(observer: Observer, bot: Bot) -> None:
    """Wait until the venue tells of an order."""
    told, end = len(observer.executions), time.monotonic() + 30
    while len(observer.executions) == told:
        observer.listen(0.001)
        assert time.monotonic() < end, f"no order within 30 s: {what_was_said(bot)}"


def what_was_said(bot: Bot) -> list[dict[str, Any]]:
    """Return the last lines of a life, those about the market aside."""
    said = bot.so_far()
    decisions = [line for line in said if line["type"] == "decision"]
    return [line for line in said if line["type"] != "decision"][-8:] + decisions[-4:]


def ids_of(bot: Bot) -> list[str]:
    """Return the client order id of every order that a life has planned."""
    return [line["client_order_id"] for line in bot.lines if line["type"] == "intended_order"]


def check(observer: Observer, intents: list[Entry], summary: dict[str, Any], counts: Counter[str]) -> None:
    """Compare everything. The observer's answers are the venue's own word, over the protocol."""
    look = observer.look()
    assert not look.orders, "orders are left at the venue"
    orders = {order.orderId: order for order in history(observer, "OrderList", "order")}
    deals = history(observer, "DealList", "deal")
    counts["orders at the venue"], counts["deals at the venue"] = len(orders), len(deals)
    counts["intents"] = len(intents)
    counts.update(f"intent {intent.state}" for intent in intents)

    by_id = {intent.client_order_id: intent for intent in intents}
    named = Counter(order.clientOrderId for order in orders.values() if order.clientOrderId)
    assert [own_id for own_id, count in named.items() if count > 1] == [], "an order was doubled"
    assert set(named) <= set(by_id), "the venue has an order that the ledger does not know"

    # A close carries no id of ours: those of a position, by volume, are at most as many as were meant.
    meant = Counter((i.position_id, abs(i.volume_cents)) for i in intents if i.action in ("reduce", "close"))
    closed = Counter((order.positionId, order.tradeData.volume) for order in orders.values() if order.closingOrder)
    assert closed - meant == Counter(), "the venue has closes that nobody meant"
    ours = {order_id for order_id, order in orders.items() if order.clientOrderId or order.closingOrder}
    assert {deal.orderId for deal in deals} <= ours, "a deal belongs to no intent"

    last_run = intents[-1].run_id
    for order in orders.values():
        intent = by_id.get(order.clientOrderId)
        if intent is None:
            continue
        is_filled = order.executedVolume == order.tradeData.volume
        true = "filled" if is_filled else STATUS[order.orderStatus].lower()
        if intent.state in FINAL:
            assert intent.state == true, f"{intent} and {order}"
        else:
            counts["left open by a killed run"] += 1
            assert intent.run_id != last_run, f"{intent} is open after a stop"

    held = {
        p.positionId: p.tradeData.volume * (1 if p.tradeData.tradeSide == 1 else -1) for p in look.positions.values()
    }
    assert {p["position_id"]: p["volume_cents"] for p in summary["positions"]} == held
    for position in summary["positions"]:
        assert position["price"] == pytest.approx(look.positions[position["position_id"]].price, rel=1e-9)
    by_deals: Counter[int] = Counter()
    for deal in deals:
        by_deals[deal.positionId] += deal.filledVolume * (1 if deal.tradeSide == 1 else -1)
    assert {position_id: cents for position_id, cents in by_deals.items() if cents} == held
    assert summary["balance"] == observer.balance()
    assert summary["open_orders"] == []


def history(observer: Observer, kind: str, field: str) -> list[Any]:
    """Return all orders or deals that the venue has."""
    answer = observer.ask(f"ProtoOA{kind}Req", fromTimestamp=0, toTimestamp=4_000_000_000_000)
    assert not answer.hasMore
    return list(getattr(answer, field))
