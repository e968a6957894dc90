"""The intent ledger: ids used once, intents that survive a kill, one process at a time."""

import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.journal.ledger import FINAL_STATES, OPEN_STATES, Intent, Ledger, LedgerError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def an_intent(client_order_id="m-r1-1", **changes):
    intent = Intent(client_order_id, "r1", 1, "open", -100_000, "market_range", 1_000, detail={"reason": "band"})
    return replace(intent, **changes)


def test_an_intent_comes_back_as_recorded(ledger):
    intent = an_intent(position_id=44, detail={"limit_price": 1.1, "nested": [None, True]})
    ledger.record_intent(intent)
    assert ledger.intent("m-r1-1") == replace(intent, updated_ns=1_000)
    assert ledger.open_intents() == [replace(intent, updated_ns=1_000)]
    assert ledger.intent("of somebody else") is None


def test_a_state_changes_the_intent_and_keeps_the_last_error(ledger):
    ledger.record_intent(an_intent())
    ledger.record_state("m-r1-1", "unknown", 5_000, "TIMEOUT")
    assert ledger.open_intents() == [an_intent(state="unknown", updated_ns=5_000, error_code="TIMEOUT")]
    ledger.record_state("m-r1-1", "resolved", 6_000)
    assert ledger.intent("m-r1-1") == an_intent(state="resolved", updated_ns=6_000, error_code="TIMEOUT")
    assert ledger.open_intents() == []


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_an_intent_without_an_outcome_is_open(ledger, state):
    ledger.record_intent(an_intent())
    ledger.record_state("m-r1-1", state, 2_000)
    assert [intent.state for intent in ledger.open_intents()] == [state]


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_an_intent_with_an_outcome_is_not_open(ledger, state):
    ledger.record_intent(an_intent())
    ledger.record_state("m-r1-1", state, 2_000)
    assert ledger.open_intents() == []


def test_a_replaced_order_goes_on_working_and_the_amend_that_replaced_it_is_done(ledger):
    ledger.record_intent(an_intent("m-r1-1", action="place"))
    ledger.record_intent(an_intent("m-r1-2", action="amend"))
    ledger.record_state("m-r1-1", "replaced", 2_000)
    ledger.record_state("m-r1-2", "replaced", 2_000)
    assert [intent.client_order_id for intent in ledger.open_intents()] == ["m-r1-1"]


def test_open_intents_come_oldest_first(ledger):
    for number, created_ns in ((1, 300), (2, 100), (3, 200)):
        ledger.record_intent(an_intent(f"m-r1-{number}", created_ns=created_ns))
    assert [intent.created_ns for intent in ledger.open_intents()] == [100, 200, 300]


def test_a_client_order_id_is_never_used_twice_not_even_after_its_end(ledger):
    ledger.record_intent(an_intent())
    ledger.record_state("m-r1-1", "filled", 2_000)
    with pytest.raises(LedgerError, match="m-r1-1 was used before"):
        ledger.record_intent(an_intent(symbol_id=2))
    assert ledger.intent("m-r1-1").symbol_id == 1


def test_states_of_unknown_intents_and_unknown_states_are_refused(ledger):
    with pytest.raises(LedgerError, match="no such intent"):
        ledger.record_state("m-r1-9", "filled", 2_000)
    ledger.record_intent(an_intent())
    with pytest.raises(LedgerError, match="cannot be in state 'done'"):
        ledger.record_state("m-r1-1", "done", 2_000)
    with pytest.raises(LedgerError, match="cannot be in state 'done'"):
        ledger.record_intent(an_intent("m-r1-2", state="done"))


