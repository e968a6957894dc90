"""Replay and the inputs of this side: what comes back is what was written; what cannot be read is said in a line."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.account.position import Deal, Position
from bot.app import replay_journal
from bot.assembly import assemble
from bot.config.secrets import ClientSecrets, Token
from bot.engine.events import CommandGiven, ExecutionReported, HostChecked, RequestRefused
from bot.execution.orders import OrderSnapshot
from bot.journal.format import JournalError, RecordKind, encode_preamble, encode_record
from bot.journal.inputs import decode_inputs, encode_inputs
from bot.journal.reader import JournalReader
from bot.journal.replay import HowFar, ReplayResult, replay

# -- inputs ----------------------------------------------------------------------------------------------------------

ids = st.integers(1, 2**63 - 1)
prices = st.none() | st.floats(1e-5, 1e6)
money = st.decimals(-(10**9), 10**9, places=2)
orders = st.builds(
    OrderSnapshot,
    order_id=ids, symbol_id=ids, volume_cents=st.integers(-(2**62), 2**62), executed_cents=st.integers(0, 2**62),
    order_type=st.sampled_from(["market", "market_range", "limit"]), status=st.sampled_from(["accepted", "filled"]),
    client_order_id=st.none() | st.text(max_size=20), position_id=st.none() | ids, label=st.text(max_size=20),
    closing=st.booleans(), is_stop_out=st.booleans(), limit_price=prices, stop_price=prices, execution_price=prices,
    updated_ns=st.none() | ids,
)  # fmt: skip
deals = st.builds(
    Deal,
    deal_id=ids, order_id=ids, position_id=ids, symbol_id=ids, volume_cents=st.integers(-(2**62), 2**62),
    price=st.floats(1e-5, 1e6), commission=money, executed_ns=ids, closed_volume_cents=st.integers(0, 2**62),
    gross_profit=st.none() | money, paper=st.just(True),
)  # fmt: skip
positions = st.builds(
    Position,
    position_id=ids, symbol_id=ids, volume_cents=st.integers(-(2**62), 2**62), price=st.floats(1e-5, 1e6),
    label=st.text(max_size=20), swap=money, commission=money, used_margin=st.none() | money, stop_loss=prices,
    take_profit=prices, is_trailing=st.booleans(),
)  # fmt: skip
fills = st.builds(
    ExecutionReported,
    recv_ns=ids,
    kind=st.sampled_from(
        ["accepted", "filled", "partially_filled", "replaced", "cancelled", "rejected", "cancel_rejected"]
    ),
    client_order_id=st.none() | st.text(max_size=20), order=st.none() | orders, deal=st.none() | deals,
    position=st.none() | positions, error_code=st.none() | st.text(max_size=10), paper=st.just(True),
)  # fmt: skip
refusals = st.builds(
    RequestRefused, recv_ns=ids, client_order_id=st.none() | st.text(max_size=20), error_code=st.text(max_size=10),
    paper=st.just(True),
)  # fmt: skip
commands = st.builds(
    CommandGiven, recv_ns=ids, command=st.sampled_from(["stop", "halt", "resume", "flatten"]),
    cause=st.sampled_from(["by_hand", "stop_file"]), text=st.text(max_size=20),
)  # fmt: skip
hosts = st.builds(
    HostChecked, recv_ns=ids, disk_free_bytes=st.none() | st.integers(0, 2**62), clock_step_s=st.floats(-1e9, 1e9)
)


@given(st.lists(fills | refusals | commands | hosts, max_size=4))
def test_inputs_read_back_as_they_were_to_the_last_digit(events: list[Any]) -> None:
    assert decode_inputs(encode_inputs(events)) == events


@given(money)
def test_money_keeps_its_digits_and_its_type(amount: Decimal) -> None:
    deal = Deal(1, 2, 3, 4, 100, 1.1, amount, 5, paper=True)
    (event,) = decode_inputs(encode_inputs([ExecutionReported(1, "filled", deal=deal, paper=True)]))
    assert isinstance(event, ExecutionReported) and event.deal is not None
    assert str(event.deal.commission) == str(amount)


def test_an_event_of_the_wire_is_no_input_of_this_side() -> None:
    for event in (RequestRefused(1, "a", "X"), ExecutionReported(1, "filled", paper=False)):
        with pytest.raises(TypeError, match="comes from the wire"):
            encode_inputs([event])


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"7", b"[7]", b"[{}]", b'[{"paper": "filled"}]', b'{"a": 1}', b'"ab"', b"\xff\xfe"],
)
def test_a_payload_that_is_no_input_is_an_error_in_one_line(payload: bytes) -> None:
    with pytest.raises(JournalError) as caught:
        decode_inputs(payload)
    assert "\n" not in str(caught.value)


# -- replay ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> WiredBot:
    folder = tmp_path_factory.mktemp("run")
    return WiredBot(folder, bot_config(folder), virtual_venue(), seconds=2).start().let(5)


def records(bot: WiredBot) -> list[tuple[RecordKind, int, bytes]]:
    with JournalReader(bot.journal_path) as reader:
        return [(r.kind, r.ns, r.payload) for r in reader if r.kind is not RecordKind.HEADER]


def replayed(bot: WiredBot, content: list[tuple[RecordKind, int, bytes]], path: Path) -> ReplayResult:
    header = encode_record(RecordKind.HEADER, 0, b"{}")
    path.write_bytes(encode_preamble() + header + b"".join(encode_record(*record) for record in content))
    marker = ClientSecrets("***", "***")
    with JournalReader(path) as reader:
        return replay(reader, assemble(bot.config, marker, Token("***"), bot.run.run_id).pipeline)


def test_the_counts_are_those_of_the_run(bot: WiredBot, tmp_path: Path) -> None:
    result = replayed(bot, records(bot), tmp_path / "a.journal")
    figures = bot.driver.figures
    assert result == ReplayResult(figures.decisions, figures.frames, figures.decisions, None, None, True)


def test_a_decision_without_an_input_is_no_journal_of_a_run(bot: WiredBot, tmp_path: Path) -> None:
    content = records(bot)
    decision = next(record for record in content if record[0] is RecordKind.DECISION)
    with pytest.raises(JournalError, match="follows no input"):
        replayed(bot, [decision], tmp_path / "a.journal")
    with pytest.raises(JournalError, match="follows no input"):
        replayed(bot, [*content[:2], decision], tmp_path / "b.journal")


def test_a_decision_that_cannot_be_read_is_a_difference(bot: WiredBot, tmp_path: Path) -> None:
    for payload in (b"", b"short", b"\0" * 12 + b"no json"):
        content = records(bot)
        content[1] = (RecordKind.DECISION, content[1][1], payload)
        found = replayed(bot, content, tmp_path / "a.journal").difference
        assert found is not None and found.number == 1
        assert "cannot be read" in found.what and "\n" not in found.what


def test_notes_are_passed_over(bot: WiredBot, tmp_path: Path) -> None:
    content = records(bot)
    content[1:1] = [(RecordKind.NOTE, content[0][1], b'{"said": "hello"}')]
    assert replayed(bot, content, tmp_path / "a.journal").difference is None


def test_only_the_first_difference_is_told_and_nothing_is_decided_after_it(bot: WiredBot, tmp_path: Path) -> None:
    content = records(bot)
    kept = [i for i, record in enumerate(content) if record[0] is RecordKind.DECISION]
    for i in (kept[5], kept[9]):
        content[i] = (RecordKind.DECISION, content[i][1], b"\1" + content[i][2][1:])
    result = replayed(bot, content, tmp_path / "a.journal")
    assert result.difference is not None
    assert (result.difference.number, result.decisions) == (6, 6)
    assert result.difference.what.startswith("now_ns: recorded ")


def test_a_run_of_another_config_decides_otherwise(bot: WiredBot, tmp_path: Path) -> None:
    other = assemble(bot_config(tmp_path, strategy={"name": "constant", "base_leverage": 2}), *_marker(), "run1")
    with JournalReader(bot.journal_path) as reader:
        assert replay(reader, other.pipeline).difference is not None


def _marker() -> tuple[ClientSecrets, Token]:
    return ClientSecrets("***", "***"), Token("***")


def test_the_journal_alone_is_enough_to_decide_again(bot: WiredBot) -> None:
    result = replay_journal(bot.journal_path)
    assert replace(result, difference=None) == result
    assert result.decisions == len(bot.decisions)


def test_a_replay_tells_how_far_it_has_come(bot: WiredBot, tmp_path: Path) -> None:
    told: list[HowFar] = []
    marker, path = ClientSecrets("***", "***"), tmp_path / "many.journal"
    notes = [(RecordKind.NOTE, 1, b"{}")] * 2500
    header = encode_record(RecordKind.HEADER, 0, b"{}")
    path.write_bytes(encode_preamble() + header + b"".join(encode_record(*note) for note in notes))
    with JournalReader(path) as reader:
        replay(reader, assemble(bot.config, marker, Token("***"), "run").pipeline, on_progress=told.append)
    size = len(encode_record(*notes[0]))
    begin = path.stat().st_size - len(notes) * size
    assert told == [HowFar(n, begin + n * size, path.stat().st_size) for n in (1000, 2000)]
