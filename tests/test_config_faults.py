"""Fault files: what they mean, and what is said about mistakes in them."""

import dataclasses
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.cli.main import app
from bot.config.errors import ConfigError
from bot.config.fault_model import WHAT_KEYS, Entry, parse_duration
from bot.config.faults import _LASTING, parse_faults, read_faults
from bot.net.fault_script import load_faults, parse_script
from bot.sim.faults import venue_faults
from bot.sim.faults.conditions import LASTING
from bot.sim.faults.link_faults import Drop, Latency, Silence
from bot.sim.faults.script import ALWAYS, WHATS, Fault, RandomFaults, When, name_of
from bot.sim.faults.session_faults import Block, Maintenance, Rate
from bot.sim.faults.venue_faults import Deposit, SymbolChange

ROOT = Path(__file__).resolve().parent.parent
S = 1_000_000_000


def one(text: str) -> Fault:
    """The only fault of a file."""
    (fault,) = parse_script(f"faults:\n  - {text}\n", "f.yaml", ["EURUSD", "USDJPY"]).faults
    return fault


def mistake(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_script(text, "f.yaml", ["EURUSD", "USDJPY"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.integers(0, 400), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_time_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int, ms: int) -> None:
    total_ns = ((hours * 60 + minutes) * 60 + seconds) * S + ms * 1_000_000
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{ms}ms") == total_ns
    assert parse_duration(f"{total_ns // 1_000_000}ms") == total_ns


@pytest.mark.parametrize(("text", "ns"), [("250ms", S // 4), ("1.5s", 3 * S // 2), ("2d", 172_800 * S), ("0s", 0)])
def test_times_are_read_with_their_units(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("given", ["30", 30, "s", "-1s", "1 hour", "", None, True, "1m-2s", "400d", "1e3s"])
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="should be"):
        parse_duration(given)


def test_a_fault_is_read_whole() -> None:
    fault = one(
        "{on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], nth: 3, after: 30s, times: 5, probability: 0.25,"
        " account: 7, symbol: EURUSD, drop: {when: after_execution, abort: true}}"
    )
    when = When(on_request=("ProtoOANewOrderReq", "ProtoOAClosePositionReq"), nth=3, after_ns=30 * S)
    assert fault == Fault(Drop("after_execution", True), when, 5, None, 0.25, 7, "EURUSD")
    assert one("{every: 5m, jitter: 30s, times: always, silence: }").when == When(every_ns=300 * S, jitter_ns=30 * S)
    assert one("{on_event: ProtoOAExecutionEvent, kind: ORDER_FILLED, times: always, drop: }").times == ALWAYS
    assert one("{at: 1s, for: 2s, silence: {fate: late}}") == Fault(Silence(fate="late"), When(at_ns=S), for_ns=2 * S)
    assert one("{on_connect: 2, latency: {outbound: 5ms}}").what == Latency(outbound_ns=5_000_000)


def test_money_block_rate_and_symbol_change_keep_what_was_written() -> None:
    assert one("{at: 1s, deposit: {amount: 12.34}}").what == Deposit(Decimal("12.34"))
    assert one("{at: 1s, block: {requests: ProtoOANewOrderReq, retry_after: 15s}}").what == Block(
        ("ProtoOANewOrderReq",), 15 * S)  # fmt: skip
    assert one("{at: 1s, rate: {block_for: 5s}}").what == Rate(block_for_ns=5 * S)
    changed = one("{at: 1s, symbol: EURUSD, symbol_change: {short_selling: false}}").what
    assert changed == SymbolChange({"short_selling": False})
    assert one("{at: 1s, for: 1m, maintenance: {shape: common}}").what == Maintenance("common")


def test_the_random_block_and_the_seed_are_read() -> None:
    text = "seed: 5\nrandom:\n  per_hour: 2.5\n  faults: [{drop: }, {on_request: ProtoOANewOrderReq, no_reply: }]\n"
    script = parse_script(text, "f.yaml")
    assert (script.seed, script.faults) == (5, ())
    assert isinstance(script.random, RandomFaults)
    assert script.random.per_hour == 2.5
    assert [name_of(fault.what) for fault in script.random.faults] == ["drop", "no_reply"]


MISTAKES = {
    "faults:\n  - at: 30s\n    dorp: {}\n": (3, "faults.0.dorp", "did you mean 'drop'?"),
    "faults:\n  - at: 30\n    drop: {}\n": (2, "faults.0.at", "is 30; should be a time with its unit"),
    "faults:\n  - drop:\n    at: 1s\n  - at: 1s\n    drop: {wen: before}\n": (5, "faults.1.drop.wen", "'when'"),
    "faults:\n  - drop:\n    at: 1s\n  -\n    at: 1s\n": (5, "faults.1", "does not say what goes wrong"),
    "faults:\n  - at: 1s\n    drop: {}\n    silence: {}\n": (2, "faults.0", "names drop and silence"),
    "faults:\n  - drop: {}\n": (2, "faults.0", "does not say when"),
    "faults:\n  - at: 1s\n    every: 2s\n    drop:\n": (3, "faults.0.every", "does not go with `at`"),
    "faults:\n  - on_connect: 1\n    at: 2s\n    drop:\n": (2, "faults.0.on_connect", "does not go with `at`"),
    "faults:\n  - on_request: ProtoOANewOrdrReq\n    drop:\n": (2, "faults.0.on_request", "'ProtoOANewOrderReq'?"),
    "faults:\n  - on_event: ProtoOANewOrderReq\n    drop:\n": (2, "faults.0.on_event", "is no event"),
    "faults:\n  - {on_event: ProtoOAExecutionEvent, kind: FILLED, drop: }\n": (2, "faults.0.kind", "'ORDER_FILLED'?"),
    "faults:\n  - at: 1s\n    kind: SWAP\n    drop:\n": (3, "faults.0.kind", "goes with `on_event` only"),
    "faults:\n  - at: 1s\n    nth: 2\n    drop:\n": (3, "faults.0.nth", "goes with `on_request` or `on_event` only"),
    "faults:\n  - at: 1s\n    for: 2s\n    drop:\n": (3, "faults.0.for", "happens once"),
    "faults:\n  - at: 1s\n    maintenance:\n": (3, "faults.0.maintenance", "needs an end"),
    "faults:\n  - at: 1s\n    stop_quotes:\n": (3, "faults.0.stop_quotes", "needs an end"),
    "faults:\n  - at: 1s\n    shift: {bps: 5}\n": (3, "faults.0.shift", "needs an end"),
    "faults:\n  - at: 1s\n    for: 1s\n    shift: {bps: 0}\n": (4, "faults.0.shift.bps", "not 0"),
    "faults:\n  - at: 1s\n    symbol: EURSUD\n    close_market:\n": (3, "faults.0.symbol", "'EURUSD'?"),
    "faults:\n  - at: 1s\n    symbol_change: {}\n": (3, "faults.0.symbol_change", "changes nothing"),
    "faults:\n  - at: 1s\n    rate:\n": (3, "faults.0.rate", "changes nothing"),
    "faults:\n  - every: 10s\n    jitter: 6s\n    drop:\n": (3, "faults.0.jitter", "at most half"),
    "faults:\n  - at: 1s\n    jitter: 6s\n    drop:\n": (3, "faults.0.jitter", "not be longer"),
    "faults:\n  - on_connect: 1\n    jitter: 6s\n    drop:\n": (3, "faults.0.jitter", "goes with"),
    "faults:\n  - at: 1s\n    reject: {shape: order_eror, code: X}\n": (3, "faults.0.reject.shape", "'order_error'?"),
    "faults:\n  - at: 1s\n    reject:\n": (3, "faults.0.reject.code", "is missing"),
    "faults:\n  - at: 1s\n    split: {size_bytes: 0}\n": (3, "faults.0.split.size_bytes", "greater than 0"),
    "faults:\n  - at: 1s\n    partial_fill: {fraction: 1}\n": (3, "faults.0.partial_fill.fraction", "less than 1"),
    "faults:\n  - at: 1s\n    block: {requests: [Nope], retry_after: 1s}\n": (
        3, "faults.0.block.requests", "is no request"),
    "faults:\n  - at: 1s\n    drop: 3\n": (3, "faults.0.drop", "should hold keys of its own: when, abort"),
    "faults:\n  drop: 3\n": (1, "faults", "should be a list"),
    "faults: []\n": (1, "faults", "at least one fault"),
    "# nothing\n": (1, "faults", "is missing"),
    "random:\n  per_hour: 1\n  faults:\n    - at: 1s\n      drop:\n": (4, "random.faults.0.at", "chance says when"),
    "random:\n  per_hour: 0\n  faults: [{drop: }]\n": (2, "random.per_hour", "greater than 0"),
    "fautls: []\n": (1, "fautls", "did you mean 'faults'?"),
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_line_with_its_place_and_what_would_do(text: str) -> None:
    line, key, words = MISTAKES[text]
    told = mistake(text)
    assert told.startswith(f"f.yaml:{line}: {key}: "), told
    assert words in told


def test_several_mistakes_are_counted_and_the_first_is_told() -> None:
    told = mistake("faults:\n  - at: 30\n    drop: {when: never}\n  - at: 1s\n    dorp:\n")
    assert told.startswith("f.yaml:2: faults.0.at: ")
    assert told.endswith("(and 2 more)")


def test_any_symbol_will_do_while_nobody_says_which_there_are() -> None:
    assert parse_script("faults: [{at: 1s, symbol: NOPE, close_market: }]", "f").faults[0].symbol == "NOPE"


def test_files_that_cannot_be_read_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_faults(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_faults(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"faults: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_faults(tmp_path / "latin.yaml")


def test_the_file_s_model_and_the_venue_s_classes_have_the_same_faults_fields_and_defaults() -> None:
    assert set(WHAT_KEYS) == set(WHATS)
    for name, cls in WHATS.items():
        if cls is SymbolChange:
            continue
        section = next(part for part in Entry.model_fields[name].annotation.__args__ if part is not type(None))
        fields = {field.name.removesuffix("_ns"): field.default for field in dataclasses.fields(cls)}
        assert set(section.model_fields) == set(fields), name
        for key, field in section.model_fields.items():
            assert field.is_required() == (fields[key] is dataclasses.MISSING), (name, key)
            if not field.is_required():
                assert field.default == fields[key], (name, key)


def test_what_lasts_is_the_same_for_the_file_and_for_the_venue() -> None:
    of_the_state = {"access_rights", "close_market", "trading_mode", "crossed_book", "empty_book", "stop_quotes",
                    "shift", "no_depth"}  # fmt: skip
    lasting_in_file = set(_LASTING)
    assert lasting_in_file == {name for name, cls in WHATS.items() if cls in LASTING} | of_the_state
    for name in of_the_state:
        assert "Lasts" in (WHATS[name].__doc__ or ""), name
    assert venue_faults.CloseMarket.__doc__


def test_the_guide_has_a_row_for_every_key() -> None:
    guide = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in guide.splitlines() if line.startswith("| `")]
    listed = {name for first, _ in rows for name in re.findall(r"`(\w+)`", first)}
    keys = {field.alias or name for name, field in Entry.model_fields.items()}
    assert keys - listed - {"for"} == set()
    for first, second in rows:
        for name in set(re.findall(r"`(\w+)`", first)) & set(WHATS):
            section = next(part for part in Entry.model_fields[name].annotation.__args__ if part is not type(None))
            assert set(section.model_fields) - set(re.findall(r"`(\w+)`", second)) == set(), name


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "faults").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_load(path: Path) -> None:
    assert load_faults(path, ["EURUSD", "USDJPY", "EURJPY", "GBPUSD", "XAUUSD", "BTCUSD"])
    assert parse_faults(path.read_text(encoding="utf-8"), path.name)


def test_the_command_tells_of_a_bad_file_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("faults:\n  - at: 30s\n    dorp:\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["sim", "--faults", str(path)])
    assert result.exit_code == 2
    assert "did you mean 'drop'?" in result.output
    assert "Traceback" not in result.output
