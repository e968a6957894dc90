"""One recording, several drivers, equal Decisions bit for bit; and a replay that finds what differs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import BOOK, recording
from wired_bot import ACCOUNT, SECOND, START, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.engine.decision import describe
from bot.journal.format import RecordKind, decode_batch, decode_json, encode_preamble, encode_record
from bot.journal.reader import JournalReader

LIQUIDITY = {
    "strategy": {"name": "liquidity-weighted", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
    "sizing": {"warm_up_s": 1, "persistence_s": 0.5, "max_increase_frac_per_min": 1, "band": 0.05},
}


class FedClient:
    """Gives a driver the deliveries of a journal, and nothing else."""

    def __init__(self, _clock: Any, listener: Any, _venue: None, _now_ns: Any) -> None:
        self._listener = listener

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None: ...

    def held(self, held: Any) -> None: ...


def feed(path: Path, bot: WiredBot) -> WiredBot:
    """Drive a bot through a journal: the clock goes to each record's time, and what came from outside comes again."""
    bot.start()
    with JournalReader(path) as reader:
        for record in reader:
            if record.kind in (RecordKind.HEADER, RecordKind.DECISION, RecordKind.END) or bot.result is not None:
                continue
            if record.ns > bot.now_ns():
                bot.clock.advance((record.ns - START) / 1e9 - bot.clock.seconds())
            if record.kind is RecordKind.BATCH:
                frames = decode_batch(record.payload)
                bot.driver.link_data(b"".join(len(f).to_bytes(4, "big") + f for f in frames))
            elif record.kind is RecordKind.LINK:
                link = decode_json(record.payload)
                if link["up"]:
                    bot.driver.link_up(lambda data: None)
                else:
                    bot.driver.link_down(link["reason"])
    return bot


def recorded(folder: Path, *, trade: bool, seconds: float = 6, venue: Any = None, **changes: Any) -> WiredBot:
    bot = WiredBot(folder, bot_config(folder, trade=trade, **changes), venue or virtual_venue(), seconds=seconds)
    bot.start().let(seconds + 5)
    assert bot.result is not None and bot.result.exit_code == 0
    return bot


@pytest.mark.parametrize("trade", [False, True], ids=["dry-run", "trade"])
@pytest.mark.parametrize("changes", [{}, LIQUIDITY], ids=["constant", "liquidity-weighted"])
def test_a_driver_fed_again_and_a_replay_decide_as_the_recorded_run_did(
    trade: bool, changes: dict[str, Any], tmp_path: Path
) -> None:
    first = recorded(tmp_path / "first", trade=trade, **changes)
    assert [s for _, s in first.states].count("filled") >= 2, "a recording without orders proves nothing"
    replayed: list[bytes] = []
    result = replay_journal(first.journal_path, watch=lambda run: [lambda d: replayed.append(d.encode())])
    assert (result.difference, result.clean_stop, result.truncated_at) == (None, True, None)
    assert replayed == first.encoded
    again = WiredBot(
        tmp_path / "again", bot_config(tmp_path / "again", trade=trade, **changes), seconds=6, client=FedClient
    )
    assert feed(first.journal_path, again).encoded == first.encoded


def test_a_dry_run_and_a_trading_run_decide_alike_until_the_first_fill(tmp_path: Path) -> None:
    dry, live = (recorded(tmp_path / str(trade), trade=trade) for trade in (False, True))
    first_order = next(i for i, d in enumerate(dry.decisions) if d.intended)
    assert len(dry.decisions[first_order].intended) == 2
    assert dry.encoded[: first_order + 1] == live.encoded[: first_order + 1]


