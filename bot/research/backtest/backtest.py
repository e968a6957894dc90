"""The backtest: messages of a recording move a venue's books and reach the engine, on one virtual clock.

    messages -> venue's books -> (accounts, where a price matters)
             -> engine's sink -> decide, every clock -> session -> way up -> venue -> way down -> session -> engine

How it works: whatever is due first happens first: messages of the recording, what the venue does by its clock, bytes
that reach the venue or the bot, a decision. At one time it is in this order, so that a decision knows everything of its
moment and nothing later. Every message reaches the engine's features at its own time; what is decided on them is asked
once a clock (`Conditions.clock_s`), after every message when that is 0. Orders, fills and everything else of the
account go through the real session, as bytes; market data spare themselves that.

Where nothing comes, the engine is asked as often as it wants while an order is under way or a crisis builds up, once a
second in calm, and every ten seconds where quotes have been silent for so long that nothing could be traded on them.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numba import njit

from bot.ctrader.pipeline import Pipeline
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.market.crisis import ENTRY
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.drop import Drop
from bot.research.backtest.messages import EMPTY, Messages
from bot.research.backtest.replayed_venue import ReplayedVenue
from bot.research.backtest.venue_books import pour_messages
from bot.research.backtest.way import Way

_SECOND_NS = 1_000_000_000
_STALE_NS, _ASLEEP_NS = 5 * _SECOND_NS, 60 * _SECOND_NS
_NEVER_NS = 2**62
_NEAR_ENTRY = ENTRY[1] / 2


@njit(cache=True, error_model="numpy")
def _is_tense(table: np.ndarray) -> bool:
    """Tell whether any symbol shows what may become, or deepen, a crisis. One that only waits to be over can wait."""
    for s in range(len(table)):  # noqa: SIM110  # numba has no generator expressions
        if table[s].crisis_score >= _NEAR_ENTRY:
            return True
    return False


class BacktestFailed(Exception):
    """The run cannot go on; the text says why, in one line."""


class Backtest:
    """One run of one bot over one recording.

    Args: `pipeline` of `session` and `engine`, with orders going to the venue; `on_decision` sees each Decision with
        its time, before anything of it has reached the venue; `drops` in the order of time, none of which overlap.
    """

    def __init__(
        self,
        session: Session,
        engine: Engine,
        pipeline: Pipeline[Decision],
        venue: ReplayedVenue,
        conditions: Conditions,
        on_decision: Callable[[Decision, int], None],
        before_decision: Callable[[int], None] = lambda now_ns: None,
        drops: Sequence[Drop] = (),
    ) -> None:
        self._session, self._engine, self._pipeline, self._venue = session, engine, pipeline, venue
        self._on_decision, self._before_decision = on_decision, before_decision
        self._clock_ns = round(conditions.clock_s * 1e9)
        self._conditions = conditions
        self._random = np.random.default_rng(conditions.seed)
        self._way: Way | None = None
        self._now_ns = self._quote_ns = 0
        self._decide_ns = _NEVER_NS
        self._venue_ns = 0
        self._connect_ns = self._timer_ns = self._drop_ns = _NEVER_NS
        self._drops = list(drops)
        self._session_ns: int | None = None
        self._places: np.ndarray | None = None
        self._piece = self._placed_piece = EMPTY
        self.events = 0
        self.message_count = 0
        self.connections = 0
        self._dead_quotes = 0  # of connections before

    def moved(self, on_decision: Callable[[Decision, int], None]) -> None:
        """Go on from a restored checkpoint: everything lies elsewhere, and somebody else sees the Decisions."""
        self._on_decision = on_decision
        self._engine.moved()
        self._session.moved()

    @property
    def now_ns(self) -> int:
        """The virtual time."""
        return self._now_ns

    @property
    def is_asleep(self) -> bool:
        """Whether quotes have been silent for so long that the market is closed, or as good as that."""
        return self._now_ns - self._quote_ns >= _ASLEEP_NS

    @property
    def dead_quotes(self) -> int:
        """How many market orders were refused because their price had gone."""
        return self._dead_quotes + (0 if self._way is None else self._way.dead_quotes)

    def run(
        self, pieces: Iterable[Messages], on_piece: Callable[[int, int], None] = lambda events, now_ns: None
    ) -> None:
        """Play a recording to its end; `on_piece` is told now and then how many rows are done, and the time.

        A piece without rows is a silence up to its time.
        Raises: BacktestFailed when the session ends for good; ValueError for a recording that is corrupt further on.
        """
        for piece in pieces:
            if len(piece.times_ns) and not len(piece.rows):
                self._be_silent(int(piece.times_ns[-1]))
            elif len(piece.times_ns):
                if self._way is None:
                    self._begin(int(piece.times_ns[0]), piece)
                self._play(piece)
                self.events += len(piece.rows)
                self.message_count += len(piece.times_ns)
                on_piece(self.events, self._now_ns)
        if self._way is not None:
            self._wait(self._now_ns + _SECOND_NS)  # what is under way arrives

    # -- the clock ----------------------------------------------------------------------------------------------

    def _begin(self, start_ns: int, piece: Messages) -> None:
        """Connect as the first message comes, and log in on what it says."""
        self._now_ns = self._quote_ns = start_ns
        self._venue.replayed.take(piece, 0, 1)
        self._drops = [drop for drop in self._drops if drop.at_ns > start_ns]
        self._await_drop()
        self._connect()

    def _connect(self) -> None:
        self.connections += 1
        self._way = Way(self._venue, self._conditions.latency, self._random, self._now_ns)
        self._look_again()
        self._handle(self._pipeline.link_up(self._now_ns))

    def _reconnect(self, reason: str) -> None:
        """Do what a live run does when the connection has ended, or is to be given up: make another, a second later."""
        assert self._way is not None
        self._way.close()
        self._dead_quotes += self._way.dead_quotes
        self._way.dead_quotes = 0
        self._handle(self._pipeline.link_down(self._now_ns, reason))
        self._connect_ns = self._now_ns + _SECOND_NS

    def _await_drop(self) -> None:
        # Ahead of the messages of that very time: they do not reach the engine any more.
        self._drop_ns = self._drops[0].at_ns - 1 if self._drops else _NEVER_NS

    def _drop(self) -> None:
        """Lose the connection, if there is one, until the time that this was planned for."""
        assert self._way is not None
        drop = self._drops.pop(0)
        self._await_drop()
        if self._connect_ns == _NEVER_NS:
            self._way.close()
            self._handle(self._pipeline.link_down(self._now_ns, "a planned drop"))
        self._connect_ns = drop.until_ns

    def _play(self, piece: Messages) -> None:
        times_ns, count, first = piece.times_ns, len(piece.times_ns), 0
        while first < count:
            next_ns = int(times_ns[first])
            due_ns = self._due_ns()
            if due_ns < next_ns:
                self._do(due_ns)
                continue
            if self._clock_ns == 0:
                last = first + 1
            else:
                # As far as the end of the clock, or what is due before it; what comes at that very moment is next.
                end_ns = (next_ns // self._clock_ns + 1) * self._clock_ns
                last = int(np.searchsorted(times_ns, min(end_ns, due_ns + 1), side="left"))
            first = self._take(piece, first, last)

    def _take(self, piece: Messages, first: int, last: int) -> int:
        """Let messages reach the venue and the engine; return the first that has not."""
        woken = self._venue.replayed.take(piece, first, last)
        last = woken.message
        self._now_ns = self._quote_ns = int(piece.times_ns[last - 1])
        sink = self._engine.sink
        if sink is not None and self._session.ready:
            pour_messages(sink, self._placed(piece), first, last)
            if self._clock_ns == 0:
                self._decide_ns = self._now_ns
            else:
                self._decide_ns = min(self._decide_ns, (self._now_ns // self._clock_ns + 1) * self._clock_ns)
        if woken.symbol >= 0:
            self._venue.price_moved(woken.symbol, woken.time_ns)
            self._venue_has_acted()
        if self._clock_ns == 0 and self._decide_ns == self._now_ns:
            self._decide(self._now_ns)
        return last

    def _placed(self, piece: Messages) -> Messages:
        """Return a piece with the engine's places of the symbols, where they are not those of the recording."""
        if self._places is None:
            ids = [spec.symbol_id for spec in self._engine.specs]
            unused = [self._venue.specs[i].name for i in self._venue.replayed_ids if i not in ids]
            if unused:
                raise BacktestFailed(f"nothing is traded in or converted by {', '.join(unused)}: leave that source out")
            self._places = np.array([ids.index(i) for i in self._venue.replayed_ids], np.int32)
        if (self._places == np.arange(len(self._places))).all():
            return piece
        if self._piece is not piece:
            self._piece, self._placed_piece = piece, piece.of_symbols(self._places)
        return self._placed_piece

    def _be_silent(self, until_ns: int) -> None:
        if self._way is not None:
            self._wait(until_ns)
            self._now_ns = max(self._now_ns, until_ns)

    def _wait(self, until_ns: int) -> None:
        while (due_ns := self._due_ns()) <= until_ns:
            self._do(due_ns)

    def _due_ns(self) -> int:
        assert self._way is not None
        up_ns, down_ns = self._way.up_ns, self._way.down_ns
        own_ns = min(self._decide_ns, self._connect_ns, self._timer_ns, self._drop_ns)
        due_ns = min(self._venue_ns, self._venue.turn_ns, own_ns)
        if up_ns is not None and up_ns < due_ns:
            due_ns = up_ns
        if down_ns is not None and down_ns < due_ns:
            due_ns = down_ns
        return max(due_ns, self._now_ns)

    def _next_timer_ns(self) -> int:
        """Return when to ask the engine if nothing else happens; found once after each decision."""
        session_ns = self._session_ns = self._session.next_timeout_ns()
        engine_ns = self._engine.next_timeout_ns()
        if not self._is_busy():
            step_ns = _SECOND_NS if self._now_ns - self._quote_ns < _STALE_NS else 10 * _SECOND_NS
            step_ns = max(step_ns, self._clock_ns)
            engine_ns = (self._now_ns // step_ns + 1) * step_ns
        return engine_ns if session_ns is None else min(session_ns, engine_ns)

    def _is_busy(self) -> bool:
        if not self._session.ready or self._engine.open_orders:
            return True
        table = self._engine.table
        return table is not None and not self.is_asleep and bool(_is_tense(table))

    def _do(self, due_ns: int) -> None:
        """Do what is due at a time, one thing."""
        way, venue = self._way, self._venue
        assert way is not None
        self._now_ns = max(self._now_ns, due_ns)
        if venue.turn_ns <= due_ns:
            venue.advance(due_ns)
            venue.book_swaps()
            self._venue_has_acted()
        elif self._venue_ns <= due_ns:
            venue.advance(due_ns)
            self._venue_has_acted()
        elif self._drop_ns <= due_ns:
            self._drop()
        elif self._connect_ns <= due_ns:
            self._connect_ns = _NEVER_NS
            self._connect()
        elif way.up_ns is not None and way.up_ns <= due_ns:
            way.arrive()
            self._venue_has_acted()
        elif way.down_ns is not None and way.down_ns <= due_ns:
            frames = way.receive()
            if frames:
                self._before_decision(self._now_ns)
                self._handle(self._pipeline.batch(frames, self._now_ns))
        else:
            self._decide(self._now_ns)

    # -- the two sides ------------------------------------------------------------------------------------------

    def _venue_has_acted(self) -> None:
        assert self._way is not None
        self._way.collect(self._now_ns)
        self._look_again()

    def _look_again(self) -> None:
        self._venue.look_again()
        due_ns = self._venue.next_event_ns()
        self._venue_ns = _NEVER_NS if due_ns is None else due_ns

    def _decide(self, now_ns: int) -> None:
        self._decide_ns = _NEVER_NS
        self._before_decision(now_ns)
        if self._session_ns is not None and self._session_ns <= now_ns:
            self._handle(self._pipeline.timer(now_ns))
        else:
            self._handle(self._pipeline.rows(now_ns, heard=self._quote_ns))

    def _handle(self, decision: Decision) -> None:
        assert self._way is not None
        self._on_decision(decision, self._now_ns)
        if data := self._pipeline.data_to_send():
            self._way.send(data, self._now_ns)
        if self._session.fatal is not None:
            raise BacktestFailed(self._session.fatal.text)
        reason = self._way.close_reason or self._session.wants_disconnect
        if reason is not None and self._connect_ns == _NEVER_NS:
            self._reconnect(reason)
        elif self._session.ready and self._way.is_instant:
            self._way.is_instant = False
            if self._conditions.rejects_dead_quotes:
                self._way.reject_dead_quotes()
        self._timer_ns = self._next_timer_ns()
