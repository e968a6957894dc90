"""The venue: market, books, accounts and client links under one clock that the caller moves.

How it works: `advance(now_ns)` takes the market's changes in time order; each updates a book, is told to the links
that subscribed, and then lets the accounts' resting orders act on it. `Link.receive` handles requests in between.
What is due by the clock (orders that expire, markets that open and close, faults of the book that end) happens between
the changes, at its time. What the broker and the account's owner can do to a venue is in `hands`.
Nothing here reads a clock, a file or a socket, so a test or a backtest drives it as well as a server does.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message
from bot.market.symbols import SymbolSpec
from bot.sim import publishing, wire
from bot.sim.account import Account, Ids
from bot.sim.back_office import BackOffice
from bot.sim.book import VenueBook
from bot.sim.catalogue import Catalogue
from bot.sim.change import Change, Quote
from bot.sim.credentials import EXPIRED_CODES, TOKEN_LIFE_S, Credentials
from bot.sim.desk import Desk
from bot.sim.entities import AccountSettings, Refused
from bot.sim.faults.conditions import NEVER_NS
from bot.sim.faults.script import FaultScript
from bot.sim.faults.stage import Stage
from bot.sim.floor import Floor
from bot.sim.hands import Hands
from bot.sim.history import PriceHistory
from bot.sim.margin_calls import MarginCalls
from bot.sim.market import Market
from bot.sim.mishaps import Mishaps
from bot.sim.owner import Owner
from bot.sim.past import Past, tick_page
from bot.sim.protocol import Link
from bot.sim.rate_limits import RateLimits
from bot.sim.rates import Rates
from bot.sim.tape import Tape


class Venue(Hands):
    """A cTrader Open API server without its sockets.

    `tier_leverage_in_cents` serves dynamic leverage as 50000 for 1:500; the real venue's unit is not confirmed.
    `enforce_hours` closes symbols by their schedules and holidays; those changed later are kept in any case.
    `past` has the ticks from before the start; None: there are none. A page of them has `ticks_per_page` at most, with
    prices as differences to the one before them, or (`absolute_tick_prices`) as they are: neither is documented.
    `host_kind` "demo" or "live" routes accounts of its kind only, as the two hosts of the real venue do.

    Raises: ValueError when an account's deposit currency cannot be converted to by the market's symbols, or a schedule
        makes no sense.
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
        enforce_hours: bool = False,
        host_kind: str = "any",
        token_life_s: float | None = TOKEN_LIFE_S,
        expired_code: str = EXPIRED_CODES[0],
        redirect_uris: Sequence[str] | None = None,
        faults: FaultScript | None = None,
        seed: int = 0,
        rate_limits: RateLimits | None = None,
        past: Past | None = None,
        ticks_per_page: int = 4_000,
        absolute_tick_prices: bool = False,
    ) -> None:
        if host_kind not in ("any", "demo", "live"):
            raise ValueError(f"the host kind is any, demo or live, not {host_kind!r}")
        self.market = market
        self.host_kind = host_kind
        self.now_ns = start_ns
        self.tier_leverage_in_cents = tier_leverage_in_cents
        self._due_ns = NEVER_NS
        self.catalogue = Catalogue(market.specs, market.descriptions)
        self.specs, self.tiers, self.assets = self.catalogue.specs, self.catalogue.tiers, self.catalogue.assets
        self.books = {symbol_id: self.new_book(symbol_id) for symbol_id in self.specs}
        self.hidden_depth: Counter[int] = Counter()
        self.history = {symbol_id: PriceHistory() for symbol_id in self.specs}
        self._past, self._ticks_per_page, self._absolute_tick_prices = past, ticks_per_page, absolute_tick_prices
        self.rates = Rates(market.specs, self.books)
        self.floor = Floor(self.specs)
        self.tape = Tape(self.specs, self.books, self.floor, self._publish, self.wake)
        self.mishaps = Mishaps()
        self.back_office, self.owner = BackOffice(self), Owner(self)
        self.desks: dict[int, Desk] = {}
        self.margin_calls: dict[int, MarginCalls] = {}
        self._links: list[Link] = []
        self.stage = Stage(self, start_ns, faults, seed=seed, limits=rate_limits)
        ids = Ids(start_ns)
        for settings in accounts:
            self._check_currency(settings.deposit_currency)
            digits = self.assets[settings.deposit_currency].digits
            account = Account(settings, self.specs, self.books, self.rates, self.tiers, ids, digits, start_ns)
            self.desks[settings.account_id] = Desk(
                account, self.catalogue, self.books, self.floor, self.mishaps, self.teller(settings.account_id)
            )
            self.margin_calls[settings.account_id] = MarginCalls(settings.account_id, start_ns)
        self.credentials = Credentials(
            client_id,
            client_secret,
            access_token,
            refresh_token,
            view_token,
            tuple(self.desks),
            start_ns=start_ns,
            token_life_s=token_life_s,
            expired_code=expired_code,
            redirect_uris=redirect_uris,
        )
        self.advance(start_ns)
        if enforce_hours:  # after the first prices: a closed market shows its last ones
            for symbol_id in self.specs:
                self.floor.keep_hours(symbol_id)
            self.tape.run(start_ns)

    def new_book(self, symbol_id: int) -> VenueBook:
        """Return the book that a symbol begins with; a venue of another kind may have other books."""
        return VenueBook()

    # -- clock ------------------------------------------------------------------------------------------------------

    def connect(self, now_ns: int) -> Link:
        """Return the venue's end of a new client connection."""
        self.now_ns = max(self.now_ns, now_ns)
        link = Link(self, self.now_ns)
        self._links.append(link)
        refusal = self.stage.connected(link, self.now_ns)
        if refusal is not None:
            link.drop(refusal, abort=True)
        return link

    @property
    def links(self) -> Sequence[Link]:
        """The connections there are."""
        return self._links

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due up to `now_ns`."""
        stage, take = self.stage, self.tape.take
        self.reschedule()
        for change in self.market.advance(now_ns):
            if self._due_ns <= change.time_ns or stage.due_ns <= change.time_ns:
                self._run_due(change.time_ns)
            self.now_ns = max(self.now_ns, change.time_ns)
            take(change)
        self._run_due(now_ns)
        self.now_ns = max(self.now_ns, now_ns)
        for token in self.credentials.expired_by(self.now_ns):
            self.end_sessions(token, "the access token has expired")
        for link in self._links:
            link.heartbeat(self.now_ns)

    def next_event_ns(self) -> int | None:
        """Return when `advance` has something to do next; None for never."""
        times = [self.market.next_change_ns(), self.credentials.next_expiry_ns]
        times += [self.stage.due_ns if self.stage.due_ns < NEVER_NS else None]
        times += [link.next_heartbeat_ns for link in self._links]
        times += [link.outbound.next_ns for link in self._links]
        times += [self.tape.next_due_ns()]
        times += [desk.next_due_ns() for desk in self.desks.values()]
        return min((time for time in times if time is not None), default=None)

    def reschedule(self) -> None:
        """Look again when something of the venue's own is due, after anything may have been added to it."""
        due_ns = self.tape.next_due_ns()
        earliest_ns = NEVER_NS if due_ns is None else due_ns
        for desk in self.desks.values():
            due_ns = desk.next_due_ns()
            if due_ns is not None and due_ns < earliest_ns:
                earliest_ns = due_ns
        self._due_ns = earliest_ns

    def _run_due(self, until_ns: int) -> None:
        stage = self.stage
        while (due_ns := min(self._due_ns, stage.due_ns)) <= until_ns:
            self.now_ns = max(self.now_ns, due_ns)
            if due_ns == stage.due_ns:
                stage.run(due_ns)
            else:
                self.tape.run(self.now_ns)
                for desk in self.desks.values():
                    desk.run(self.now_ns)
            self.reschedule()

    # -- market data ------------------------------------------------------------------------------------------------

    def wake(self, symbol_id: int) -> None:
        """Let everything that rests in a symbol act on its prices of now, after something else than they changed."""
        for desk in self.desks.values():
            if desk.account.orders or desk.account.positions:
                desk.on_change(symbol_id, self.now_ns, spot_moved=True)

    def _publish(self, change: Change) -> None:
        symbol_id = change.symbol_id
        self.books[symbol_id].apply(change)
        spot_moved = change.bid_e5 is not None or change.ask_e5 is not None
        if spot_moved:
            self.history[symbol_id].note(change.time_ns, change.bid_e5, change.ask_e5)
        for link in self._links:
            if spot_moved:
                for account_id in link.subscriptions.spots.get(symbol_id, ()):
                    link.send_frame(self._spot_frame(link, account_id, change))
            if (change.new or change.deleted) and symbol_id not in self.hidden_depth:
                for account_id in link.subscriptions.depth.get(symbol_id, ()):
                    link.send_frame(publishing.depth_frame(account_id, symbol_id, change.new, change.deleted))
        for account_id, desk in self.desks.items():
            account = desk.account
            if account.orders or account.positions:
                desk.on_change(symbol_id, change.time_ns, spot_moved=spot_moved)
                if spot_moved and account.positions:
                    for event in self.margin_calls[account_id].check(account.margin_level(), change.time_ns):
                        self.broadcast(account_id, event)

    def tick_page(self, spec: SymbolSpec, side: str, from_ms: int, to_ms: int) -> tuple[list[Any], bool]:
        """Return a side's newest ticks within the bounds, as many as a page has, and whether there are more."""
        history = self.history[spec.symbol_id]
        reference_e5 = history.first_price_e5()
        ticks = history.newest_first(side, from_ms, to_ms)
        if self._past is not None and reference_e5 is not None:
            ticks = chain(ticks, self._past.newest_first(spec, reference_e5, side, from_ms, to_ms))
        return tick_page(ticks, self._ticks_per_page, differences=not self._absolute_tick_prices)

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
        """Send the whole book, as the first event after a subscription; nothing while it is empty or hidden."""
        quotes = tuple(self.books[symbol_id].quotes.values())
        if quotes and symbol_id not in self.hidden_depth:
            link.send_frame(publishing.depth_frame(account_id, symbol_id, quotes, ()))

    def send_depth(self, symbol_id: int, new: Sequence[Quote], deleted: Sequence[int]) -> None:
        """Send a change of depth to everybody who subscribed, without a change of the book; nothing when it is none."""
        for link in self._links if new or deleted else ():
            for account_id in link.subscriptions.depth.get(symbol_id, ()):
                link.send_frame(publishing.depth_frame(account_id, symbol_id, new, deleted))

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

    def teller(self, account_id: int) -> Callable[[Any], None]:
        """Return what tells an event to every link with the account."""
        return lambda event: self.broadcast(account_id, event)

    def disconnect_account(self, account_id: int) -> None:
        """End an account's sessions on all links, as the server does on its own account."""
        for link in [link for link in self._links if link.has_account(account_id)]:
            link.requests.drop_account(account_id)
            link.send(message("ProtoOAAccountDisconnectEvent")(ctidTraderAccountId=account_id))

    def end_sessions(self, access_token: str, reason: str) -> None:
        """End all account sessions that were opened with a token."""
        for link in list(self._links):
            link.end_sessions(access_token, reason)

    def forget(self, link: Link) -> None:
        """Drop a closed link."""
        if link in self._links:
            self._links.remove(link)

    def check_route(self, account_id: int) -> None:
        """Raises: Refused (CANT_ROUTE_REQUEST) when the account lives on the other host, demo or live."""
        is_live = self.desks[account_id].account.settings.is_live
        if self.host_kind != "any" and is_live != (self.host_kind == "live"):
            raise Refused("CANT_ROUTE_REQUEST", f"trading account {account_id} is not on the {self.host_kind} host")

    def check_login(self, account_id: int) -> None:
        """Raises: Refused (CANT_ROUTE_REQUEST, RET_ACCOUNT_DISABLED) when nobody may log in to the account here."""
        self.check_route(account_id)
        if self.desks[account_id].account.access_rights == "NO_LOGIN":
            raise Refused("RET_ACCOUNT_DISABLED", f"trading account {account_id} has the access rights NO_LOGIN")

    # -- what is listed ---------------------------------------------------------------------------------------------

    def desk(self, account_id: int) -> Desk:
        """Return an account's desk.

        Raises: Refused (ENTITY_NOT_FOUND).
        """
        desk = self.desks.get(account_id)
        if desk is None:
            raise Refused("ENTITY_NOT_FOUND", f"no account {account_id}")
        return desk

    def spec(self, symbol_id: int) -> SymbolSpec:
        """Return a symbol's specification.

        Raises: Refused (SYMBOL_NOT_FOUND).
        """
        return self.catalogue.spec(symbol_id)

    def light_symbol(self, spec: SymbolSpec) -> Any:
        """Return a symbol's ProtoOALightSymbol; its description says what kind of market it has."""
        return self.catalogue.light_symbol(spec)

    def account_entry(self, account_id: int) -> Any:
        """Return an account's ProtoOACtidTraderAccount."""
        account = self.desks[account_id].account
        entry = message("ProtoOACtidTraderAccount")(
            ctidTraderAccountId=account_id,
            isLive=account.settings.is_live,
            traderLogin=account_id + 8_000_000,
            lastBalanceUpdateTimestamp=wire.ms(account.last_transfer.changed_ns),
            brokerTitleShort=wire.BROKER,
        )
        if account.last_closing_ns is not None:
            entry.lastClosingDealTimestamp = wire.ms(account.last_closing_ns)
        return entry

    def _check_currency(self, currency: str) -> None:
        needed = self.assets_needed()
        reachable = [name for name in needed if self.rates.chain(name, currency) is not None]
        if currency not in self.assets or len(reachable) < len(needed):
            lost = [name for name in needed if name not in reachable]
            if currency in self.assets:
                unreachable = f"nothing converts {', '.join(lost)} to the deposit currency {currency}"
                raise ValueError(f"{unreachable}: a pair that does is missing")
            raise ValueError(
                f"deposit currency {currency!r} is not one the symbols convert to: {', '.join(self.assets)}"
            )

    def assets_needed(self) -> list[str]:
        """Return the assets that must convert to the deposit currency of every account."""
        return list(self.assets)
