"""The folder of downloaded days: what is missing of it, what a killed download leaves, and what is not ours."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.ctrader.tick_download import TickDay, TickSource, TickSpan
from bot.ctrader.tick_merge import Quotes
from bot.research.tick_archive import SETTLE_MS, ArchiveUnusable, TickArchive
from bot.sim.day_files import DAY_MS, day_file_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

EURUSD = TickSource("EURUSD", 1, 5, "demo")
D = 19_675  # 2023-11-14
DAYS = [TickSpan((D + k) * DAY_MS, (D + k + 1) * DAY_MS) for k in range(4)]
LATER_MS = (D + 30) * DAY_MS


def archive(folder: Path, days: int = 3, now_ms: int = LATER_MS, **options: Any) -> TickArchive:
    return TickArchive(folder, D * DAY_MS, min(now_ms, (D + days) * DAY_MS), now_ms, **options)


def day(span: TickSpan, *, source: TickSource = EURUSD, rows: int = 2) -> TickDay:
    steps = np.arange(rows)
    return TickDay(source, span, Quotes(span.from_ms + steps * 1_000, 110_000 + steps, 110_010 + steps), rows, rows)


def test_a_day_is_stored_with_what_it_is_and_not_asked_for_again(tmp_path: Path) -> None:
    stored = archive(tmp_path).store(day(DAYS[1]))
    assert stored.path == tmp_path / "EURUSD" / "EURUSD_2023-11-15.parquet"
    assert stored.is_complete
    table = pq.read_table(stored.path)
    start_us = DAYS[1].from_ms * 1_000
    assert table.to_pydict() == {
        "ts_us": [start_us, start_us + 1_000_000], "bid": [1.1, 1.10001], "ask": [1.1001, 1.10011]
    }  # fmt: skip
    file = day_file_of(table.schema.metadata)
    assert file == stored.file
    assert file is not None
    assert (table.schema.metadata[b"symbol"], table.schema.metadata[b"digits"]) == (b"EURUSD", b"5")
    assert (file.symbol, file.digits, file.account_kind) == ("EURUSD", 5, "demo")
    assert (file.from_ms, file.to_ms, file.row_count, file.bid_count) == (DAYS[1].from_ms, DAYS[1].to_ms, 2, 2)
    assert archive(tmp_path).missing(EURUSD) == [DAYS[0], DAYS[2]]
    assert archive(tmp_path).missing(TickSource("USDJPY", 2, 3, "demo")) == DAYS[:3]


def test_a_day_without_ticks_is_remembered(tmp_path: Path) -> None:
    archive(tmp_path).store(day(DAYS[0], rows=0))
    assert archive(tmp_path).missing(EURUSD) == DAYS[1:3]


def test_a_day_that_was_not_over_is_asked_for_anew_and_then_no_more(tmp_path: Path) -> None:
    now_ms = DAYS[0].from_ms + 3_600_000
    early = archive(tmp_path, 1, now_ms)
    (span,) = early.missing(EURUSD)
    assert span == TickSpan(DAYS[0].from_ms, now_ms)
    assert not early.store(day(span)).is_complete
    assert archive(tmp_path, 1).missing(EURUSD) == [DAYS[0]]
    archive(tmp_path, 1).store(day(DAYS[0]))
    assert archive(tmp_path, 1).missing(EURUSD) == []


@pytest.mark.parametrize(("after_ms", "is_asked"), [(SETTLE_MS - 1, True), (SETTLE_MS, False)])
def test_a_day_that_had_just_ended_is_asked_for_again(after_ms: int, is_asked: bool, tmp_path: Path) -> None:
    archive(tmp_path, 1, DAYS[0].to_ms + after_ms).store(day(DAYS[0]))
    assert archive(tmp_path, 1).missing(EURUSD) == ([DAYS[0]] if is_asked else [])


def test_a_part_of_a_day_grows_to_hold_what_was_there_as_well(tmp_path: Path) -> None:
    morning = TickSpan(DAYS[0].from_ms, DAYS[0].from_ms + 3_600_000)
    archive(tmp_path).store(day(morning))
    noon_ms, evening_ms = DAYS[0].from_ms + DAY_MS // 2, DAYS[0].from_ms + DAY_MS // 4 * 3
    wider = TickArchive(tmp_path, noon_ms, evening_ms, LATER_MS)
    assert wider.missing(EURUSD) == [TickSpan(DAYS[0].from_ms, evening_ms)]
    archive(tmp_path).store(day(TickSpan(noon_ms, DAYS[0].to_ms)))
    assert TickArchive(tmp_path, morning.from_ms, morning.to_ms, LATER_MS).missing(EURUSD) == [DAYS[0]]
    archive(tmp_path).store(day(morning))
    within = TickArchive(tmp_path, morning.from_ms + 5, morning.to_ms - 5, LATER_MS)
    assert within.missing(EURUSD) == []


def test_force_asks_for_everything_once_and_loses_nothing_that_was_there(tmp_path: Path) -> None:
    archive(tmp_path).store(day(DAYS[0]))
    forced = TickArchive(tmp_path, DAYS[0].from_ms + 1_000, DAYS[1].to_ms, LATER_MS, force=True)
    assert forced.missing(EURUSD) == [DAYS[0], DAYS[1]]
    forced.store(day(DAYS[0]))
    assert forced.missing(EURUSD) == [DAYS[1]], "a lost connection does not begin all over"


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def with_fewer_rows(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 1), path)


@pytest.mark.parametrize("spoil", [cut_off, emptied, with_fewer_rows])
def test_a_corrupt_file_is_found_told_and_asked_for_anew(spoil: Any, tmp_path: Path) -> None:
    stored = archive(tmp_path).store(day(DAYS[0]))
    spoil(stored.path)
    again = archive(tmp_path)
    assert again.missing(EURUSD) == DAYS[:3]
    assert list(again.corrupt) == [stored.path]
    assert str(stored.path) in again.corrupt[stored.path]
    again.store(day(DAYS[0]))
    assert archive(tmp_path).missing(EURUSD) == DAYS[1:3]


def test_what_is_not_ours_is_left_alone_without_force(tmp_path: Path) -> None:
    path = archive(tmp_path).store(day(DAYS[0])).path
    live = TickSource("EURUSD", 1, 5, "live")
    with pytest.raises(ArchiveUnusable, match=r"holds EURUSD of a demo account, not EURUSD of a live one: .*--force"):
        archive(tmp_path).missing(live)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ArchiveUnusable, match=r"EURUSD_2023-11-14\.parquet is not from a download"):
        archive(tmp_path).missing(EURUSD)
    assert archive(tmp_path, force=True).missing(live) == DAYS[:3]


def test_a_write_that_fails_leaves_what_was_there_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path).store(day(DAYS[0])).path
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArchiveUnusable, match="cannot be written: No space left") as error:
        archive(tmp_path).store(day(DAYS[0], rows=9))
    assert error.value.exit_code == 1
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_day_is_under_its_name_only_when_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill before the rename leaves a file of another name, which counts for nothing."""
    synced: list[str] = []
    sync = os.fsync

    def killed(source: Any, target: Any) -> None:
        synced.append("replace")
        raise SystemExit(source)

    monkeypatch.setattr(os, "fsync", lambda number: (synced.append("sync"), sync(number)))
    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(SystemExit):
        archive(tmp_path).store(day(DAYS[0]))
    assert synced == ["sync", "replace"]
    assert not list(tmp_path.rglob("*.parquet"))
    assert archive(tmp_path).missing(EURUSD) == DAYS[:3]
    monkeypatch.undo()
    archive(tmp_path).store(day(DAYS[0]))
    assert [p.name for p in (tmp_path / "EURUSD").iterdir()] == ["EURUSD_2023-11-14.parquet"]


def test_one_download_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    new, another = archive(tmp_path / "new").locked(), archive(tmp_path / "new").locked()
    with new, pytest.raises(ArchiveUnusable, match="another download is writing"), another:
        pass
    with archive(tmp_path / "new").locked():
        pass
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArchiveUnusable, match="cannot be written to"), archive(tmp_path / "file").locked():
        pass


def test_a_symbol_with_signs_in_its_name_has_a_folder_all_the_same(tmp_path: Path) -> None:
    source = TickSource("../EUR/USD", 1, 5, None)
    stored = archive(tmp_path).store(day(DAYS[0], source=source))
    assert stored.path.parent.parent == tmp_path
    assert archive(tmp_path).missing(source) == DAYS[1:3]
