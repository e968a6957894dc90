"""Watches the account: margin use, loss limits, and the picture of it all that the risk gate is shown."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bot.account.account import AccountState
from bot.account.loss import LossBreach, LossGuard, next_turn_ns
from bot.account.margin import MarginRules, Tiers, packed_tiers, stated_margin
from bot.account.market_risk import MarketRisk
from bot.account.new_orders import NewOrders
from bot.account.portfolio import Portfolio, Valuation
from bot.account.risk import Refused
from bot.account.risk_view import RiskView
from bot.account.trading import Cause, Trading
from bot.engine import events as ev
from bot.engine.doubts import Doubts
from bot.engine.limit_watch import LimitWatch
from bot.engine.prices import PriceBoard, Prices
from bot.engine.settings import EngineSettings
from bot.engine.transfer_watch import TransferWatch
from bot.execution.requests import Request
from bot.market.symbols import SymbolSpec

_SECOND = 1_000_000_000
_CHECK_EVERY_NS = _SECOND // 4
_MINUTE_NS = 60 * _SECOND
_EXPLAIN_WITHIN_NS = 2 * _SECOND
_MARGIN_DRIFT = 0.05
_STRESS_ROOM = 1.1
_TOLD = ("unsupported_account", "profit_difference")


class AccountGuard:
    """The account's rules and limits. `states` holds why trading is not free; `shrink` is below 1 while margin use is
    over its limit: the share of what is held that may stay."""

    def __init__(self, settings: EngineSettings, portfolio: Portfolio) -> None:
        self.states = Trading()
        self.shrink = 1.0
        self._margin_factor = 1.0
        self.account: AccountState | None = None
        self.is_another_account = False  # than the one that an earlier run has left something of
        self._restored_identity: Sequence[object] | None = None
        self._restored_causes: tuple[Cause, ...] = ()
        self._settings = settings
        self._portfolio = portfolio
        self._loss = LossGuard(settings.max_daily_loss_frac, settings.max_drawdown_frac)
        self._transfers = TransferWatch(self._loss)
        self.limits = LimitWatch(settings.watch_limits, self.states)
        self._margin_rules = MarginRules(None, "MAX")
        self._tiers: dict[int, tuple[tuple[float, float], ...]] = {}
        self._symbol_tiers: tuple[tuple[SymbolSpec, ...], np.ndarray] | None = None
        self._checked_ns: int | None = None
        self._explained_by_ns = 0
        self._sent_ns: deque[int] = deque()

    @property
    def is_netted(self) -> bool:
        """Whether the account merges all orders of a symbol into one position."""
        return self.account is not None and self.account.account_type == "NETTED"

    @property
    def trading(self) -> str:
        """active, reducing or halted."""
        return self.states.state

    @property
    def is_flattening(self) -> bool:
        """Whether everything of ours is to be closed: a loss limit, or a person, asks for it."""
        return self.states.is_flattening

    def doubts(self) -> Doubts:
        """Return the causes why trading is not free that no other line explains."""
        told = [cause for code in _TOLD if (cause := self.states.find(code)) is not None]
        return {cause.code: cause.text for cause in told}

    @property
    def margin_rules(self) -> MarginRules:
        """How the account's margin is computed."""
        return self._margin_rules

    def symbol_tiers(self, spec: SymbolSpec) -> Tiers | None:
        """Return a symbol's leverage tiers, empty for none; None while they have not come."""
        return () if spec.leverage_id is None else self._tiers.get(spec.leverage_id)

    @property
    def _access_rights(self) -> str:
        return self.account.access_rights if self.account is not None else "FULL_ACCESS"

    def account_loaded(self, account: AccountState, recv_ns: int) -> None:
        """Take the account's settings and balance.

        A balance that moved without a deal may be a deposit or a withdrawal whose own event is still on its way: the
        loss limits look away for a moment, and then take what nobody explained for a loss.
        """
        if self.account is not None and account.balance != self._portfolio.balance:
            self._explained_by_ns = recv_ns + _EXPLAIN_WITHIN_NS
        self.account = account
        if self._restored_identity is not None and list(account.identity) != list(self._restored_identity):
            self._forget()
        self._restored_identity = None
        self._heed_access_rights(account.access_rights, recv_ns)
        self._heed_kind(account, recv_ns)
        self._margin_rules = MarginRules(account.leverage, account.margin_calculation, account.is_limited_risk)
        self._portfolio.set_balance(account.balance, account.balance_version)
        self.changed()

    def _heed_access_rights(self, rights: str, now_ns: int) -> None:
        if rights == "FULL_ACCESS":
            self.states.release("access_rights")
            return
        text = f"the broker has set the account to {rights}: only reductions"
        self.states.hold(Cause("access_rights", "reducing", text, now_ns, note=rights))

    def _heed_kind(self, account: AccountState, now_ns: int) -> None:
        why = unsupported(account)
        if why:
            self.states.hold(Cause("unsupported_account", "reducing", why, now_ns))
        else:
            self.states.release("unsupported_account")

    def tiers_loaded(self, leverage_id: int, tiers: tuple[tuple[float, float], ...]) -> None:
        """Take a table of leverage tiers."""
        self._tiers[leverage_id] = tiers
        self._symbol_tiers = None
        self.changed()

    def deposited(self, change: float, balance_version: int | None) -> bool:
        """Take a deposit (or a withdrawal, negative): neither profit nor loss; return whether it is news."""
        return self._transfers.told(change, balance_version)

    def cash_flow_stated(self, event: ev.CashFlowStated) -> list[ev.CashChange]:
        """Take what was paid in and out, and the balance after it where that was lost too; return what was news."""
        told = self._transfers.stated(event)
        for change in told:
            if change.balance_version is not None:
                self._portfolio.set_balance(change.balance, change.balance_version)
        self.changed()
        return told

    def questions(self, now_ns: int, *, ready: bool, looks: bool) -> list[Request]:
        """Return what is to be asked of the broker now; `looks` says that its lists are."""
        return self._transfers.requests(now_ns, ready=ready, looks=looks)

    def commanded(self, event: ev.CommandGiven) -> None:
        """Take a person's `halt`, `flatten` or `resume`; to go on after a loss begins the loss limits anew."""
        if event.command == "resume" and event.cause == "by_hand":
            if self.states.find("daily_loss") or self.states.find("drawdown"):
                self._loss.restart()
        self.limits.commanded(event)
        self.changed()

    @property
    def losses(self) -> tuple[float, float]:
        """The day's loss and the fall from the highest equity: see `LossGuard.losses`."""
        return self._loss.losses

    def memory(self) -> dict[str, object]:
        """Return what a later run of this account is to know: the references of the loss limits, and what has halted.

        Causes that the broker or the machine imposes are found out anew.
        """
        identity = None if self.account is None else list(self.account.identity)
        kept = [asdict(c) for c in self.states.causes if c.level == "halted" and c.code != "stop_file"]
        return {
            "account": identity,
            "causes": kept,
            "loss": self._loss.memory(),
            "transfers": self._transfers.memory(),
        }

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take what an earlier run has kept. Raises: ValueError for what `memory` does not return."""
        try:
            self._restored_identity = content["account"]
            self._loss.restore(content["loss"])
            self._transfers.restore(content["transfers"])
            self._restored_causes = tuple(Cause(**cause) for cause in content["causes"])
            for cause in self._restored_causes:
                self.states.hold(cause)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the memory of an account guard: {error!r}") from None

    def changed(self) -> None:
        """Say that positions or settings moved, so that the next check is not put off."""
        self._checked_ns = None

    def order_sent(self, now_ns: int) -> None:
        """Count an order towards the rate limit."""
        self._sent_ns.append(now_ns)

    def sent_before(self, times_ns: Iterable[int]) -> None:
        """Count the orders that an earlier run has sent of late: a restart is no leave to send as many again."""
        self._sent_ns = deque(sorted([*times_ns, *self._sent_ns]))

    def sent_last_minute(self, now_ns: int) -> int:
        """Return how many orders, amends, cancels and closes of the last minute count towards the rate limit."""
        while self._sent_ns and self._sent_ns[0] <= now_ns - _MINUTE_NS:
            self._sent_ns.popleft()
        return len(self._sent_ns)

    def view(
        self,
        prices: Prices,
        board: PriceBoard,
        specs: tuple[SymbolSpec, ...],
        valuation: Valuation,
        pending_units: np.ndarray,
        closings: tuple[str | None, ...],
        now_ns: int,
        *,
        ready: bool,
        new_orders: NewOrders | None = None,
        market: MarketRisk | None = None,
    ) -> RiskView:
        """Return the account and the market of this moment, as the risk gate is to see them.

        Args: `pending_units` (S,) signed volume of increases on their way, base units: they count as if filled;
            `closings` why each symbol's market is closed, None where it is not.
        """
        long_units, short_units = map(np.ascontiguousarray, self._portfolio.sides_units())
        seen, is_known = board.seen(prices, long_units, short_units)
        return RiskView(
            ready=ready,
            trading=self.trading,
            equity=valuation.equity if is_known else math.nan,
            leverage=valuation.leverage,
            foreign_leverage=valuation.foreign_leverage,
            long_units=long_units,
            short_units=short_units,
            unit_notional=seen["unit_notional"].copy(),  # contiguous, as margin is computed with them several times
            unit_notional_usd=seen["unit_notional_usd"].copy(),
            quiet_s=prices.quiet_s,
            doubtful=seen["doubtful"],
            has_bids=seen["has_bids"],
            has_asks=seen["has_asks"],
            tiers=self._tiers_of(specs),
            margin_rules=self._margin_rules,
            netted=self.is_netted,
            orders_last_minute=self.sent_last_minute(now_ns),
            pending_units=pending_units,
            access_rights=self._access_rights,
            closings=closings,
            margin_factor=self._margin_factor,
            cause=self.states.text,
            new_orders=new_orders,
            market=market,
            unsupported=unsupported(self.account),
        )

    def _tiers_of(self, specs: tuple[SymbolSpec, ...]) -> np.ndarray:
        """Return the tiers of each symbol, packed; made anew when another table or another set of symbols has come."""
        if self._symbol_tiers is None or self._symbol_tiers[0] is not specs:
            # A table that has not come is None, not empty: margin is unknown then, and nothing may grow.
            self._symbol_tiers = specs, packed_tiers(tuple(self.symbol_tiers(s) for s in specs))
        return self._symbol_tiers[1]

    def margin_rates(
        self, unit_usd: np.ndarray, traded: int, specs: tuple[SymbolSpec, ...], new: NewOrders
    ) -> np.ndarray:
        """Return margin / notional of the next unit of each traded symbol, on its larger side, (T,); NaN unknown.

        Shapes: `unit_usd` (S,) value of one base unit in USD, which tiers are stated in.
        """
        long_units, short_units = self._portfolio.sides_units()
        rates = np.full(traded, math.nan)
        for s in range(traded):
            held = max(long_units[s], short_units[s]) if s < len(long_units) else 0.0
            open_usd = float(held * unit_usd[s]) if held else 0.0
            cap = float(new.leverage_caps[s])
            rates[s] = self._margin_rules.next_rate(open_usd, self.symbol_tiers(specs[s]), cap) * new.factors[s]
        return rates * self._margin_factor

    def _forget(self) -> None:
        """Forget what was restored: it is about another account."""
        self.is_another_account = True
        self._sent_ns.clear()
        self._loss = LossGuard(self._settings.max_daily_loss_frac, self._settings.max_drawdown_frac)
        self._transfers = TransferWatch(self._loss)
        for cause in self._restored_causes:
            if self.states.find(cause.code) == cause:  # not what a person has said since
                self.states.release(cause.code)

    def is_due(self, now_ns: int) -> bool:
        """Return whether `check` should look now: a few times a second, and after every change of the account."""
        return self._checked_ns is None or now_ns - self._checked_ns >= _CHECK_EVERY_NS

    def check(self, view: RiskView, equity: float, now_ns: int, *, odd: bool) -> list[Refused]:
        """Look at margin use and loss limits; return what to say of breaches, once each, when they halt trading.

        Args: `odd` says that a price equity rests on looks like a slip: nothing is concluded from it for a moment.
        """
        use_margin = self._use_margin(view)
        if odd:
            return []
        self._checked_ns = now_ns
        if self.states.causes:
            # Before we are READY nothing may be listed of what is open.
            is_flat = view.ready and not any(map(self._portfolio.is_ours, self._portfolio.positions()))
            self.states.expire(now_ns, is_flat=is_flat)
        self.shrink = 1.0
        if view.long_units.any() or view.short_units.any():
            use = use_margin / equity if equity > 0 else math.nan
            limit = self._settings.risk_limits.max_margin_use_frac
            if use > limit:
                self.shrink = limit / use
            self.shrink = min(self.shrink, self._share_that_survives(view, use_margin, equity))
        self.limits.margin_level(equity / use_margin if use_margin > 0 else math.nan, now_ns)
        version = self._portfolio.balance_version
        if not view.ready or now_ns < self._explained_by_ns or self._transfers.is_waiting(version, now_ns):
            return []
        self._transfers.looked(version, now_ns)
        return [told for breach in self._loss.check(equity, now_ns) if (told := self._halted(breach, now_ns))]

    def _use_margin(self, view: RiskView) -> float:
        """Return used margin, and heed how much more the broker asks for than its own rules say.

        That is heeded at any price, odd ones too: what may grow meanwhile must not rest on a factor of before.
        """
        self._margin_factor = 1.0
        if not (view.long_units.any() or view.short_units.any()):
            return 0.0
        by_rules = view.used_margin() / view.margin_factor
        stated = stated_margin(self._margin_rules, self._portfolio.positions())
        # A little more is the price having moved since the broker last computed it.
        if 0 < by_rules * (1 + _MARGIN_DRIFT) < stated:
            self._margin_factor = stated / by_rules
        return stated if math.isnan(by_rules) else by_rules * self._margin_factor

    def _halted(self, breach: LossBreach, now_ns: int) -> Refused | None:
        """Halt for a loss; return what to say of it, once. A day's loss ends with the day, a drawdown by hand."""
        if self.states.find(breach.check) is not None:
            return None
        check, value, limit = breach.check, breach.value, breach.limit
        beside = f"the limit is {limit:.2%} (risk.max_{check}_frac)"
        text = f"{check} is {value:.2%} of equity, {beside}: trading is halted"
        is_of_the_day = check == "daily_loss"
        until_ns = next_turn_ns(now_ns) if is_of_the_day else None
        end = "until the trading day turns, or `microlev resume`" if is_of_the_day else "until `microlev resume`"
        text = f"{text} {end}"
        flattens = self._settings.flatten_on_loss
        cause = Cause(check, "halted", text, now_ns, until_ns, flattens, by_limit=True, value=value, limit=limit)
        self.states.hold(cause)
        return Refused("*", check, value, limit, text)

    def _share_that_survives(self, view: RiskView, used: float, equity: float) -> float:
        """Return the share of what is held that survives a stress of every symbol at once; 1 where all of it does.

        A tenth beyond the limit is left alone: the stress moves with the market's volatility, and what is cut for it
        each time would be grown again.
        """
        level = self._settings.risk_limits.stop_out_level_frac
        if view.market is None or not used > 0 or not equity > 0:
            return 1.0
        needed = view.market.stress_loss(view.long_units - view.short_units, view.unit_notional) + level * used
        return equity / needed if needed > _STRESS_ROOM * equity else 1.0


def unsupported(account: AccountState | None) -> str:
    """Return why an account of this kind is only reduced, in words; empty for one that is supported."""
    if account is None:
        return ""
    if account.is_limited_risk:
        return "guaranteed stop (limited risk) accounts are not supported by this version: only reductions; use another"
    if account.account_type not in ("HEDGED", "NETTED"):
        kind = account.account_type.replace("_", " ").lower()
        return f"{kind} accounts are not supported by this version: only reductions; use a hedged or netted one"
    return ""
