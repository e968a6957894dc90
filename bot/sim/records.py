"""What an account remembers of its orders: bounded, or a week of trading would fill the memory."""

from bot.sim.entities import SimOrder


class OrderRecords(dict[int, SimOrder]):
    """Orders by id, oldest first. Above `limit` the oldest that are over are forgotten; working ones never are."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def note(self, order: SimOrder) -> None:
        """Take an order in."""
        self[order.order_id] = order
        if len(self) > self._limit:
            oldest = next((known for known in self.values() if known.is_done), None)
            if oldest is not None:
                del self[oldest.order_id]
