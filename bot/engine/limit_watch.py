"""Limits that are not about a price: refusals, slippage, the machine's clock and disk, margin level, a person's word.

How it works: each rule lets a `Cause` stand in the account's `Trading` when its figure passes its limit, and takes it
away when its own rule says so. Refusals and slippage are judged over the last few orders; a cause of theirs ends after
`PAUSE_S`, with the counting begun anew, so that a venue that has come round is found out by trying.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.account.trading import Cause, Trading
from bot.engine.decision import OrderChange
from bot.engine.events import CommandGiven, HostChecked
from bot.execution.in_flight import FINAL

PAUSE_S = 300
ORDERS_JUDGED, FEWEST_ORDERS = 20, 10
FILLS_JUDGED, FEWEST_FILLS = 10, 5
_SECOND = 1_000_000_000
_MEGABYTE = 1_000_000
# A margin level that has just recovered may fall again with the next quote.
_RECOVERED = 1.05
# What says nothing about the order: it never left us, the market was closed, the venue was out of reach or asked
# too often. Each of these has a pause of its own.
_NOT_THE_ORDERS = frozenset(
    {
        "NOT_SENT",
        "NOT_READY",
        "MARKET_CLOSED",
        "SYMBOL_HAS_HOLIDAY",
        "TRADING_DISABLED",
        "CANT_ROUTE_REQUEST",
        "CH_SERVER_NOT_REACHABLE",
        "SERVER_IS_UNDER_MAINTENANCE",
        "REQUEST_FREQUENCY_EXCEEDED",
        "BLOCKED_PAYLOAD_TYPE",
    }
)
_ALTERATIONS = ("amend", "cancel")
# What a person's `resume` ends; what the broker or the machine imposes stays until that changes.
_ENDED_BY_HAND = ("by_hand", "daily_loss", "drawdown", "reject_rate", "slippage", "clock_step")


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """Units: fractions, bps, seconds, megabytes of 10^6 bytes."""

    max_reject_frac: float
    max_slippage_beyond_bps: float
    max_clock_step_s: float
    min_disk_free_mb: float
    min_margin_level_frac: float


class LimitWatch:
    """Watches for one account. `states` is what its causes stand in."""

    def __init__(self, limits: WatchLimits, states: Trading) -> None:
        self._limits = limits
        self._states = states
        self._refused: deque[bool] = deque(maxlen=ORDERS_JUDGED)
        self._excess_bps: deque[float] = deque(maxlen=FILLS_JUDGED)
        self._clock_step_s = self._accepted_step_s = 0.0  # the newest, and the one that a person has seen and gone on

    # -- a person's word ----------------------------------------------------------------------------------------

    def commanded(self, event: CommandGiven) -> None:
        """Take `halt`, `flatten` or `resume`. What the stop file has set only the file takes away."""
        if event.command == "resume":
            for code in _ENDED_BY_HAND if event.cause == "by_hand" else (event.cause,):
                self._states.release(code)
            if event.cause == "by_hand":
                self._accepted_step_s = self._clock_step_s
            self._refused.clear()
            self._excess_bps.clear()
            return
        flattens = event.command == "flatten"
        if event.cause == "stop_file":
            text = "the stop file is there: remove it, or `microlev resume`, to go on"
        else:
            why = f" ({event.text})" if event.text else ""
            text = f"halted by hand{why}: `microlev resume` goes on"
        text = f"{text}; everything of ours is being closed" if flattens else text
        note = event.text if event.cause == "by_hand" else ""
        self._states.hold(Cause(event.cause, "halted", text, event.recv_ns, flattens=flattens, note=note))

    # -- the venue ----------------------------------------------------------------------------------------------

    def ended(self, changes: Iterable[OrderChange], now_ns: int) -> None:
        """Take the ends of orders: how many of them the venue refuses."""
        limit = self._limits.max_reject_frac
        for change in changes:
            if change.state not in FINAL or change.error_code in _NOT_THE_ORDERS or change.state == "resolved":
                continue
            if change.order.action in _ALTERATIONS:  # those that come too late are refused in the best of markets
                continue
            self._refused.append(change.state == "rejected")
            share = sum(self._refused) / len(self._refused)
            if len(self._refused) >= FEWEST_ORDERS and share > limit:
                text = (
                    f"the venue refused {sum(self._refused)} of the last {len(self._refused)} orders, more than "
                    f"{limit:.0%} (risk.max_reject_frac); the last for {change.error_code or 'no reason given'}"
                )
                self._pause("reject_rate", text, now_ns, share, limit, change.error_code or "")
                self._refused.clear()

    def filled(self, excess_bps: Iterable[float], now_ns: int) -> None:
        """Take what orders cost beyond their prediction, in bps, positive against us."""
        limit = self._limits.max_slippage_beyond_bps
        for excess in excess_bps:
            if not math.isfinite(excess):
                continue
            self._excess_bps.append(excess)
            mean = math.fsum(self._excess_bps) / len(self._excess_bps)
            if len(self._excess_bps) >= FEWEST_FILLS and mean > limit:
                text = (
                    f"the last {len(self._excess_bps)} orders cost {mean:.1f} bps more than predicted on average, more "
                    f"than {limit:g} (risk.max_slippage_beyond_bps)"
                )
                self._pause("slippage", text, now_ns, mean, limit)
                self._excess_bps.clear()

    def _pause(self, code: str, text: str, now_ns: int, value: float, limit: float, note: str = "") -> None:
        until_ns = now_ns + PAUSE_S * _SECOND
        text = f"{text}: only reductions for {PAUSE_S // 60} minutes"
        told = Cause(code, "reducing", text, now_ns, until_ns, by_limit=True, value=value, limit=limit, note=note)
        self._states.hold(told)

    # -- the account and the machine ----------------------------------------------------------------------------

    def margin_level(self, level: float, now_ns: int) -> None:
        """Take equity / used margin; NaN where none is used, or it is unknown."""
        least = self._limits.min_margin_level_frac
        if level < least:
            text = f"the margin level is {level:.2f}, below {least:g} (risk.min_margin_level_frac): only reductions"
            if self._states.find("margin_level") is None:  # its figure moves with every quote: told once
                self._hold("margin_level", text, now_ns, level, least)
        elif not level < least * _RECOVERED:
            self._states.release("margin_level")

    def host(self, event: HostChecked) -> None:
        """Take what the machine says of its disk and its clock."""
        self._clock_step_s = event.clock_step_s
        step, limit = event.clock_step_s - self._accepted_step_s, self._limits.max_clock_step_s
        if abs(step) > limit:
            text = (
                f"this machine's clock was set {'forward' if step > 0 else 'back'} by {abs(step):.1f} s during the "
                f"run, more than {limit:g} s (risk.max_clock_step_s): only reductions until `microlev resume`"
            )
            self._hold("clock_step", text, event.recv_ns, step, limit)
        free, least_mb = event.disk_free_bytes, self._limits.min_disk_free_mb
        if free is not None and free < least_mb * _MEGABYTE:
            text = (
                f"{free / _MEGABYTE:.0f} MB are free where the ledger is, less than {least_mb:g} "
                "(risk.min_disk_free_mb): only reductions until there is room"
            )
            if self._states.find("disk_full") is None:
                self._hold("disk_full", text, event.recv_ns, free / _MEGABYTE, least_mb)
        elif free is not None:  # what is unknown is no room
            self._states.release("disk_full")

    def _hold(self, code: str, text: str, now_ns: int, value: float, limit: float) -> None:
        self._states.hold(Cause(code, "reducing", text, now_ns, by_limit=True, value=value, limit=limit))
