"""The venue: market, books, accounts and client links under one clock that the caller moves.

How it works: `advance(now_ns)` takes the market's changes in time order; each updates a book, is told to the links
that subscribed, and then lets the accounts' resting orders act on it. `Link.receive` handles requests in between.
Nothing here reads a clock, a file or a socket, so a test or a backtest drives it as well as a server does.
"""

from collections.abc import Sequence
from typing import Any

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message
from bot.market.symbols import SymbolSpec
from bot.sim import publishing, wire
from bot.sim.account import Account, Ids
from bot.sim.book import VenueBook
from bot.sim.change import Change
from bot.sim.credentials import Credentials
from bot.sim.desk import Desk
from bot.sim.entities import AccountSettings, Refused
from bot.sim.history import PriceHistory
from bot.sim.listing import TIERS, assets_of
from bot.sim.margin import Tiers
from bot.sim.margin_calls import MarginCalls
from bot.sim.market import Market
from bot.sim.protocol import Link
from bot.sim.rates import Rates


class Venue:
    """A cTrader Open API server without its sockets.

    `tier_leverage_in_cents` serves dynamic leverage as 50000 for 1:500; the real venue's unit is not confirmed.

    Raises: ValueError when an account's deposit currency cannot be converted to by the market's symbols.
    """

    def __init__(
        self,
        market: Market,
        *,
        accounts: Sequence[AccountSettings],
        client_id: str,
        client_secret: str,
        access_token: str,
        refresh_token: str,
        start_ns: int,
        view_token: str | None = None,
        tier_leverage_in_cents: bool = False,
    ) -> None:
        self.market = market
        self.now_ns = start_ns
        self.tier_leverage_in_cents = tier_leverage_in_cents
        self.specs: dict[int, SymbolSpec] = {spec.symbol_id: spec for spec in market.specs}
        self.tiers: dict[int, Tiers] = TIERS
        self.assets = assets_of(market.specs)
        self.books = {symbol_id: VenueBook() for symbol_id in self.specs}
        self.history = {symbol_id: PriceHistory() for symbol_id in self.specs}
        self.rates = Rates(market.specs, self.books)
        self.desks: dict[int, Desk] = {}
        self.margin_calls: dict[int, MarginCalls] = {}
        self._links: list[Link] = []
        ids = Ids()
        for settings in accounts:
            self._check_currency(settings.deposit_currency)
            digits = self.assets[settings.deposit_currency].digits
            account = Account(settings, self.specs, self.books, self.rates, self.tiers, ids, digits, start_ns)
            self.desks[settings.account_id] = self._desk(account)
            self.margin_calls[settings.account_id] = MarginCalls(settings.account_id, start_ns)
        self.credentials = Credentials(
            client_id, client_secret, access_token, refresh_token, view_token, tuple(self.desks)
        )
        self.advance(start_ns)

    # -- clock ------------------------------------------------------------------------------------------------------

    def connect(self, now_ns: int) -> Link:
        """Return the venue's end of a new client connection."""
        self.now_ns = max(self.now_ns, now_ns)
        link = Link(self, self.now_ns)
        self._links.append(link)
        return link

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due up to `now_ns`."""
        for change in self.market.advance(now_ns):
            self.now_ns = max(self.now_ns, change.time_ns)
            self._take(change)
        self.now_ns = max(self.now_ns, now_ns)
        for desk in self.desks.values():
            if desk.account.orders:
                desk.expire(self.now_ns)
        for link in self._links:
            link.heartbeat(self.now_ns)

    def next_event_ns(self) -> int | None:
        """Return when `advance` has something to do next; None for never."""
        times = [self.market.next_change_ns()]
        times += [link.next_heartbeat_ns for link in self._links]
        times += [desk.next_expiry_ns() for desk in self.desks.values()]
        return min((time for time in times if time is not None), default=None)

    # -- market data ------------------------------------------------------------------------------------------------

    def _take(self, change: Change) -> None:
        symbol_id = change.symbol_id
        self.books[symbol_id].apply(change)
        spot_moved = change.bid_e5 is not None or change.ask_e5 is not None
        if spot_moved:
            self.history[symbol_id].note(change.time_ns, change.bid_e5, change.ask_e5)
        for link in self._links:
            if spot_moved:
                for account_id in link.subscriptions.spots.get(symbol_id, ()):
                    link.send_frame(self._spot_frame(link, account_id, change))
            if change.new or change.deleted:
                for account_id in link.subscriptions.depth.get(symbol_id, ()):
                    link.send_frame(publishing.depth_frame(account_id, symbol_id, change.new, change.deleted))
        for account_id, desk in self.desks.items():
            account = desk.account
            if account.orders or account.positions:
                desk.on_change(symbol_id, change.time_ns, spot_moved=spot_moved)
                if spot_moved and account.positions:
                    for event in self.margin_calls[account_id].check(account.margin_level(), change.time_ns):
                        self.broadcast(account_id, event)

    def _spot_frame(self, link: Link, account_id: int, change: Change) -> bytes:
        symbol_id = change.symbol_id
        time_ms = wire.ms(change.time_ns) if link.subscriptions.spots[symbol_id][account_id] else None
        periods = link.subscriptions.bars.get(symbol_id, {}).get(account_id, ())
        bars = [bar for period in sorted(periods) if (bar := self.history[symbol_id].current_bar(period)) is not None]
        return publishing.spot_frame(account_id, symbol_id, change.bid_e5, change.ask_e5, time_ms, bars)

    def send_latest_spot(self, link: Link, account_id: int, symbol_id: int) -> None:
        """Send the prices of now, as the first event after a subscription; nothing before the market has any."""
        book = self.books[symbol_id]
        if book.bid_e5 is not None or book.ask_e5 is not None:
            change = Change(self.now_ns, symbol_id, book.bid_e5, book.ask_e5)
            link.send_frame(self._spot_frame(link, account_id, change))

    def send_depth_snapshot(self, link: Link, account_id: int, symbol_id: int) -> None:
        """Send the whole book, as the first event after a subscription; nothing while it is empty."""
        quotes = tuple(self.books[symbol_id].quotes.values())
        if quotes:
            link.send_frame(publishing.depth_frame(account_id, symbol_id, quotes, ()))

    # -- links ------------------------------------------------------------------------------------------------------

    def broadcast(
        self, account_id: int, event: Any, asker: Link | None = None, client_msg_id: str | None = None
    ) -> None:
        """Send an account's event to every link that has it authorised; the asker's copy carries its message id."""
        plain: bytes | None = None
        for link in self._links:
            if not link.has_account(account_id):
                continue
            if link is asker and client_msg_id is not None:
                link.send(event, client_msg_id)
            else:
                plain = plain or frame(envelope(event))
                link.send_frame(plain)

    def end_sessions(self, access_token: str, reason: str) -> None:
        """End all account sessions that were opened with a token."""
        for link in list(self._links):
            link.end_sessions(access_token, reason)

    def forget(self, link: Link) -> None:
        """Drop a closed link."""
        if link in self._links:
            self._links.remove(link)

    # -- what is listed ---------------------------------------------------------------------------------------------

    def spec(self, symbol_id: int) -> SymbolSpec:
        """Return a symbol's specification.

        Raises: Refused (SYMBOL_NOT_FOUND).
        """
        spec = self.specs.get(symbol_id)
        if spec is None:
            raise Refused("SYMBOL_NOT_FOUND", f"no symbol {symbol_id}")
        return spec

    def light_symbol(self, spec: SymbolSpec) -> Any:
        """Return a symbol's ProtoOALightSymbol; its description says what kind of market it has."""
        return wire.light_symbol_message(spec, self.assets, self.market.descriptions.get(spec.name, spec.name))

    def account_entry(self, account_id: int) -> Any:
        """Return an account's ProtoOACtidTraderAccount."""
        account = self.desks[account_id].account
        entry = message("ProtoOACtidTraderAccount")(
            ctidTraderAccountId=account_id,
            isLive=False,
            traderLogin=account_id + 8_000_000,
            lastBalanceUpdateTimestamp=wire.ms(account.opened_ns),
            brokerTitleShort=wire.BROKER,
        )
        if account.last_closing_ns is not None:
            entry.lastClosingDealTimestamp = wire.ms(account.last_closing_ns)
        return entry

    def _desk(self, account: Account) -> Desk:
        account_id = account.settings.account_id
        return Desk(account, self.specs, self.books, lambda event: self.broadcast(account_id, event))

    def _check_currency(self, currency: str) -> None:
        reachable = [name for name in self.assets if self.rates.chain(name, currency) is not None]
        if currency not in self.assets or len(reachable) < len(self.assets):
            raise ValueError(
                f"deposit currency {currency!r} is not one the symbols convert to: {', '.join(self.assets)}"
            )
