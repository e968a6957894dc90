"""Writing a journal: what is on disk when, what is refused, and what a full disk does."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.journal.format import JournalError, Record, RecordKind, SecretInJournal, decode_batch, decode_json
from bot.journal.reader import JournalReader
from bot.journal.writer import JournalWriter

TOKEN = b"tok_3f9a81c7"


def records_of(path):
    with JournalReader(path) as reader:
        return list(reader)


def write_batches(writer, count):
    for ns in range(count):
        writer.batch(ns, [b"quote" * 10])


def test_every_method_writes_its_record_in_the_order_of_the_calls(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {"run_id": "r1", "symbols": ["EURUSD"]})
    writer.link(1, True, "connected")
    writer.batch(2, [b"one", b""])
    writer.timer(3)
    writer.input(4, b'{"command":"stop"}')
    writer.decision(5, b"\x00\xff")
    writer.note(6, {"text": "größer"})
    writer.close(7, {"deals": 2})
    with JournalReader(path) as reader:
        assert reader.header == {"run_id": "r1", "symbols": ["EURUSD"]}
        link, batch, timer, entered, decision, note, end = reader
        assert reader.ended_cleanly
        assert reader.truncated_at is None
    assert (link.kind, link.ns, decode_json(link.payload)) == (RecordKind.LINK, 1, {"up": True, "reason": "connected"})
    assert (batch.kind, batch.ns, decode_batch(batch.payload)) == (RecordKind.BATCH, 2, [b"one", b""])
    assert timer == Record(RecordKind.TIMER, 3, b"")
    assert entered == Record(RecordKind.INPUT, 4, b'{"command":"stop"}')
    assert decision == Record(RecordKind.DECISION, 5, b"\x00\xff")
    assert (note.kind, note.ns, decode_json(note.payload)) == (RecordKind.NOTE, 6, {"text": "größer"})
    assert (end.kind, end.ns, decode_json(end.payload)) == (RecordKind.END, 7, {"deals": 2})


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.lists(st.binary(max_size=50), max_size=4)), max_size=20),
    st.integers(1, 7),
)
def test_any_batches_come_back_whatever_the_flushing(tmp_path_factory, batches, flush_records):
    path = tmp_path_factory.mktemp("journal") / "run.journal"
    writer = JournalWriter(path, {}, flush_records=flush_records)
    for ns, frames in batches:
        writer.batch(ns, frames)
    writer.close(0, {})
    found = [(record.ns, decode_batch(record.payload)) for record in records_of(path)[:-1]]
    assert found == batches


def test_the_file_is_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "run.journal"
    JournalWriter(path, {}).close(0, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path):
    path = tmp_path / "run.journal"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="exists already") as caught:
        JournalWriter(path, {})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"precious"


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(JournalError, match=r"nowhere.run\.journal: No such file"):
        JournalWriter(tmp_path / "nowhere" / "run.journal", {})


def test_the_header_is_on_disk_at_once(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {"run_id": "r1"})
    with JournalReader(path) as reader:
        assert reader.header == {"run_id": "r1"}
        assert list(reader) == []
    writer.close(0, {})


def test_records_reach_the_system_after_so_many_or_so_long_or_so_much_or_on_request(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {}, flush_records=4, flush_ns=1_000)
    for ns in (1, 2, 3):
        writer.timer(ns)
    assert len(records_of(path)) == 0
    writer.timer(4)
    assert len(records_of(path)) == 4
    writer.timer(5_000)  # the wait is counted from the oldest record that waits
    writer.timer(5_999)
    assert len(records_of(path)) == 4
    writer.timer(6_000)
    assert len(records_of(path)) == 7
    writer.timer(6_001)
    writer.flush()
    assert len(records_of(path)) == 8
    writer.timer(6_002)
    writer.sync()
    assert len(records_of(path)) == 9
    writer.input(6_003, bytes(300_000))
    assert len(records_of(path)) == 10
    writer.close(7_000, {})


@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.link(1, False, f"refused {TOKEN.decode()}"),
        lambda writer: writer.batch(1, [b"harmless", b"\x08\x12" + TOKEN + b"\x00"]),
        lambda writer: writer.input(1, TOKEN),
        lambda writer: writer.decision(1, b"x" + TOKEN),
        lambda writer: writer.note(1, {"token": TOKEN.decode()}),
        lambda writer: writer.close(1, {"token": TOKEN.decode()}),
    ],
    ids=["link", "batch", "input", "decision", "note", "close"],
)
def test_a_record_with_a_secret_is_refused_unseen_and_the_rest_is_kept(tmp_path, write):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {}, secrets=(b"another-secret", TOKEN))
    writer.timer(1)
    with pytest.raises(SecretInJournal, match="secret number 2") as caught:
        write(writer)
    assert TOKEN.decode() not in str(caught.value)
    writer.close(2, {})
    assert TOKEN not in path.read_bytes()
    assert records_of(path)[0] == Record(RecordKind.TIMER, 1, b"")


def test_a_header_with_a_secret_makes_no_file(tmp_path):
    path = tmp_path / "run.journal"
    with pytest.raises(SecretInJournal, match="HEADER"):
        JournalWriter(path, {"config": {"access_token": TOKEN.decode()}}, secrets=(TOKEN,))
    assert not path.exists()


def test_a_secret_is_found_in_its_json_form_too(tmp_path):
    writer = JournalWriter(tmp_path / "run.journal", {}, secrets=(b'quote"back\\slash',))
    with pytest.raises(SecretInJournal):
        writer.note(1, {"text": 'quote"back\\slash'})
    writer.close(2, {})


def test_secrets_too_short_to_tell_from_chance_are_ignored(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {}, secrets=(b"", b"12345"))
    writer.batch(1, [b"0123456789"])
    writer.close(2, {})
    assert len(records_of(path)) == 2


def test_a_closed_journal_takes_nothing_more_and_may_be_closed_again(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {})
    writer.close(1, {})
    content = path.read_bytes()
    writer.close(2, {})
    for late in (lambda: writer.timer(3), writer.sync):
        with pytest.raises(JournalError, match="is closed"):
            late()
    assert path.read_bytes() == content


def test_a_disk_full_at_the_start_is_told_by_the_constructor(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(JournalError, match="cannot write the journal"):
            JournalWriter(tmp_path / "run.journal", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_leaves_a_readable_journal(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.journal"
    writer = JournalWriter(path, {}, flush_records=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The file may grow to 1,000 bytes: the write that crosses it is cut short, the next one fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(JournalError, match=r"cannot write the journal .*run\.journal: File too large") as caught:
            write_batches(writer, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.failure is caught.value
    writer.timer(1_000)  # dropped: behind a torn record it would make the file corrupt
    writer.flush()
    writer.sync()
    writer.close(1_001, {})
    assert path.stat().st_size == 1_000
    with JournalReader(path) as reader:
        assert [record.ns for record in reader] == list(range(12))  # (1,000 - 27) // 75 whole records
        assert reader.truncated_at is not None
        assert not reader.ended_cleanly
