"""What the decision lines say of a recorded market, against an independent reading of the recording by pyarrow."""

import io
import json
from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest
from recordings import BOOK, QUOTES, recording
from wired_bot import START, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.cli.lines import JsonLines
from bot.engine.decision import Decision

pq = pytest.importorskip("pyarrow.parquet")


class RecordedBook:
    """An order book read from the recording with a dict and nothing of ours; `advance` to a recorded time."""

    def __init__(self, path: Path, rows: int) -> None:
        self._rows = pq.read_table(path).slice(0, rows).to_pylist()
        self.first_ns = self._rows[0]["ts_recv_ns"]
        self._at = 0
        self._early: list[dict[str, Any]] | None = []
        self._snapshot_id = 0
        self.sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
        self.best: list[float | None] = [None, None]

    def advance(self, to_ns: int) -> None:
        while self._rows[self._at]["ts_recv_ns"] <= to_ns:
            row = self._rows[self._at]
            self._at += 1
            if row["kind"] == 2:
                self.best[row["side"]] = row["price"]
            elif row["kind"] == 0:
                self._snapshot_id = row["update_id"]
                self.sides[row["side"]][row["price"]] = row["qty"]
            elif row["kind"] == 1 and not self._snapshot_id:
                self._early.append(row)
            elif row["kind"] == 1:
                for early in self._early or ():
                    self._level(early)
                self._early = None
                self._level(row)

    def _level(self, row: dict[str, Any]) -> None:
        if row["update_id"] < self._snapshot_id:
            return
        side = self.sides[row["side"]]
        if row["qty"]:
            side[row["price"]] = row["qty"]
        else:
            side.pop(row["price"], None)


class Watcher:
    """Keeps each decision line, with what the engine knew at that moment."""

    def __init__(self, run: Any) -> None:
        self._run, self._out = run, io.StringIO()
        self._lines = JsonLines(run, self._out)
        self.seen: list[tuple[int, dict[str, Any], float]] = []

    def __call__(self, decision: Decision) -> None:
        self._out.seek(0)
        self._out.truncate()
        self._lines(decision)
        for text in self._out.getvalue().splitlines():
            line = json.loads(text)
            if line["type"] == "decision":
                distance = float(self._run.engine.features.depth_distance[0])
                self.seen.append((decision.now_ns, line, distance))


def watched(path: Path, symbol: str, seconds: float, folder: Path) -> tuple[WiredBot, Watcher]:
    watchers: list[Watcher] = []

    def watch(run: Any) -> list[Watcher]:
        watchers.append(Watcher(run))
        return watchers

    config = bot_config(folder, symbols={symbol: {"direction": "long"}})
    bot = WiredBot(folder, config, virtual_venue(str(path)), seconds=seconds, watch=watch).start().let(seconds + 5)
    assert bot.result is not None and bot.result.exit_code == 0
    return bot, watchers[0]


def test_mid_spread_and_depth_of_a_recorded_book_agree_with_the_recording(tmp_path: Path) -> None:
    path = recording(BOOK)
    bot, watcher = watched(path, "BTCUSD", 12, tmp_path)
    book = RecordedBook(path, 60_000)
    compared = 0
    for now_ns, line, distance in watcher.seen:
        book.advance(book.first_ns + now_ns - START)
        bid, ask = book.best
        if bid is None or ask is None:
            assert line["mid"] is None
            continue
        assert line["mid"] == pytest.approx((bid + ask) / 2, rel=1e-12)
        assert line["spread_bps"] == pytest.approx((ask - bid) / ((bid + ask) / 2) * 1e4, rel=1e-6)
        if not book.sides[0]:
            assert line["bid_depth_units"] is None
            continue
        middle = (max(book.sides[0]) + min(book.sides[1])) / 2
        for name, side in (("bid_depth_units", 0), ("ask_depth_units", 1)):
            near = [qty for price, qty in book.sides[side].items() if abs(price - middle) <= distance + 1e-9]
            assert line[name] == pytest.approx(sum(near), rel=1e-9)
        compared += 1
    assert compared >= 9
    assert replay_journal(bot.journal_path).difference is None


@pytest.mark.slow
def test_mid_and_spread_of_recorded_quotes_agree_with_the_recording(tmp_path: Path) -> None:
    path = recording(QUOTES)
    bot, watcher = watched(path, "EURUSD", 120, tmp_path)
    rows = pq.read_table(path).slice(0, 2_000).to_pylist()
    times = [(row["ts_us"] - rows[0]["ts_us"]) * 1_000 for row in rows]
    assert len(watcher.seen) > 20
    for now_ns, line, _ in watcher.seen:
        row = rows[bisect_right(times, now_ns - START) - 1]
        middle = (row["bid"] + row["ask"]) / 2
        assert line["mid"] == pytest.approx(middle, rel=1e-12)
        assert line["spread_bps"] == pytest.approx((row["ask"] - row["bid"]) / middle * 1e4, rel=1e-6)
        assert line["bid_depth_units"] is None or line["bid_depth_units"] > 0
    assert replay_journal(bot.journal_path).difference is None
