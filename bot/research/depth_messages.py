"""An order-book recording as messages, in arrays: what `streams.depth_batches` tells, without an object a level.

How it works: a level is known by its price and side, so that is its quote id: a level that goes and comes back is born
anew, as a fresh id would be. Depth messages before the first snapshot cannot be applied alone: those whose update id is
at least the snapshot's become part of it.
Source: `l2_*_events`: kind 0 snapshot level, 1 depth level, 2 best quote, 3 trade; quantity 0 removes a level.
"""

from collections.abc import Iterator

import numpy as np

from bot.market.delta import CLEAR_BOOK, DELTA, DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_BID
from bot.research.backtest.messages import Messages, messages
from bot.sim.playback import Columns, to_cents, to_e5, whole_messages

_SNAPSHOT, _DEPTH, _BEST, _TRADE = range(4)


def depth_messages(batches: Iterator[Columns], symbol: int, size_scale: float = 1.0) -> Iterator[Messages]:
    """Yield the messages of an order-book recording; what comes before its first snapshot is folded into that.

    Args: `batches` of the columns of `l2_*_events`; `symbol` index in the evaluator's arrays; `size_scale` turns
        quantities into base units (contracts of 100 USD at 50,000 USD a coin: 0.002).
    """
    early: list[Columns] = []
    has_snapshot, last_ns = False, 0
    spots = np.full(2, -1, np.int64)
    for batch, _ in whole_messages(batches, "seq"):
        piece = {name: column[batch["kind"] != _TRADE] for name, column in batch.items()}
        if not has_snapshot:
            early.append(piece)
            if not (piece["kind"] == _SNAPSHOT).any():
                continue
            piece = _from_snapshot({name: np.concatenate([e[name] for e in early]) for name in piece})
            has_snapshot, early = True, []
        if len(piece["seq"]):
            told, last_ns = _told(piece, symbol, size_scale, spots, last_ns)
            if len(told.times_ns):
                yield told


def _from_snapshot(columns: Columns) -> Columns:
    """Return what is known from the first snapshot on: later updates that came before it stand right behind it."""
    kinds, seqs = columns["kind"], columns["seq"]
    at = int(np.argmax(kinds == _SNAPSHOT))
    number = seqs[at]
    update_id = columns["update_id"][at]
    is_before = np.arange(len(kinds)) < at
    is_early = is_before & (kinds == _DEPTH) & (columns["update_id"] >= update_id)
    in_snapshot = (seqs == number) & ~is_before
    after = ~is_before & ~in_snapshot & ((kinds != _DEPTH) | (columns["update_id"] >= update_id))
    first = np.concatenate([np.flatnonzero(in_snapshot), np.flatnonzero(is_early)])
    levels = np.stack([columns["side"][first].astype(np.float64), columns["price"][first]])
    _, last = np.unique(levels[:, ::-1], axis=1, return_index=True)  # the last word on a level counts
    first = first[np.sort(len(first) - 1 - last)]
    order = np.concatenate([first, np.flatnonzero(after)])
    folded = {name: column[order] for name, column in columns.items()}
    count = len(first)
    for name in ("seq", "ts_recv_ns"):  # all of it is one message
        folded[name][:count] = columns[name][at]
    folded["kind"][:count] = _DEPTH
    return folded


def _told(columns: Columns, symbol: int, size_scale: float, spots: np.ndarray, last_ns: int) -> tuple[Messages, int]:
    """Return whole messages as rows, and the time of the last; `spots` remembers the best prices told last."""
    kinds, seqs, sides = columns["kind"], columns["seq"], columns["side"].astype(np.int64)
    prices_e5, sizes = to_e5(columns["price"]), to_cents(columns["qty"] * size_scale)
    starts = np.flatnonzero(np.diff(seqs, prepend=seqs[0] - 1))
    lengths = np.diff(starts, append=len(seqs))
    is_best = kinds[starts] == _BEST

    # A best quote is told where it moved.
    keep = np.ones(len(seqs), np.bool_)
    for side in (0, 1):
        of_side = np.flatnonzero((kinds == _BEST) & (sides == side))
        if len(of_side):
            keep[of_side] = np.diff(prices_e5[of_side], prepend=spots[side]) != 0
            spots[side] = prices_e5[of_side[-1]]

    rows = np.zeros(len(seqs), DELTA)
    rows["symbol"], rows["price_e5"] = symbol, prices_e5
    is_quote = kinds == _BEST
    rows["kind"] = np.where(is_quote, SPOT_BID + sides, np.where(sizes > 0, DEPTH_BID + sides, DEPTH_DELETE))
    rows["quote_id"] = np.where(is_quote, 0, prices_e5 * 2 + sides)
    rows["size_cents"] = np.where(is_quote, 0, sizes)
    rows["price_e5"][rows["kind"] == DEPTH_DELETE] = 0

    counts = np.add.reduceat(keep, starts).astype(np.int64)
    numbers = np.repeat(np.arange(len(starts)), lengths)
    # Snapshots begin by forgetting, every message that tells something ends with a row that says so.
    is_snapshot = kinds[starts] == _SNAPSHOT
    heads = np.zeros(int(is_snapshot.sum()), DELTA)
    heads["symbol"], heads["kind"] = symbol, CLEAR_BOOK
    is_told = (counts > 0) | is_snapshot
    ends = np.zeros(int(is_told.sum()), DELTA)
    ends["symbol"], ends["kind"] = symbol, np.where(is_best[is_told], END_SPOT, END_DEPTH)

    # Deletions go before insertions within a message, the head first and the end last.
    phase = np.where(rows["kind"] == DEPTH_DELETE, 1, 2)
    all_rows = np.concatenate([heads, rows[keep], ends])
    all_numbers = np.concatenate([np.flatnonzero(is_snapshot), numbers[keep], np.flatnonzero(is_told)])
    all_phases = np.concatenate([np.zeros(len(heads), np.int64), phase[keep], np.full(len(ends), 3)])
    order = np.lexsort((all_phases, all_numbers))
    counts = counts + is_snapshot + is_told
    times_ns = np.maximum.accumulate(np.maximum(columns["ts_recv_ns"][starts], last_ns))
    return messages(times_ns, counts, all_rows[order]), int(times_ns[-1])
