"""`microlev export`: one file or all, nothing overwritten, nothing half-written, and a line for every bad input."""

import struct
from pathlib import Path

import pytest
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.cli.main import main
from bot.journal.format import RecordKind, encode_json, encode_preamble, encode_record
from bot.journal.reader import JournalReader

pq = pytest.importorskip("pyarrow.parquet")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> WiredBot:
    folder = tmp_path_factory.mktemp("run")
    bot = WiredBot(folder, bot_config(folder, symbols={"EURUSD": {}}), virtual_venue(), seconds=1).start().let(3)
    assert bot.result is not None and bot.result.exit_code == 0
    return bot


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    """Run `microlev export` and return its exit code and what it wrote."""
    capsys.readouterr()
    code = main(["export", *map(str, arguments)])
    return code, *capsys.readouterr()


def rewritten(bot: WiredBot, path: Path, number: int) -> Path:
    """Write a bot's journal again with the mid of one Decision changed."""
    content, decisions = encode_preamble(), 0
    with JournalReader(bot.journal_path) as reader:
        content += encode_record(RecordKind.HEADER, 0, encode_json(reader.header))
        for record in reader:
            payload = record.payload
            if record.kind is RecordKind.DECISION:
                decisions += 1
                if decisions == number:
                    payload = payload[:20] + struct.pack("<d", 7.0) + payload[28:]
            content += encode_record(record.kind, record.ns, payload)
    path.write_bytes(content)
    return path


def test_one_file_is_written_and_never_overwritten_unless_forced(
    bot: WiredBot, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "run.parquet"
    code, printed, errors = run(capsys, bot.journal_path, out)
    assert (code, errors) == (0, "")
    table = pq.read_table(out)
    assert printed.splitlines() == [
        f"{out}: {table.num_rows} rows of decisions",
        f"equal: {len(bot.decisions)} decisions decided again bit for bit",
    ]
    assert table.schema.metadata[b"journal"] == bot.journal_path.name.encode()
    facts = pq.ParquetFile(out).metadata.metadata
    assert (facts[b"decisions_equal"], facts[b"torn_at"], facts[b"deposit_currency"]) == (b"yes", b"", b"USD")
    before = out.read_bytes()
    code, printed, errors = run(capsys, bot.journal_path, out)
    assert (code, printed, errors) == (2, "", f"{out} exists; --force replaces it\n")
    assert run(capsys, bot.journal_path, out, "--force")[0] == 0
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.parquet"]


def test_all_writes_the_other_tables_beside_the_one_that_was_asked_for(
    bot: WiredBot, tmp_path: Path, capsys: Capture
) -> None:
    taken = tmp_path / "run.decisions.parquet"
    taken.write_text("somebody's")
    arguments = (bot.journal_path, tmp_path / "run.parquet", "--all", "--table", "quotes")
    code, _, errors = run(capsys, *arguments)
    assert (code, errors) == (2, f"{taken} exists; --force replaces it\n")
    assert [path.name for path in tmp_path.iterdir()] == [taken.name]
    taken.unlink()
    code, printed, errors = run(capsys, *arguments)
    assert (code, errors) == (0, "")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "run.parquet",
        *(f"run.{name}.parquet" for name in ("book", "features", "decisions", "orders", "deals")),
    }
    # The run had loaded one symbol alone, so its quotes are in the layout of a recording.
    quotes = pq.read_table(tmp_path / "run.parquet")
    assert quotes.column_names == ["ts_us", "bid", "ask"] and quotes.schema.metadata[b"symbol"] == b"EURUSD"
    assert len(printed.splitlines()) == 7


def test_a_torn_tail_is_exported_up_to_the_tear(bot: WiredBot, tmp_path: Path, capsys: Capture) -> None:
    whole = bot.journal_path.read_bytes()
    torn = tmp_path / "torn.journal"
    torn.write_bytes(whole[: len(whole) * 2 // 3])
    with JournalReader(torn) as reader:
        decisions = sum(record.kind is RecordKind.DECISION for record in reader)
        at = reader.truncated_at
    code, printed, errors = run(capsys, torn, tmp_path / "run.parquet", "--verify")
    assert (code, errors) == (0, f"{torn}: the last record is torn at byte {at}; exported up to there\n")
    assert printed.endswith(f"equal: {decisions} decisions decided again bit for bit\n")
    assert pq.ParquetFile(tmp_path / "run.parquet").metadata.metadata[b"torn_at"] == str(at).encode()


def test_a_run_that_is_decided_otherwise_is_exported_to_its_end_and_told(
    bot: WiredBot, tmp_path: Path, capsys: Capture
) -> None:
    journal = rewritten(bot, tmp_path / "other.journal", 15)
    assert len(bot.decisions[14].rows)
    code, printed, errors = run(capsys, journal, tmp_path / "other.parquet")
    assert code == 0
    assert errors.startswith(f"{journal}: different at decision 15 (") and "recorded 7.0, replayed 1.1" in errors
    assert errors.endswith("; exported as this version decides\n") and errors.count("\n") == 1
    assert "equal" not in printed
    run(capsys, bot.journal_path, tmp_path / "same.parquet")
    other, same = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("other", "same"))
    assert other.num_rows == same.num_rows
    assert pq.ParquetFile(tmp_path / "other.parquet").metadata.metadata[b"decisions_equal"] == b"no"
    assert run(capsys, journal, tmp_path / "other.parquet", "--force", "--verify")[0] == 1
    assert (tmp_path / "other.parquet").exists()


def test_bad_input_is_one_line_and_leaves_nothing_behind(bot: WiredBot, tmp_path: Path, capsys: Capture) -> None:
    damaged = bytearray(bot.journal_path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    corrupt, foreign = tmp_path / "corrupt.journal", tmp_path / "foreign.journal"
    corrupt.write_bytes(damaged)
    foreign.write_text("ts,bid,ask\n")
    out = tmp_path / "out.parquet"
    for arguments, text in (
        ((corrupt, out), f"{corrupt} is corrupt at byte "),
        ((foreign, out), f"not a microlev journal: {foreign}"),
        ((tmp_path / "none.journal", out), f"cannot read the journal {tmp_path / 'none.journal'}"),
        ((bot.journal_path, out, "--symbol", "EURUSX"), "the run had no symbol EURUSX; it had: EURUSD"),
        ((bot.journal_path, tmp_path / "no" / "out.parquet"), f"{tmp_path / 'no' / 'out.parquet'}: there is no folder"),
        (
            (bot.journal_path, tmp_path / "out.csv"),
            "microlev export: Invalid value for OUT.parquet: must end in .parquet",
        ),
        ((bot.journal_path, out, "--table", "trades"), "microlev export: Invalid value for '--table': must be one of"),
    ):
        code, printed, errors = run(capsys, *arguments)
        assert (code, printed, errors.count("\n")) == (2, "", 1), errors
        assert errors.startswith(text), errors
    assert {path.name for path in tmp_path.iterdir()} == {"corrupt.journal", "foreign.journal"}
