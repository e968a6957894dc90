"""Symbols that the broker has changed: noted when it says so, asked for together, told again when they have come.

One question at a time: what changes while it is open is asked next, so that a broker that changes two hundred symbols
does not make two hundred questions. An answer that does not come leads to a new connection, which reads everything
again: with limits that are no longer true the bot must not trade.
Source: ProtoOASymbolChangedEvent, which has only the ids; ProtoOASymbolByIdReq.
"""

from collections.abc import Callable, Iterable
from typing import Any

from bot.ctrader.correlation import PendingRequest, Purpose
from bot.ctrader.errors import Reaction
from bot.ctrader.outbox import Outbox
from bot.ctrader.walk import Walk
from bot.engine.events import Event


class SymbolChanges:
    """The changes of one connection that are not told yet."""

    def __init__(self, walk: Walk, outbox: Outbox, emit: Callable[[Event], None]) -> None:
        self._walk = walk
        self._outbox = outbox
        self._emit = emit
        self._changed: dict[int, None] = {}

    def noted(self, symbol_ids: Iterable[int]) -> None:
        """Take ids of changed symbols; those that this run does not use are nothing to it."""
        self._changed |= {i: None for i in symbol_ids if i in self._walk.handshake.catalogue.details}
        self.ask()

    def ask(self) -> None:
        """Ask for what has changed, unless it is too early or something is being asked already."""
        if self._changed and self._walk.phase.has_symbols and not self._outbox.pending.any_of(Purpose.SYMBOL_CHANGE):
            self._outbox.send(Purpose.SYMBOL_CHANGE, *self._walk.handshake.ask_symbols(list(self._changed)))
            self._changed.clear()

    def answered(self, pending: PendingRequest, reply: Any, recv_ns: int) -> None:
        """Take the details of changed symbols, or leverage tiers that are new with them."""
        handshake = self._walk.handshake
        events, questions = handshake.refresh(reply, recv_ns)
        for event in events:
            self._emit(event)
        for body, key in questions:
            self._outbox.send(Purpose.SYMBOL_CHANGE, body, key)
        if reply.DESCRIPTOR.name == "ProtoOASymbolByIdRes" and isinstance(pending.key, tuple):
            gone = set(pending.key) & set(handshake.catalogue.traded_ids) - {symbol.symbolId for symbol in reply.symbol}
            if gone:
                names = ", ".join(handshake.catalogue.listed[i].name for i in sorted(gone))
                self._walk.wants_disconnect = f"the broker gives no details of {names} any more; reading all again"
        self.ask()

    def refused(self, name: str, error: Any, reaction: Reaction, recv_ns: int) -> None:
        """Take that the venue did not say what has changed."""
        if reaction in (Reaction.CORRECT, Reaction.SUCCESS):
            self.ask()  # it will not say it to a second question either
        else:
            self._walk.turned_away(name, error, recv_ns)
