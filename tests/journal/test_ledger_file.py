"""The ledger's file: migrated in place, read while it is written, whole after a kill, clear about a full disk."""

import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.journal import ledger_file
from bot.journal.kept import AccountSample, Aftermath, Intent, KeptDeal, KeptMark, KeptNotice, KeptRefusals, StateChange
from bot.journal.ledger import Ledger, LedgerError
from bot.journal.ledger_file import open_to_read
from bot.journal.ledger_reader import read_everything

ROOT = Path(__file__).parents[2]
# What version 1 wrote, to the letter.
VERSION_1 = """
BEGIN;
CREATE TABLE intents (
    client_order_id TEXT PRIMARY KEY, run_id TEXT NOT NULL, symbol_id INTEGER NOT NULL, action TEXT NOT NULL,
    volume_cents INTEGER NOT NULL, position_id INTEGER, order_type TEXT NOT NULL, created_ns INTEGER NOT NULL,
    state TEXT NOT NULL, updated_ns INTEGER NOT NULL, error_code TEXT, detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO intents VALUES ('m-1', 'm', 1, 'open', -100000, NULL, 'market', 7, 'sent', 8, NULL, '{}');
PRAGMA application_id = 1296845895;
PRAGMA user_version = 1;
COMMIT;
"""
INTENT = Intent("m-1", "m", 1, "open", -100_000, "market", 7, state="sent", updated_ns=8)
DEAL = KeptDeal(
    1, 10, 20, "m-1", "EURUSD", True, "ours", -100_000, 0, 1.1, Decimal("-0.10"), Decimal("12345678901234567.89"),
    Decimal("0.00"), None, Decimal("1E+3"), 4, 5, 6, None, None, 0.01, None,
)  # fmt: skip
FULL = Aftermath(
    ns=9,
    found=(replace(INTENT, client_order_id="m-2"),),
    states=(StateChange("m-1", "filled", 9),),
    deals=(DEAL,),
    marks=(KeptMark(1, 5, 1.1, 0.25, -0.5),),
    refusals=(KeptRefusals(0, "EURUSD", "margin_use", 1, 9, 0.6, 0.5, "too much"),),
    notices=(KeptNotice(9, "code", None, "text"),),
    sample=AccountSample(9, 10_000.5, Decimal("10000.00"), 100.0, 100.005),
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.executescript(VERSION_1)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


def test_a_ledger_of_version_1_keeps_its_intents_and_gets_the_new_tables(old: Path) -> None:
    ledger = Ledger(old)
    assert ledger.open_intents() == [INTENT]
    ledger.record(FULL)
    ledger.close()
    ledger = Ledger(old)  # a second opening finds nothing to do
    assert ledger.intent("m-1") == replace(INTENT, state="filled", updated_ns=9)
    ledger.close()
    assert read_everything(old).deals == (DEAL,)


@pytest.mark.parametrize("at", range(8))
def test_a_migration_that_breaks_off_leaves_version_1(old: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list(ledger_file._VERSIONS[2])
    steps.insert(at, "CREATE TABLE intents (x)")
    monkeypatch.setitem(ledger_file._VERSIONS, 2, tuple(steps))
    with pytest.raises(LedgerError, match="already exists"):
        Ledger(old)
    monkeypatch.undo()
    connection = sqlite3.connect(old)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("intents",)]
    connection.close()
    Ledger(old).close()


def test_everything_comes_back_as_it_was_kept_money_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "l"
    ledger = Ledger(path)
    ledger.record_intent(replace(INTENT, state="planned", updated_ns=None))
    ledger.record(FULL)
    span = read_everything(path)
    ledger.close()
    assert (span.deals, span.marks, span.refusals) == (FULL.deals, FULL.marks, FULL.refusals)
    assert (span.notices, span.samples) == (FULL.notices, (FULL.sample,))
    assert [intent.client_order_id for intent in span.intents] == ["m-1", "m-2"]
    assert str(span.deals[0].commission) == "-0.10"
    assert span.executed_cents == {"m-1": 100_000}


def test_a_deal_that_is_known_stays_as_it_was_first_told(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.record(Aftermath(1, deals=(DEAL,), marks=FULL.marks))
    ledger.record(Aftermath(2, deals=(replace(DEAL, cause="unknown"),), marks=(replace(FULL.marks[0], mid=2.0),)))
    ledger.close()
    span = read_everything(tmp_path / "l")
    assert (span.deals, span.marks) == ((DEAL,), FULL.marks)


def test_the_last_deals_since_a_time_are_told_by_their_ids(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    deals = tuple(replace(DEAL, deal_id=900 + i, executed_ns=10 * i) for i in (3, 1, 4, 2))
    ledger.record(Aftermath(1, deals=deals))
    assert ledger.last_deal_ids(0, 100) == (901, 902, 903, 904)
    assert ledger.last_deal_ids(20, 100) == (902, 903, 904)
    assert ledger.last_deal_ids(0, 2) == (903, 904), "the newest"
    ledger.close()


def test_refusals_are_counted_by_the_hour_with_the_last_of_them(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    row = FULL.refusals[0]
    for ns, reason in ((10, "first"), (20, "second")):
        ledger.record(Aftermath(ns, refusals=(replace(row, last_ns=ns, last_reason=reason),) * 2))
    ledger.close()
    (found,) = read_everything(tmp_path / "l").refusals
    assert (found.refusal_count, found.last_ns, found.last_reason) == (4, 20, "second")


def test_what_fails_leaves_nothing_of_its_decision(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    with pytest.raises(LedgerError, match="cannot record state filled of m-1: no such intent"):
        ledger.record(FULL)
    with pytest.raises(LedgerError, match="cannot be in state 'done'"):
        ledger.record(replace(FULL, states=(StateChange("m-1", "done", 1),)))
    ledger.close()
    span = read_everything(tmp_path / "l")
    assert (span.intents, span.deals, span.samples) == ((), (), ())


def test_small_facts_outlive_the_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    assert ledger.recall("guard") is None
    for peak in ("1.10", "1.20"):
        ledger.remember("guard", {"peak": peak, "day": None})
    with pytest.raises(LedgerError, match="memory guard is no JSON"):
        ledger.remember("guard", {"peak": Decimal(1)})
    ledger.close()
    ledger = Ledger(tmp_path / "l")
    assert ledger.recall("guard") == {"peak": "1.20", "day": None}
    ledger.close()


def test_only_intents_wait_for_the_disk_and_what_follows_is_one_transaction(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    said: list[str] = []
    ledger._file.connection.set_trace_callback(said.append)
    ledger.record_intent(replace(INTENT, state="planned", updated_ns=None))
    ledger.record(FULL)
    ledger.record(Aftermath(3))
    ledger.close()
    levels = [text for text in said if "synchronous" in text]
    assert levels == ["PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"]
    assert [text for text in said if text.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]


# -- others


def test_a_reader_holds_up_no_writer_and_sees_one_moment(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.record_intent(INTENT)
    reader = open_to_read(tmp_path / "l")
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM intents").fetchone() == (1,)
    for number in range(2_000, 2_020):
        ledger.record_intent(replace(INTENT, client_order_id=f"m-{number}"))
    assert reader.execute("SELECT count(*) FROM intents").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM intents")
    reader.close()
    assert len(read_everything(tmp_path / "l").intents) == 21
    ledger.close()


def test_a_ledger_is_read_after_a_clean_end_without_leaving_anything_open(tmp_path: Path) -> None:
    Ledger(tmp_path / "l").close()
    assert read_everything(tmp_path / "l").intents == ()
    ledger = Ledger(tmp_path / "l")
    ledger.record_intent(INTENT)
    ledger.close()
    assert len(read_everything(tmp_path / "l").intents) == 1


def make_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()


def make_old(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"there is no ledger at .*l; a run with mode: trade makes one"),
        (lambda path: path.mkdir(), r"there is no ledger at "),
        (make_foreign, r"not a microlev ledger: .*\(another program's SQLite file\)"),
        (make_old, r"is a ledger of version 1, this microlev reads version 2: the next run with mode: trade"),
        (lambda path: path.write_bytes(b"words " * 1000), r"not a microlev ledger: .*\(not an SQLite file\)"),
        (lambda path: path.write_bytes(b""), r"not a microlev ledger"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_ledger_is_told_in_one_line_and_left_alone(
    tmp_path: Path, make: Any, message: str
) -> None:
    path = tmp_path / "l"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LedgerError, match=message) as caught:
        read_everything(path)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


WRITE_FOR_EVER = """
import sys
from dataclasses import replace
from bot.journal.kept import *
from bot.journal.ledger import Ledger
sys.path.insert(0, "tests/journal")
from test_ledger_file import DEAL, FULL, INTENT
ledger = Ledger(sys.argv[1])
for n in range(1, 1_000_000):
    ledger.record_intent(replace(INTENT, client_order_id=f"m-{n}", state="planned", updated_ns=None))
    ledger.record(replace(
        FULL, found=(), states=(StateChange(f"m-{n}", "filled", n),), deals=(replace(DEAL, deal_id=n),),
        marks=(KeptMark(n, 5, 1.1, 0.25, -0.5),), sample=replace(FULL.sample, ns=n),
    ))
    if n % 20 == 0:
        print(n, flush=True)
"""


@pytest.mark.parametrize("until", [1, 4])
def test_a_writer_that_is_killed_leaves_whole_decisions_that_are_read_beside_it_and_after(
    tmp_path: Path, until: int
) -> None:
    path = tmp_path / "l"
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        for _ in range(until):
            told = int(child.stdout.readline())
        beside = read_everything(path)
        with pytest.raises(LedgerError, match="in use by another process"):
            Ledger(path)
    finally:
        child.kill()
        child.communicate(timeout=10)
    after = read_everything(path)
    for span in (beside, after):
        done = {int(i.client_order_id[2:]) for i in span.intents if i.state == "filled"}
        assert len(span.intents) - len(done) in (0, 1), "at most the last intent stands alone"
        assert (
            done == {d.deal_id for d in span.deals} == {m.deal_id for m in span.marks} == {s.ns for s in span.samples}
        )
        assert span.refusals[0].refusal_count == len(done) == len(span.notices)
        assert len(done) >= told - 1
    ledger = Ledger(path)
    ledger.record_intent(replace(INTENT, client_order_id="m-next"))
    ledger.close()


def test_a_full_disk_is_told_with_what_is_free_and_what_to_do(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    (pages,) = ledger._file.connection.execute("PRAGMA page_count").fetchone()
    ledger._file.connection.execute(f"PRAGMA max_page_count = {pages}")
    intent = replace(INTENT, detail={"reason": "x" * 50_000})
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(
        LedgerError, match=r"cannot record intent m-1 in the ledger .*: database or disk is full"
    ) as caught:
        ledger.record_intent(intent)
    stated = re.search(r"\(([\d,]+) bytes are free there\); make room, check the account's orders", str(caught.value))
    assert stated is not None, caught.value
    assert int(stated[1].replace(",", "")) == pytest.approx(free, rel=0.05)
    with pytest.raises(LedgerError, match=r"cannot record state filled of m-1.*bytes are free there"):
        ledger.record(replace(FULL, found=(intent,)))
    ledger._file.connection.execute("PRAGMA max_page_count = 100000")
    ledger.record_intent(intent)
    ledger.close()
