"""The session that every client goes through, and what must be true at the venue after each of its steps.

How it works: a client says what it saw; `Walkthrough.check` compares that with the observer's look at the venue. The
order of the steps is part of the check, so that no client can leave one out.
"""

from typing import Any

from observer import Look, Observer

STEPS = (
    "application", "accounts", "account", "symbols", "spots", "depth", "market_order", "limit_order", "amend_order",
    "reconcile", "cancel_order", "amend_position", "refused_order", "partial_close", "close", "reconcile", "done",
)  # fmt: skip


class Walkthrough:
    """One client's way through the steps."""

    def __init__(self, ready: dict[str, Any], observer: Observer) -> None:
        self._ready, self._observer = ready, observer
        self._symbol = next(symbol for symbol in ready["symbols"] if symbol["name"] == "EURUSD")
        self._volume = 3 * self._symbol["min_volume_cents"]
        self._position_id = self._order_id = 0
        self._resting_price = 0.0
        self._before = observer.look()
        self.passed: list[str] = []

    @property
    def is_done(self) -> bool:
        """Whether the last step has passed."""
        return self.passed == list(STEPS)

    def check(self, step: dict[str, Any]) -> None:
        """Compare what the client says of its step with the venue."""
        name = step["step"]
        assert name == STEPS[len(self.passed)], f"after {self.passed}: {step}"
        look = self._observer.look()
        check = getattr(self, f"_{name}", None)
        if check is not None:
            check(step, look)
        self._before = look
        self.passed.append(name)

    def _accounts(self, step: dict[str, Any], _look: Look) -> None:
        assert step["accounts"] == [account["id"] for account in self._ready["accounts"]]

    def _account(self, step: dict[str, Any], _look: Look) -> None:
        assert step["balance"] == self._observer.balance()

    def _symbols(self, step: dict[str, Any], _look: Look) -> None:
        ids = {name: entry.symbolId for name, entry in self._observer.listed.items()}
        digits = {symbol_id: entry.digits for symbol_id, entry in self._observer.details.items()}
        assert step["symbols"] == [[symbol_id, name, digits[symbol_id]] for name, symbol_id in ids.items()]
        assert list(ids) == ["EURUSD", "USDJPY", "EURJPY", "GBPUSD", "XAUUSD", "BTCUSD"]

    def _spots(self, step: dict[str, Any], _look: Look) -> None:
        assert len(step["bids"]) > 1
        assert len(step["asks"]) > 1
        assert set(step["bids"]) <= self._observer.bids_e5
        assert set(step["asks"]) <= self._observer.asks_e5

    def _depth(self, step: dict[str, Any], _look: Look) -> None:
        quotes = {tuple(quote) for quote in step["quotes"]}
        assert len(quotes) >= 10
        assert quotes <= self._observer.quotes
        prices = {side: [price for _, of, price, _ in quotes if of == side] for side in ("bid", "ask")}
        assert max(prices["bid"]) < min(prices["ask"])

    def _market_order(self, step: dict[str, Any], look: Look) -> None:
        assert step["volume_cents"] == self._volume
        self._position_id = step["position_id"]
        (accepted,) = self._observer.events("ORDER_ACCEPTED", order_id=step["order_id"])
        (filled,) = self._observer.events("ORDER_FILLED", order_id=step["order_id"])
        assert accepted.order.clientOrderId == filled.order.clientOrderId == step["client_order_id"] != ""
        assert (filled.deal.filledVolume, filled.deal.executionPrice) == (self._volume, step["price"])
        position = look.positions[self._position_id]
        assert self._position_id not in self._before.positions
        assert (position.tradeData.volume, position.price) == (self._volume, step["price"])
        assert position.tradeData.label == filled.order.tradeData.label != ""

    def _limit_order(self, step: dict[str, Any], look: Look) -> None:
        self._order_id, self._resting_price = step["order_id"], step["price"]
        assert self._order_id not in self._before.orders
        assert step["volume_cents"] == self._volume
        self._rests(step, look)

    def _amend_order(self, step: dict[str, Any], look: Look) -> None:
        assert step["order_id"] == self._order_id
        assert step["volume_cents"] == self._volume + self._symbol["step_volume_cents"]
        assert step["price"] > self._resting_price
        assert len(self._observer.events("ORDER_REPLACED", order_id=self._order_id)) == 1
        self._rests(step, look)

    def _rests(self, step: dict[str, Any], look: Look) -> None:
        order = look.orders[step["order_id"]]
        assert (order.tradeData.volume, order.limitPrice) == (step["volume_cents"], step["price"])

    def _reconcile(self, step: dict[str, Any], look: Look) -> None:
        """Everything on the account, other clients' things included."""
        assert sorted(step["positions"]) == sorted([p.positionId, p.tradeData.volume] for p in look.positions.values())
        orders = [[order.orderId, order.tradeData.volume, order.limitPrice] for order in look.orders.values()]
        assert sorted(step["orders"]) == sorted(orders)
        assert (self._position_id in look.positions) == ("close" not in self.passed)

    def _cancel_order(self, step: dict[str, Any], look: Look) -> None:
        assert step["order_id"] == self._order_id
        assert len(self._observer.events("ORDER_CANCELLED", order_id=self._order_id)) == 1
        assert self._order_id in self._before.orders
        assert self._order_id not in look.orders

    def _amend_position(self, step: dict[str, Any], look: Look) -> None:
        assert step["position_id"] == self._position_id
        position = look.positions[self._position_id]
        assert (position.stopLoss, position.takeProfit) == (step["stop_loss"], step["take_profit"])
        assert step["stop_loss"] < position.price < step["take_profit"]

    def _refused_order(self, step: dict[str, Any], look: Look) -> None:
        """A volume between two steps; the client gives the venue's code in its own words."""
        assert "TRADING_BAD_VOLUME" in step["text"]
        assert (set(look.positions), set(look.orders)) == (set(self._before.positions), set(self._before.orders))

    def _partial_close(self, step: dict[str, Any], look: Look) -> None:
        assert step["volume_cents"] == self._symbol["min_volume_cents"]
        assert look.positions[self._position_id].tradeData.volume == self._volume - step["volume_cents"]
        self._booked(step)

    def _close(self, step: dict[str, Any], look: Look) -> None:
        assert step["volume_cents"] == self._volume - self._symbol["min_volume_cents"]
        assert self._position_id in self._before.positions
        assert self._position_id not in look.positions
        self._booked(step)

    def _booked(self, step: dict[str, Any]) -> None:
        assert step["position_id"] == self._position_id
        deal = self._observer.events("ORDER_FILLED", position_id=self._position_id)[-1].deal
        assert deal.closePositionDetail.closedVolume == step["volume_cents"]
        assert self._observer.balance() == step["balance"]
