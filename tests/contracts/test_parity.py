"""One recording, four roads, the same Decisions bit for bit: live driver, dry run, replay, and a backtest's own road.

The recording is made by a whole bot on a virtual clock. Then its frames are played to another whole bot through the
driver, its journal is replayed, and it is run as a backtest with the recorded fills and no latency, where market data
do not go through the session.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from wired_bot import CLIENT, RUN_ID, TOKEN, WiredBot, bot_config, virtual_venue

from bot.assembly import assemble
from bot.cli.main import main
from bot.config.model import BacktestConfig
from bot.ctrader.framing import frame
from bot.ctrader.session import Session
from bot.journal.format import Record, RecordKind, decode_batch, decode_json
from bot.journal.reader import JournalReader
from bot.journal.replay import replay
from bot.net.driver import Driver
from bot.research.backtest.own_fills import OwnFills, prediction_error, walk
from bot.research.backtest.recorded_run import RecordedRun
from bot.trial_assumptions import conditions_of, open_trial_sources
from bot.trials import Trial, run_trial

QUICK = {"warm_up_s": 2, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05, "time_of_day": False}


class PlayedClient:
    """In place of a connection: delivers what a journal says was delivered, at its time."""

    records: tuple[Record, ...] = ()

    def __init__(self, clock: Clock, listener: Driver, venue: None, now_ns: Callable[[], int]) -> None:
        self._clock, self._listener, self._now_ns = clock, listener, now_ns
        self._waiting = deque(r for r in self.records if r.kind in (RecordKind.LINK, RecordKind.BATCH))

    def start(self) -> None:
        self._clock.callLater(0, self._play)

    def stop(self) -> "Deferred[None]":
        return succeed(None)

    def held(self, held: Any) -> None: ...

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None: ...

    def pump(self) -> None:
        self._play()

    def _play(self) -> None:
        while self._waiting and self._waiting[0].ns <= self._now_ns():
            record = self._waiting.popleft()
            if record.kind is RecordKind.BATCH:
                self._listener.link_data(b"".join(map(frame, decode_batch(record.payload))))
            elif decode_json(record.payload)["up"]:
                self._listener.link_up(lambda data: None)


def _config(folder: Path, *, trade: bool) -> Any:
    folder.mkdir()
    return bot_config(folder, trade=trade, strategy={"name": "composite", "base_leverage": 3}, sizing=QUICK)


@pytest.fixture(scope="module", params=[False, True], ids=["dry run", "trade"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WiredBot:
    """A run of 40 s with several orders, recorded."""
    folder = tmp_path_factory.mktemp("parity") / "recorded"
    config = _config(folder, trade=request.param)
    bot = WiredBot(folder, config, virtual_venue(), seconds=40).start().let(60)
    assert sum(len(decision.intended) for decision in bot.decisions) >= 5
    return bot


def _records(bot: WiredBot) -> list[Record]:
    with JournalReader(bot.journal_path) as reader:
        return list(reader)


def test_the_live_driver_decides_the_same_on_the_recorded_frames(recorded: WiredBot, tmp_path: Path) -> None:
    trade = recorded.config.mode == "trade"
    client = type("_Played", (PlayedClient,), {"records": tuple(_records(recorded))})
    again = WiredBot(
        tmp_path / "live", _config(tmp_path / "live", trade=trade), None, seconds=40, client=client
    ).start().let(60)  # fmt: skip
    assert again.encoded == recorded.encoded


def test_replay_decides_the_same(recorded: WiredBot) -> None:
    run = assemble(recorded.config, CLIENT, TOKEN, RUN_ID)
    with JournalReader(recorded.journal_path) as reader:
        result = replay(reader, run.pipeline)
    assert result.difference is None
    assert result.decisions == len(recorded.decisions)


def test_a_backtest_of_the_recorded_market_and_fills_decides_the_same(recorded: WiredBot) -> None:
    run = assemble(recorded.config, CLIENT, TOKEN, RUN_ID)
    decided: list[bytes] = []
    played = RecordedRun(run.engine, run.pipeline, Session(run.session.plan), lambda d: decided.append(d.encode()))
    played.run(_records(recorded))
    assert decided == recorded.encoded
    assert played.poured > 300  # nearly all batches are market data alone


@pytest.mark.parametrize("recorded", [True], ids=["trade"], indirect=True)
def test_the_recorded_market_predicts_the_fills_of_the_session(recorded: WiredBot) -> None:
    """The embedded venue fills by the book that it shows, at once: walking the recorded book must give its prices."""
    run = assemble(recorded.config, CLIENT, TOKEN, RUN_ID)
    own = OwnFills()
    with JournalReader(recorded.journal_path) as reader:
        replay(reader, run.pipeline, own.see)
    fills = own.fills()
    with JournalReader(recorded.journal_path) as reader:
        walk(fills, reader, Session(run.session.plan))
    assert [fill.walked_bps for fill in fills] == pytest.approx([fill.realised_bps for fill in fills])
    assert len(fills) == sum(len(decision.intended) for decision in recorded.decisions)
    found = prediction_error([fill.walked_bps for fill in fills], [fill.realised_bps for fill in fills])
    assert (found.fills, found.p95_absolute_bps) == (len(fills), pytest.approx(0.0, abs=1e-9))


@pytest.mark.parametrize("recorded", [True], ids=["trade"], indirect=True)
def test_the_command_tells_the_error_of_every_prediction(
    recorded: WiredBot, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["fills", str(recorded.journal_path)]) == 0
    *fills, by_book, by_engine = capsys.readouterr().out.splitlines()
    assert len(fills) == sum(len(decision.intended) for decision in recorded.decisions)
    assert by_book.startswith(f"predicted by the recorded book, less realised, over {len(fills)} fill(s): mean +0.000")
    assert by_engine.startswith("predicted by the engine, less realised")
    (tmp_path / "foreign").write_text("no journal")
    assert main(["fills", str(tmp_path / "foreign")]) == 2
    assert capsys.readouterr().err.startswith(f"not a microlev journal: {tmp_path / 'foreign'}")


@pytest.mark.parametrize("recorded", [True], ids=["trade"], indirect=True)
def test_a_recorded_run_is_a_market_to_backtest_on(recorded: WiredBot) -> None:
    """Its quotes are the market, its trades are not: the backtest makes its own, at the prices that were there."""
    config = recorded.config.model_copy(update={"backtest": BacktestConfig(latency="0", clock_s=0)})
    sources = open_trial_sources(config, [str(recorded.journal_path)])
    assert [source.spec.name for source in sources] == ["EURUSD", "USDJPY"]
    result = run_trial(Trial("recorded", config, sources, conditions_of(config)))
    assert len(result.fills) > 5
    assert result.figures["engine_equity"] == pytest.approx(result.figures["venue_equity"], abs=0.01)
    last = [d.rows for d in recorded.decisions if len(d.rows)][-1]
    symbol = int(last["symbol"][-1])
    assert result.clocks["mid"][-1, symbol] == pytest.approx(float(last["mid"][-1]), rel=1e-5)


def test_the_error_of_a_prediction_is_counted_where_both_are_known() -> None:
    found = prediction_error([1.0, 2.0, float("nan"), 4.0], [0.0, 3.0, 1.0, 4.0])
    assert (found.fills, found.mean_bps, found.median_absolute_bps) == (3, 0.0, 1.0)
    assert prediction_error([], []).fills == 0
