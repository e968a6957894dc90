"""A run that is recorded in segments decides as one in a single file, and its chain replays bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wired_bot import WiredBot, bot_config, killed, virtual_venue

from bot.app import replay_journal
from bot.cli.recordings import in_words
from bot.engine.engine import Engine
from bot.engine.events import MarketDataChanged
from bot.engine.standing_market import read_standing
from bot.journal.format import JournalError, RecordKind, decode_json, encode_json
from bot.journal.reader import JournalReader
from bot.journal.recording_index import Lines, recorded_runs
from bot.journal.run_reader import open_run
from bot.journal.run_summary import run_summary
from bot.journal.segments import runs_in
from bot.market.book import standing_quotes

TINY = {"segment_mb": 0.012}


def run(folder: Path, watch: Any = lambda run: (), **recording: Any) -> WiredBot:
    folder.mkdir()
    config = bot_config(folder, trade=True, recording=recording)
    bot = WiredBot(folder, config, virtual_venue(), seconds=8, watch=watch).start()
    bot.until(lambda: bot.is_ready).let(3)
    bot.client.drop("cut")
    bot.let(20)
    assert bot.result is not None
    return bot


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[WiredBot, WiredBot, list[dict[int, dict[int, Any]]], Lines]:
    """The same run in one file and in segments; the books behind each decision of the latter; its index."""
    books: list[dict[int, dict[int, Any]]] = []

    def watch(run: Any) -> list[Any]:
        def keep(_: Any) -> None:
            known = run.engine.books
            books.append({s: standing_quotes(known, s) for s in range(len(run.engine.specs))} if known else {})

        return [keep]

    folder = tmp_path_factory.mktemp("runs")
    one, many = run(folder / "one"), run(folder / "many", watch, **TINY)
    lines = many.run.journal.put_away()
    return one, many, books, lines


def test_segments_change_nothing_of_what_is_recorded(runs: Any) -> None:
    one, many, _, lines = runs
    assert len(lines) > 5 and one.encoded == many.encoded
    with open_run(one.journal_path) as reader, open_run(many.journal_path) as chain:
        single, joined = ([tuple(record) for record in each] for each in (reader, chain))
    # The summary and the run's own words name the folder.
    assert [r for r in single if r[0] != RecordKind.END] == [r for r in joined if r[0] != RecordKind.END]


def test_a_chain_replays_bit_for_bit_over_its_edges(runs: Any) -> None:
    _, many, _, lines = runs
    result = replay_journal(many.run.journal.folder)
    assert (result.difference, result.clean_stop, result.truncated_at) == (None, True, None)
    assert result.decisions == len(many.encoded)
    assert result.frames == sum(line.frames for line in lines.values())


def test_each_segment_begins_with_the_market_as_it_stood(runs: Any) -> None:
    _, many, books, _ = runs
    decided, with_quotes = 0, 0
    for segment in runs_in(many.run.journal.folder)["run1"]:
        with JournalReader(segment.path) as reader:
            if segment.number == 1:
                decided += sum(record.kind is RecordKind.DECISION for record in reader)
                continue
            header = reader.header
            assert (header["segment"], header["of_run"]) == (segment.number, "run1")
            note = next(iter(reader))
            standing = read_standing(decode_json(note.payload), note.ns)
            engine = Engine(many.run.engine._settings)
            if standing.loaded is not None:
                engine.receive(standing.loaded)
                engine.receive(MarketDataChanged(note.ns, standing.rows))
                assert engine.specs == many.run.engine.specs
                found = {s: standing_quotes(engine.books, s) for s in range(len(engine.specs))}
                assert found == books[decided - 1]
                with_quotes += any(found.values())
            decided += sum(record.kind is RecordKind.DECISION for record in reader)
    assert decided == len(books) and with_quotes > 3
    loaded = many.run.engine._bookkeeping.loaded
    assert standing.loaded is not None and loaded is not None
    assert (standing.loaded.conversions, standing.loaded.usd_conversions, standing.loaded.traded_count) == (
        loaded.conversions, loaded.usd_conversions, loaded.traded_count,
    )  # fmt: skip


def test_the_gap_of_a_lost_link_is_in_the_index_and_in_the_line_for_a_person(runs: Any) -> None:
    _, many, _, lines = runs
    gaps = [gap for line in lines.values() for gap in line.gaps]
    assert gaps[0].reason == "starting" and "disconnected" in {gap.reason for gap in gaps}
    summary = run_summary(lines)
    assert summary["breaks"] == len(gaps) - 1 and 0 < summary["break_s"] < 8
    line = in_words(summary)
    assert line.startswith(f"recorded  run run1: {len(lines)} segment(s), ") and "gaps: " in line and "\n" not in line
    assert recorded_runs(many.run.journal.folder)["run1"] == lines


def test_a_replay_without_the_beginning_is_refused_in_one_line(runs: Any, tmp_path: Path) -> None:
    _, many, _, _ = runs
    for segment in runs_in(many.run.journal.folder)["run1"][2:]:
        (tmp_path / segment.path.name).write_bytes(segment.path.read_bytes())
    with pytest.raises(JournalError, match=r"begins with segment 3, earlier ones were removed; a replay needs"):
        replay_journal(tmp_path)


def test_the_next_run_seals_what_a_killed_one_has_left_and_knows_the_gap(tmp_path: Path) -> None:
    config = bot_config(tmp_path, trade=True, recording=TINY)
    first = WiredBot(tmp_path, config, virtual_venue()).start()
    first.until(lambda: first.is_ready).let(2)
    assert first.run.journal is not None
    first.run.journal.flush()
    killed(first)
    first.run.journal._lock._lock.release(force=True)  # type: ignore[union-attr]
    second = WiredBot(
        tmp_path, config, virtual_venue(), seconds=1, run_id="run2", clock=first.clock
    ).start().let(8)  # fmt: skip
    assert second.result is not None and second.run.journal is not None
    second.run.journal.put_away()
    assert all(segment.is_packed for segments in runs_in(tmp_path).values() for segment in segments)
    assert replay_journal(tmp_path / "run1.0001.journal").difference is None
    lines = recorded_runs(tmp_path)
    assert ([*lines["run1"].values()][-1].end, [*lines["run2"].values()][-1].end) == ("killed", "clean")
    assert lines["run2"][1].gaps[0].reason == "no run"


def test_a_recording_that_cannot_go_on_does_not_end_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    bot = WiredBot(folder, bot_config(tmp_path, recording=TINY), virtual_venue(), seconds=4).start()
    bot.until(lambda: bot.is_ready)
    number = runs_in(folder)["run1"][-1].number
    (folder / f"run1.{number + 1:04d}.journal").write_text("in the way")
    bot.let(20)
    assert bot.result is not None and bot.result.exit_code == 0  # type: ignore[union-attr]
    assert bot.driver._journal is None
    (folder / f"run1.{number + 1:04d}.journal").unlink()
    assert bot.run.journal is not None
    lines = bot.run.journal.put_away()
    assert [line.end for line in lines.values()] == ["rotated"] * number
    assert replay_journal(folder).difference is None


def test_a_standing_market_outlives_json_and_another_form_is_refused(runs: Any) -> None:
    many = runs[1]
    content = many.run.engine.standing_market()
    first, again = read_standing(content, 1), read_standing(decode_json(encode_json(content)), 1)
    assert first.loaded is not None and first.loaded == again.loaded and np.array_equal(first.rows, again.rows)
    with pytest.raises(ValueError, match="this is no standing market"):
        read_standing({"ready": True, "symbols": [{}]}, 1)
    assert read_standing({"ready": False}, 1).loaded is None
