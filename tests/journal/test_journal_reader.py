"""Reading a journal back: torn tails are no error, damage is, and nothing else passes for a journal."""

import os
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.journal.format import (
    JournalCorrupt,
    JournalError,
    Record,
    RecordKind,
    encode_batch,
    encode_json,
    encode_preamble,
    encode_record,
)
from bot.journal.reader import JournalReader
from bot.journal.writer import JournalWriter

ROOT = Path(__file__).parents[2]
SMALL = [
    Record(RecordKind.LINK, 10, encode_json({"up": True, "reason": "connected"})),
    Record(RecordKind.BATCH, 20, encode_batch([b"\x08\x33", b"\x00" * 5])),
    Record(RecordKind.TIMER, 30, b""),
    Record(RecordKind.DECISION, 30, b"\x00\x00"),
    Record(RecordKind.END, 40, b"{}"),
]


def journal_of(records, header=b'{"run":"r1"}'):
    """Return a journal's bytes and the offset at which each record starts (the last one: the end)."""
    parts = [encode_preamble(), encode_record(RecordKind.HEADER, 0, header)]
    parts += [encode_record(*record) for record in records]
    offsets = [sum(map(len, parts[: index + 2])) for index in range(len(records) + 1)]
    return b"".join(parts), offsets


def read(path, content):
    """Write `content`, read it as a journal, and return its records and truncated_at."""
    path.write_bytes(content)
    with JournalReader(path) as reader:
        records = list(reader)
        assert reader.ended_cleanly is any(record.kind is RecordKind.END for record in records)
        return records, reader.truncated_at


def read_or_error(path, content):
    try:
        return read(path, content), None
    except JournalError as error:
        return None, error


RECORDS = st.builds(
    Record, st.sampled_from(list(RecordKind)[1:]), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=80)
)


