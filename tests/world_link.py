"""The link between a bot and the venue of a `TradingWorld`: who watches orders is told, and the bot may die here."""

from typing import Any

from order_watch import OrderWatch
from week_link import WeekLink
from world_deaths import Deaths

from bot.ctrader.framing import FrameReader
from bot.sim.protocol import Link


class WorldLink(WeekLink):
    """A `WeekLink` whose process can be killed before and after each write and at each delivery."""

    def __init__(self, *given: Any, deaths: Deaths, orders: OrderWatch) -> None:
        super().__init__(*given)
        self._deaths, self._orders = deaths, orders

    def _connect(self) -> None:
        before = self.link
        super()._connect()
        if self.link is not None and self.link is not before:
            self._orders.listen(self.link)

    def _write(self, data: bytes) -> None:
        if self.link is None:
            return
        self._deaths.passes("write")
        self._orders.written(FrameReader().receive(data))
        super()._write(data)
        self._deaths.passes("written")

    def _read(self, segment: bytes) -> None:
        self._deaths.passes("read")
        super()._read(segment)

    def leave(self) -> Link | None:
        """Forget the connection without a goodbye, as a process that was killed; return the venue's end of it."""
        left, self.link = self.link, None
        self._is_running = False
        return left