@pytest.mark.parametrize(
    "intent",
    [
        an_intent(detail={"price": float("nan")}),
        an_intent(volume_cents=2**63),
        an_intent(volume_cents=1.5),
        an_intent(symbol_id=None),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_the_ledger_goes_on(ledger, intent):
    with pytest.raises(LedgerError, match="m-r1-1") as caught:
        ledger.record_intent(intent)
    assert "\n" not in str(caught.value)
    ledger.record_intent(an_intent())
    assert len(ledger.open_intents()) == 1


def test_the_files_are_readable_by_their_owner_only(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    path.chmod(0o644)
    ledger = Ledger(path)
    ledger.record_intent(an_intent())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    ledger.close()
    assert modes == dict.fromkeys([f"ledger.sqlite{end}" for end in ("", "-wal", "-shm", ".lock")], 0o600)


def test_only_intents_wait_for_the_disk(ledger):
    # FULL (2) makes SQLite sync the log at every commit, NORMAL (1) at checkpoints only.
    def level():
        return ledger._file.connection.execute("PRAGMA synchronous").fetchone()[0]

    ledger.record_intent(an_intent())
    assert level() == 2
    ledger.record_state("m-r1-1", "sent", 2_000)
    assert level() == 1
    ledger.record_intent(an_intent("m-r1-2"))
    assert level() == 2
    assert ledger._file.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def make_foreign(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()


def make_newer(path):
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()


def make_damaged(path):
    ledger = Ledger(path)
    for number in range(200):
        ledger.record_intent(an_intent(f"m-r1-{number}"))
    ledger.close()
    content = bytearray(path.read_bytes())
    content[4_096:] = b"\xaa" * (len(content) - 4_096)
    path.write_bytes(content)


def make_truncated(path):
    make_damaged(path)
    path.write_bytes(path.read_bytes()[:5_000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_foreign, r"not a microlev ledger: .*ledger\.sqlite \(another program's SQLite file\)"),
        (make_newer, r"ledger\.sqlite is a ledger of version 3, this microlev knows up to 2: update it"),
        (make_damaged, r"ledger\.sqlite is damaged"),
        (make_truncated, r"ledger\.sqlite is damaged"),
        (lambda path: path.write_bytes(b"access_token: x\n" * 100), r"ledger\.sqlite \(not an SQLite file\)"),
        (lambda path: path.mkdir(), r"cannot open the ledger .*ledger\.sqlite: unable to open"),
    ],
)
def test_a_file_that_is_no_sound_ledger_is_refused_in_one_line_and_left_as_it_was(tmp_path, make, message):
    path = tmp_path / "ledger.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LedgerError, match=message) as caught:
        Ledger(path)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(LedgerError, match=r"cannot open the ledger .*nowhere.ledger\.sqlite: No such file"):
        Ledger(tmp_path / "nowhere" / "ledger.sqlite")


def test_a_closed_ledger_refuses_in_its_own_words(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    ledger.close()
    for late in (lambda: ledger.record_intent(an_intent()), ledger.open_intents):
        with pytest.raises(LedgerError, match="closed"):
            late()


RECORD_AND_WAIT = """
import sys
from bot.journal.ledger import Intent, Ledger
ledger = Ledger(sys.argv[1])
for number in range(100):
    given = f"r1-{number}"
    ledger.record_intent(Intent(given, "r1", 1, "open", number + 1, "market", number))
ledger.record_state(given, "sent", 200)
print(given, flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_every_intent_and_no_lock_and_its_ids_are_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    child = subprocess.Popen(
        [sys.executable, "-c", RECORD_AND_WAIT, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        last = child.stdout.readline().decode().strip()
        with pytest.raises(LedgerError, match="in use by another process") as caught:
            Ledger(path)
        assert "\n" not in str(caught.value)
    finally:
        child.kill()
        child.communicate(timeout=10)
    ledger = Ledger(path)
    intents = ledger.open_intents()
    assert [intent.volume_cents for intent in intents] == list(range(1, 101))
    assert (intents[-1].client_order_id, intents[-1].state) == (last, "sent")
    with pytest.raises(LedgerError, match="used before"):
        ledger.record_intent(Intent(last, "r1", 1, "open", 1, "market", 300))
    ledger.close()


def test_a_second_ledger_on_the_same_file_is_refused_and_the_first_stays_locked(tmp_path):
    path = tmp_path / "ledger.sqlite"
    first = Ledger(path)
    for _ in range(2):
        with pytest.raises(LedgerError, match="in use by another process"):
            Ledger(path)
    command = [
        sys.executable,
        "-c",
        "import sys; from bot.journal.ledger import Ledger; Ledger(sys.argv[1])",
        str(path),
    ]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert "in use by another process" in other.stderr
    first.record_intent(an_intent())
    first.close()