@given(st.lists(RECORDS, max_size=12))
def test_any_records_come_back_as_they_were(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("journal") / "run.journal"
    assert read(path, journal_of(records)[0]) == (records, None)


@settings(max_examples=10, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_a_journal_cut_at_any_byte_gives_exactly_the_whole_records_before_the_cut(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("journal") / "run.journal"
    content, offsets = journal_of(records)
    for size in range(offsets[0], len(content) + 1):
        whole = sum(offset <= size for offset in offsets[1:])
        torn_at = None if size in offsets else offsets[whole]
        assert read(path, content[:size]) == (records[:whole], torn_at)


def test_a_journal_cut_inside_its_header_says_that_nothing_was_recorded(tmp_path):
    content, offsets = journal_of([])
    for size in range(1, offsets[0]):
        with pytest.raises(JournalError, match="ends inside its header"):
            read(tmp_path / "run.journal", content[:size])


def test_zeros_that_a_power_cut_left_count_as_not_written(tmp_path):
    content, offsets = journal_of(SMALL[:3])
    start = offsets[2] + 1  # the last record's length has a byte on disk, or more of the record, but not its CRC
    for size in range(start, len(content) - 4):
        for zeros in (1, 4, 13, 17, 30, 5_000):
            assert read(tmp_path / "run.journal", content[:size] + bytes(zeros)) == (SMALL[:2], offsets[2])
    for zeros in (1, 12, 13, 16, 17, 18, 5_000, 3_000_000):
        assert read(tmp_path / "run.journal", content + bytes(zeros)) == (SMALL[:3], offsets[3])
    with pytest.raises(JournalCorrupt):
        read(tmp_path / "run.journal", content + bytes(3_000_000) + b"x")


def test_a_flipped_bit_anywhere_is_told_or_ends_the_reading_at_the_last_record(tmp_path):
    content, offsets = journal_of(SMALL)
    path = tmp_path / "run.journal"
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            outcome, error = read_or_error(path, bytes(damaged))
            if error is None:
                # Only the last record's length can pass for a torn tail: nothing follows that would betray it.
                assert outcome == (SMALL[:4], offsets[4])
                assert offsets[4] <= position < offsets[4] + 4
            else:
                assert "\n" not in str(error)
            if isinstance(error, JournalCorrupt) and position >= offsets[0]:
                assert error.offset == max(offset for offset in offsets if offset <= position)
                assert (error.path, str(error.offset) in str(error)) == (path, True)


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, min_size=2, max_size=8), st.data())
def test_a_damaged_length_that_runs_past_the_end_is_no_torn_tail(tmp_path_factory, records, data):
    path = tmp_path_factory.mktemp("journal") / "run.journal"
    content, offsets = journal_of(records)
    at = offsets[data.draw(st.integers(0, len(records) - 2))]
    length = data.draw(st.integers(len(content) - at, 2**32 - 1))
    with pytest.raises(JournalCorrupt) as caught:
        read(path, content[:at] + length.to_bytes(4, "little") + content[at + 4 :])
    assert caught.value.offset == at


def test_the_records_before_the_damage_are_given_first(tmp_path):
    content, offsets = journal_of(SMALL)
    damaged = bytearray(content)
    damaged[offsets[2] + 6] ^= 1
    (tmp_path / "run.journal").write_bytes(damaged)
    with JournalReader(tmp_path / "run.journal") as reader:
        records = iter(reader)
        assert [next(records), next(records)] == SMALL[:2]
        with pytest.raises(JournalCorrupt, match="CRC of a record"):
            next(records)


def test_a_kind_from_the_future_is_named(tmp_path):
    content, _ = journal_of(SMALL[:1])
    checked = b"\x63" + bytes(8)
    record = bytes(4) + checked + zlib.crc32(checked).to_bytes(4, "little")
    with pytest.raises(JournalCorrupt, match="kind 99 is unknown"):
        read(tmp_path / "run.journal", content + record)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"not a microlev journal: .*run\.journal \(it is empty\)"),
        (b"PAR1\x15\x04\x15\x10\x00", r"not a microlev journal: .*run\.journal \(starts with b'PAR1"),
        (b"x", r"starts with b'x'"),
        (b"MLJ1\x02\x00\x00\x00", r"journal of format 2, this microlev reads up to 1: update it"),
        (b"MLJ1\x00\x00\x00\x00", r"corrupt at byte 4: there is no format 0"),
        (encode_preamble() + encode_record(RecordKind.TIMER, 1, b""), "first record is a TIMER, not the HEADER"),
        (encode_preamble() + encode_record(RecordKind.HEADER, 0, b"[]"), "corrupt at byte 8: .* not an object"),
    ],
)
def test_what_is_no_journal_of_ours_is_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(JournalError, match=message) as caught:
        read(tmp_path / "run.journal", content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.journal", ""])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    with pytest.raises(JournalError, match="cannot read the journal"):
        JournalReader(tmp_path / name)


def test_reading_takes_the_memory_of_a_chunk_however_long_the_journal(tmp_path):
    path = tmp_path / "run.journal"
    with path.open("wb") as file:
        file.write(journal_of([])[0])
        batch = encode_record(RecordKind.BATCH, 1, encode_batch([bytes(1_000)]))
        for _ in range(20):
            file.write(batch * 1_000)
    tracemalloc.start()
    with JournalReader(path) as reader:
        count = sum(1 for _ in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 6_000_000 < path.stat().st_size


def test_a_record_longer_than_a_chunk_is_read_whole(tmp_path):
    records = [Record(RecordKind.INPUT, 1, os.urandom(3_000_000)), Record(RecordKind.TIMER, 2, b"")]
    assert read(tmp_path / "run.journal", journal_of(records)[0]) == (records, None)


def test_a_journal_that_is_still_being_written_reads_up_to_its_last_flush(tmp_path):
    writer = JournalWriter(tmp_path / "run.journal", {}, flush_records=1_000)
    writer.timer(1)
    writer.flush()
    writer.timer(2)
    with JournalReader(tmp_path / "run.journal") as reader:
        assert [record.ns for record in reader] == [1]
    writer.close(3, {})


WRITE_FOR_EVER = """
import sys
from bot.journal.writer import JournalWriter
writer = JournalWriter(sys.argv[1], {"run": "killed"}, flush_records=7)
for number in range(10**9):
    writer.batch(number, [number.to_bytes(8, "little") * 300])
    if number == 2_000:
        writer.flush()
        print("go", flush=True)
"""


def test_a_writer_killed_in_the_middle_leaves_a_readable_journal(tmp_path):
    path = tmp_path / "run.journal"
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"go\n"
    finally:
        child.kill()
        child.communicate(timeout=10)
    with JournalReader(path) as reader:
        count = 0
        for count, record in enumerate(reader, start=1):
            number = count - 1
            assert record == Record(RecordKind.BATCH, number, encode_batch([number.to_bytes(8, "little") * 300]))
        assert not reader.ended_cleanly
    assert count > 2_000