@pytest.mark.parametrize(
    "market", ["synthetic:thin", *(pytest.param(m, marks=pytest.mark.slow) for m in ("synthetic:calm", "recorded"))]
)
def test_a_dry_run_and_a_trading_run_over_one_market_plan_the_same_orders(market: str, tmp_path: Path) -> None:
    source = str(recording(BOOK)) if market == "recorded" else market
    symbols = {"BTCUSD": {}} if market == "recorded" else {"EURUSD": {}, "USDJPY": {"direction": "short"}}
    planned = []
    for trade in (False, True):
        bot = recorded(
            tmp_path / str(trade), trade=trade, seconds=45, venue=virtual_venue(source), symbols=symbols, **LIQUIDITY
        )
        orders = [order for decision in bot.decisions for order in decision.intended]
        planned.append([(o.symbol, o.action, o.side, o.volume_cents, o.order_type) for o in orders])
    assert planned[0] == planned[1]
    assert len(planned[0]) >= 8, "a run without orders proves nothing"


def test_the_market_looks_the_same_in_a_dry_run_and_a_trading_run(tmp_path: Path) -> None:
    seen: list[dict[tuple[int, int], Any]] = []
    columns = ["mid", "spread_bps", "bid_depth_units", "ask_depth_units", "weighted_mid", "obi", "ofi"]
    for trade in (False, True):
        bot = recorded(tmp_path / str(trade), trade=trade, **LIQUIDITY)
        seen.append({(d.now_ns, int(r["symbol"])): r[columns].tobytes() for d in bot.decisions for r in d.rows})
    both = seen[0].keys() & seen[1].keys()
    assert len(both) > 50
    assert [seen[0][key] for key in sorted(both)] == [seen[1][key] for key in sorted(both)]


def test_a_run_with_a_drop_while_an_order_is_on_its_way_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, bot_config(tmp_path, trade=True), virtual_venue(), seconds=20).start()
    bot.until(lambda: ("run1-1", "sent") in bot.states)
    bot.client.is_deaf = True  # the order arrives at the venue, its answer never comes back
    bot.let(0.1)
    bot.client.drop("cut")
    bot.let(0.1)
    bot.client.is_deaf = False
    assert ("run1-1", "unknown") in bot.states
    bot.let(30)
    assert bot.result is not None and bot.result.exit_code == 0
    assert ("run1-1", "filled") in bot.states
    assert replay_journal(bot.journal_path).difference is None


def test_a_run_that_asks_for_the_fate_of_an_overdue_order_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    config = bot_config(tmp_path, trade=True, execution={"order_timeout_s": 1, "settle_s": 1})
    bot = WiredBot(tmp_path, config, virtual_venue(), seconds=40).start()
    bot.client.mute_from = b"microlev"  # the first order and all questions after it are lost; the link lives
    bot.until(lambda: ("run1-1", "unknown") in bot.states).let(20)
    bot.client.is_mute = False
    bot.let(60)
    assert bot.result is not None and bot.result.exit_code == 0
    assert ("run1-1", "resolved") in bot.states
    assert replay_journal(bot.journal_path).difference is None


@pytest.mark.parametrize("account_type", ["hedged", "netted"])
@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_every_kind_of_account_is_replayed_bit_for_bit(account_type: str, currency: str, tmp_path: Path) -> None:
    venue = virtual_venue(account_type=account_type, deposit_currency=currency)
    bot = recorded(tmp_path, trade=True, venue=venue)
    held = {p.symbol_id: p.volume_cents for p in bot.run.engine.portfolio.positions()}
    positions = venue.desks[ACCOUNT].account.positions.values()
    assert held == {p.symbol_id: p.volume_cents if p.is_buy else -p.volume_cents for p in positions}
    assert replay_journal(bot.journal_path).difference is None


# -- what a replay must find -----------------------------------------------------------------------------------------


def tampered(source: Path, target: Path, change: Any) -> Path:
    """Copy a journal with `change(kind, ns, payload)` deciding what becomes of each record; None leaves it out."""
    with JournalReader(source) as reader:
        out = [encode_preamble(), encode_record(RecordKind.HEADER, 0, _json(reader.header))]
        for record in reader:
            if record.kind is not RecordKind.HEADER and (kept := change(*record)) is not None:
                out.append(encode_record(*kept))
    target.write_bytes(b"".join(out))
    return target


