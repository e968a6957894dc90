"""Does a fault concern this request, or this event? Names, kinds of execution, account and symbol, as the wire has
them."""

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from bot.ctrader.schema import enum, message, message_for
from bot.sim.faults.script import Fault

if TYPE_CHECKING:
    from bot.sim.venue import Venue

MARKET_DATA = ("ProtoOASpotEvent", "ProtoOADepthEvent")


class Seen:
    """One message on its way, read as far as faults need. `name` is "" for a payload type that nobody knows."""

    def __init__(self, venue: "Venue", wrapper: Any) -> None:
        cls: Any = message_for(wrapper.payloadType)
        self.name: str = "" if cls is None else cls.DESCRIPTOR.name
        self.payload_type: int = wrapper.payloadType
        self._venue = venue
        try:
            self.body: Any = None if cls is None else cls.FromString(wrapper.payload)
        except DecodeError:
            self.body = None

    @classmethod
    def of_frame(cls, venue: "Venue", data: bytes) -> "Seen":
        """Return a framed message of ours."""
        return cls(venue, message("ProtoMessage").FromString(data[4:]))

    @property
    def account_id(self) -> int | None:
        """The account it is about; None when it names none."""
        number: int | None = _field(self.body, "ctidTraderAccountId")
        return number

    @property
    def execution(self) -> str | None:
        """The execution type of an execution event."""
        number = _field(self.body, "executionType")
        return next((name for name, known in enum("ProtoOAExecutionType").items() if known == number), None)

    @property
    def is_event(self) -> bool:
        """Whether it is an event of an account: no reply, no heartbeat, no market data."""
        return self.name.startswith("ProtoOA") and self.name.endswith("Event") and self.name not in MARKET_DATA

    def symbol_ids(self) -> set[int]:
        """Return the symbols it is about, by their ids or by those of an order or a position."""
        symbols = _field(self.body, "symbolId")
        if symbols is not None:
            return {symbols} if isinstance(symbols, int) else set(symbols)
        for part in ("order", "position"):
            inner = _field(self.body, part)
            if inner is not None:
                return {inner.tradeData.symbolId}
        desk = self._venue.desks.get(self.account_id or 0)
        if desk is not None:
            order = desk.account.orders.get(_field(self.body, "orderId") or 0)
            position = desk.account.positions.get(_field(self.body, "positionId") or 0)
            return {held.symbol_id for held in (order, position) if held is not None}
        return set()

    def fits(self, fault: Fault, names: tuple[str, ...]) -> bool:
        """Tell whether a fault that waits for messages of these names concerns this one; no names: any."""
        if names and self.name not in names:
            return False
        if fault.when.kinds and self.execution not in fault.when.kinds:
            return False
        if fault.account_id is not None and self.account_id != fault.account_id:
            return False
        if fault.symbol is None:
            return True
        symbols = {spec.symbol_id for spec in self._venue.specs.values() if spec.name == fault.symbol}
        return not symbols.isdisjoint(self.symbol_ids())


def _field(body: Any, name: str) -> Any:
    descriptor = None if body is None else body.DESCRIPTOR.fields_by_name.get(name)
    if descriptor is None or (not descriptor.is_repeated and not body.HasField(name)):
        return None
    return getattr(body, name)
