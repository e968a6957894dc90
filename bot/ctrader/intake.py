"""What comes in, batch by batch: plain market data goes to rows, everything else to who reads single frames.

How it works: `pour` takes the usual batch, plain market data and nothing else, from its bytes into the books in one
compiled call. `take` takes any batch: runs of plain frames become rows of the feed, in their place among the others.

Invariant: nothing is poured while something that happened before is still to be told.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from bot.ctrader.hotpath import pour_frame, pour_frames
from bot.ctrader.market_feed import MarketFeed
from bot.ctrader.outbox import Outbox
from bot.ctrader.walk import Walk
from bot.market.delta_sink import DeltaSink


class Intake:
    """The frames of one session. Args: `take_frame` reads a frame of any kind."""

    def __init__(
        self,
        walk: Walk,
        feed: MarketFeed,
        outbox: Outbox,
        counters: Counter[str],
        take_frame: Callable[[bytes, int], None],
    ) -> None:
        self.loud_frames: Sequence[int] = ()
        """Positions, in the last batch, of the frames that are not plain market data: only these can hold a text."""
        self.malformed_in_a_row = 0
        self._walk = walk
        self._feed = feed
        self._hot_path = feed.hot_path
        self._outbox = outbox
        self._counters = counters
        self._take_frame = take_frame
        self._pour_account_id: int | None = None  # whose frames are poured; None while none are

    def told(self) -> None:
        """Take in that everything that has happened was told."""
        self._pour_account_id = self._walk.market_account_id

    def wait(self) -> None:
        """Take in that something is to be told: until then nothing is poured."""
        self._pour_account_id = None

    def pour(self, frames: Sequence[bytes], recv_ns: int, sink: DeltaSink) -> bool:
        """Take the frames of a batch, if all of them are plain market data, and hand their rows straight to a sink.

        Returns False, with nothing done, if there is anything else, or something is to be told first. After True there
        is nothing to tell.
        """
        account_id, hot_path, count = self._pour_account_id, self._hot_path, len(frames)
        if account_id is None or count == 0:
            return False
        if count == 1:
            left = pour_frame(frames[0], account_id, recv_ns, hot_path.lane, sink.function, sink.context)
        else:
            wire, sizes = hot_path.join(frames)
            left = pour_frames(wire, sizes, account_id, recv_ns, hot_path.lane, sink.function, sink.context)
        if left < 0:
            return False
        self.loud_frames = ()
        self._outbox.heard_ns = recv_ns
        self._counters["messages"] += count
        self.malformed_in_a_row = 0
        if left:
            sink.rest(hot_path.left_over(left), recv_ns)
        return True

    def take(self, frames: Sequence[bytes], recv_ns: int) -> None:
        """Take the frames of one batch, without their lengths."""
        self.wait()
        self.loud_frames = loud_frames = []
        hot_path, count = self._hot_path, len(frames)
        wire, sizes = hot_path.join(frames)
        at = start = 0
        while at < count:
            # Asked again behind each frame that was read the general way: it may have changed anything.
            account_id = self._walk.market_account_id
            if account_id is not None:
                first = at
                at, start, rows, bad_quotes, is_loud = hot_path.read(wire, sizes, at, start, account_id)
                if at > first:
                    self._outbox.heard_ns = recv_ns
                    self._counters["messages"] += at - first
                    self.malformed_in_a_row = 0
                    self._feed.add(rows, bad_quotes, recv_ns)
                if not is_loud:
                    continue
            loud_frames.append(at)
            self._take_frame(frames[at], recv_ns)
            start += len(frames[at])
            at += 1
