"""The evaluator: delta rows in, microstructure features of every symbol out.

How it works: it owns the books, what the estimators remember, what is usual by time of day, and the feature table, and
hands them to the compiled loop of `estimators.py` batch by batch; tables that are full grow between two rows of a
message.
"""

from collections.abc import Mapping

import numpy as np

from bot.market import book
from bot.market.batch import batch_function, new_context, receive_batch
from bot.market.book import BookArrays
from bot.market.delta import DELTA
from bot.market.delta_sink import DeltaSink
from bot.market.feature_table import Features, forget, unknown_features, views
from bot.market.memory import address
from bot.market.seasonality import Seasonality
from bot.market.state import EvaluatorSettings, forget_link, new_state
from bot.market.worst_minute import kept_worst_minute, read_worst_minute

__all__ = ["Evaluator", "EvaluatorSettings", "Features"]

# What a lost connection does not make unknown: it describes the market, or comes from the engine.
_KEPT = (
    *("reference_units", "impact_units", "fill_frac", "fill_factor", "volatility_bps", "slow_volatility_bps"),
    *("worst_minute_bps", "resilience_half_life_s", "crisis_level", "usual_spread_bps", "usual_weighted_units"),
    *("usual_impact_bps", "usual_volatility_bps"),
)


class Evaluator:
    """Books and features of S symbols.

    Args: `pips` (S,) price of one pip; `settings` the half-lives.
    """

    def __init__(self, pips: np.ndarray, settings: EvaluatorSettings) -> None:
        count = len(pips)
        self._state, self._table = new_state(np.asarray(pips, np.float64), settings), unknown_features(count)
        self._books = book.empty_books(count)
        self._context = new_context(self._books, self._state, self._table)
        self._context_at = address(self._context)
        self._looked_ns = self._context["looked_ns"]
        self.sink = DeltaSink.of(batch_function(), self._context, self.apply)
        """Takes delta rows as `apply` does."""
        self._views = views(self._table)
        self._changed = self._state["changed"]
        self._spot_ns, self._depth_ns = self._state["spot_ns"], self._state["depth_ns"]
        self._nothing = np.empty(0, DELTA)
        self._nothing.flags.writeable = False
        self.usual = Seasonality(count)

    @property
    def looked_ns(self) -> int:
        """When the clocks were looked at last; -1 before."""
        return int(self._looked_ns[0])

    @property
    def books(self) -> BookArrays:
        """The books themselves; treat as read-only."""
        return self._books

    @property
    def table(self) -> np.ndarray:
        """The feature table, (S,) of `FEATURES`, as of the last `receive`; treat as read-only (it is reused)."""
        return self._table

    @property
    def features(self) -> Features:
        """The same, a view a field."""
        return self._views

    @property
    def state(self) -> np.ndarray:
        """What the estimators remember, (S,) of `STATE`; treat as read-only."""
        return self._state

    def receive(self, rows: np.ndarray, now_ns: int) -> np.ndarray:
        """Apply one batch of delta rows, let the clocks go on to `now_ns`, and return which symbols changed.

        Shapes: `rows` (N,) of `DELTA`; result (S,) bool.
        """
        self.apply(rows, now_ns)
        changed = self._changed.astype(np.bool_)
        self._changed[:] = 0
        return changed

    def apply(self, rows: np.ndarray, now_ns: int) -> None:
        """Do the same as `receive`, and leave the marks of what changed for `take_changed`."""
        if rows.flags.writeable:
            rows = rows.view()
            rows.flags.writeable = False  # one array type, so the loop is compiled once
        start = receive_batch(self._context_at, rows, 0, now_ns)
        while start < len(rows):
            self._keep(book.grown(self._books))
            start = receive_batch(self._context_at, rows, start, now_ns)

    def _keep(self, books: BookArrays) -> None:
        self._books = books
        self._context[:] = new_context(books, self._state, self._table)

    def moved(self) -> None:
        """Find out anew where everything lies: a restored checkpoint has put it elsewhere."""
        looked_ns = self.looked_ns
        self._keep(self._books)
        self._looked_ns[0] = looked_ns
        self._context_at = address(self._context)
        self.sink = DeltaSink.of(batch_function(), self._context, self.apply)

    def advance(self, now_ns: int) -> None:
        """Let time pass without news: what is due by the clock is done."""
        self.apply(self._nothing, now_ns)

    @property
    def changed(self) -> np.ndarray:
        """Marks of the symbols that `apply` has seen news of, (S,) of 0 and 1; the caller clears them."""
        return self._changed

    def clear(self) -> None:
        """Forget every book and spot price, as after a lost connection. Averages stay: they describe the market."""
        book.clear_books(self._books)
        forget_link(self._state)
        kept = {name: self._table[name].copy() for name in _KEPT}
        forget(self._table)
        for name, content in kept.items():
            self._table[name] = content

    def take_over(self, old: "Evaluator", index: Mapping[int, int]) -> None:
        """Carry on where another evaluator stands, for the symbols both have.

        Args: `index` maps a symbol's index here to its index in `old`.
        """
        _, slots = old.books.quotes.shape
        self._keep(book.empty_books(len(self._state), slots, old.books.levels.shape[2]))
        pips = self._state["pip"].copy()
        for here, there in index.items():
            for mine, theirs in (
                (self._books.quotes, old._books.quotes),
                (self._books.heads, old._books.heads),
                (self._state, old._state),
                (self._table, old._table),
            ):
                mine[here] = theirs[there]
            self._books.levels[:, here] = old._books.levels[:, there]
        self._state["pip"] = pips
        self.usual.take_over(old.usual, index, self._state)

    # -- what the engine says of the symbols --------------------------------------------------------------------

    def set_reference_units(self, units: np.ndarray, impact_units: np.ndarray | None = None) -> None:
        """Set the size whose cost is watched, and the one whose impact is, (S,) base units; NaN while unknown."""
        self._table["reference_units"] = units
        if impact_units is not None:
            self._table["impact_units"] = impact_units

    def set_commission_bps(self, commission_bps: np.ndarray) -> None:
        """Set the commission of one side of a trade, (S,) bps of its notional."""
        self._state["commission_bps"] = commission_bps

    def set_closed(self, closed: np.ndarray) -> None:
        """Say whose market is closed, (S,) bool: nothing is learnt there, and its silence is no crisis."""
        self._state["is_closed"] = closed

    def set_fills(
        self, fill_frac: np.ndarray, fill_factor: np.ndarray, fill_q10: np.ndarray, latency_s: np.ndarray
    ) -> None:
        """Set what our fills have taught, (S,) each; NaN where nothing was learnt yet (models 9)."""
        self._table["fill_frac"], self._table["fill_factor"] = fill_frac, fill_factor
        self._state["fill_q10"], self._state["latency_ns"] = fill_q10, latency_s * 1e9

    def enter_bin(self, bin_index: int, day_type: int) -> None:
        """Say which quarter of an hour of which kind of day has begun (see `Seasonality`)."""
        self.usual.enter(self._state, bin_index, day_type)

    def usual_content(self, s: int) -> dict[str, object]:
        """Return what is known of one symbol's usual values and worst minute, as plain numbers."""
        worst_bps, watched_s = float(self._table["worst_minute_bps"][s]), float(self._state["minutes_s"][s])
        return self.usual.content(s, self._state) | kept_worst_minute(worst_bps, watched_s)

    def restore_usual(self, s: int, content: Mapping[str, object]) -> None:
        """Take over what an earlier run has kept of one symbol. Raises: ValueError for content of another form."""
        worst_bps, watched_s = read_worst_minute(content)
        self.usual.restore(s, self._state, content)
        worst, minutes = self._table["worst_minute_bps"], self._state["minutes_s"]
        worst[s], minutes[s] = np.fmax(worst[s], worst_bps), max(minutes[s], watched_s)

    # -- times --------------------------------------------------------------------------------------------------

    def quiet_s(self, now_ns: int) -> np.ndarray:
        """Return the age of the newest message of each symbol, spot or depth, in seconds; inf when there is none."""
        newest = np.maximum(self._spot_ns, self._depth_ns)
        return np.where(newest < 0, np.inf, (now_ns - newest) / 1e9)

    def watched_s(self, now_ns: int) -> np.ndarray:
        """Return for how long each symbol has had a liquidity ratio, in seconds; 0 before it has one."""
        first = self._state["first_ns"]
        return np.where(first < 0, 0.0, (now_ns - first) / 1e9)

    def crossed_s(self, now_ns: int) -> np.ndarray:
        """Return for how long each depth book has been crossed, in seconds; 0 when it is not."""
        return _since_s(self._state["crossed_ns"], now_ns)

    def is_apart(self) -> np.ndarray:
        """Return whether the last prices of depth and spot disagree by more than a spread and a pip, (S,) bool."""
        return self._state["apart_ns"] >= 0

    def apart_s(self, now_ns: int) -> np.ndarray:
        """Return for how long depth and spot have disagreed by more than a spread and a pip, in seconds."""
        return _since_s(self._state["apart_ns"], now_ns)


def _since_s(ns: np.ndarray, now_ns: int) -> np.ndarray:
    return np.where(ns < 0, 0.0, (now_ns - ns) / 1e9)