def _json(content: Any) -> bytes:
    import json

    return json.dumps(content).encode()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("run"), trade=False, seconds=3).journal_path


def test_an_untouched_copy_is_equal(journal: Path, tmp_path: Path) -> None:
    copy = tampered(journal, tmp_path / "copy.journal", lambda *record: record)
    assert replay_journal(copy).difference is None


@pytest.mark.parametrize("field", ["mid", "spread_bps", "obi", "leverage_target"])
def test_a_planted_difference_is_found_and_named(field: str, journal: Path, tmp_path: Path) -> None:
    from bot.engine.decision import DECISION_ROW

    planted: list[int] = []

    def change(kind: RecordKind, ns: int, payload: bytes) -> Any:
        if kind is RecordKind.DECISION and not planted:
            rows = describe(payload)["rows"]
            if rows and np.isfinite(rows[0][field]):  # type: ignore[index]
                planted.append(ns)
                offset = 12 + DECISION_ROW.fields[field][1]
                last_bit = payload[offset] ^ 1
                payload = payload[:offset] + bytes([last_bit]) + payload[offset + 1 :]
        return kind, ns, payload

    found = replay_journal(tampered(journal, tmp_path / "planted.journal", change)).difference
    assert found is not None
    assert found.at_ns == planted[0]
    assert found.what.startswith(f"rows.0.{field}: recorded ")


def test_a_planted_difference_in_an_order_is_found_and_named(journal: Path, tmp_path: Path) -> None:
    def change(kind: RecordKind, ns: int, payload: bytes) -> Any:
        return kind, ns, payload.replace(b'"side":"buy"', b'"side":"BUY"') if kind is RecordKind.DECISION else payload

    found = replay_journal(tampered(journal, tmp_path / "planted.journal", change)).difference
    assert found is not None
    assert found.what == "intended.0.side: recorded 'BUY', replayed 'buy'"


def test_a_lost_batch_is_found(journal: Path, tmp_path: Path) -> None:
    """Leaving out an input and its decision leaves a run that is whole by its form and wrong in what follows."""
    state = {"batches": 0, "skip": False}

    def change(kind: RecordKind, ns: int, payload: bytes) -> Any:
        if kind is RecordKind.BATCH:
            state["batches"] += 1
            if state["batches"] == 40:
                state["skip"] = True
                return None
        if kind is RecordKind.DECISION and state["skip"]:
            state["skip"] = False
            return None
        return kind, ns, payload

    assert replay_journal(tampered(journal, tmp_path / "lost.journal", change)).difference is not None


def test_a_lost_decision_is_found(journal: Path, tmp_path: Path) -> None:
    count = iter(range(10**6))

    def change(kind: RecordKind, ns: int, payload: bytes) -> Any:
        return None if kind is RecordKind.DECISION and next(count) == 50 else (kind, ns, payload)

    result = replay_journal(tampered(journal, tmp_path / "lost.journal", change))
    found = result.difference
    assert found is not None
    assert found.number == 51
    assert found.what.startswith("the recording has no decision for the input before its ")
    assert result.clean_stop, "how the run stopped is read behind the difference"


def test_a_run_that_died_before_its_last_decision_is_equal_as_far_as_it_goes(journal: Path, tmp_path: Path) -> None:
    content = journal.read_bytes()
    torn = tmp_path / "torn.journal"
    torn.write_bytes(content[: len(content) * 2 // 3])
    result = replay_journal(torn)
    assert result.difference is None
    assert not result.clean_stop
    assert result.decisions > 10


def test_decisions_come_in_the_order_of_time(tmp_path: Path) -> None:
    times = [d.now_ns for d in recorded(tmp_path, trade=True).decisions]
    assert times == sorted(times)
    assert times[0] == START
    assert times[-1] >= START + 6 * SECOND
