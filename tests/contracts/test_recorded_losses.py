"""A recording as a market, when the run lost its connection, its account or a book: what it says is what was heard.

The oracle is the run's own road: its journal is decided again, and what its engine hears is applied to books.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_scene import Scene

from bot.cli.main import main
from bot.ctrader.pipeline import Pipeline
from bot.engine.events import Event, MarketDataChanged, ReadinessChanged, SymbolsLoaded
from bot.journal.format import JournalError
from bot.journal.replay import replay
from bot.journal.run_reader import open_run
from bot.market.book import standing_quotes
from bot.market.delta import CLEAR_BOOK, DELTA
from bot.recorded import recorded_run, recorded_sources
from bot.research.backtest.messages import messages
from bot.research.backtest.venue_books import VenueBooks
from bot.research.recorded_market import RecordedMarket
from bot.research.tapped_engine import TappedEngine
from bot.sim.faults.session_faults import AccountDisconnect, ClientDisconnect, TokenInvalidated
from bot.sim.faults.venue_faults import CrossedBook, ManualTrade

Standing = list[tuple[object, ...]]
LOST = {"disconnected", "account_disconnected"}


class Heard:
    """Books of what was heard, and how they stood after each time at which quotes came."""

    def __init__(self, symbols: int) -> None:
        self._books, self._symbols = VenueBooks(symbols), symbols
        self.stood: dict[int, Standing] = {}

    def take(self, ns: int, rows: np.ndarray) -> None:
        """Apply rows."""
        rows = rows[rows["symbol"] < self._symbols].copy()  # of what is traded, which comes first
        if not len(rows):
            return
        self._books.take(messages(np.array([ns]), np.array([len(rows)]), rows), 0, 1)
        if (rows["kind"] != CLEAR_BOOK).any():
            self.stood[ns] = [
                (
                    *(self._books.spot_e5(s, side) for side in (0, 1)),
                    sorted(standing_quotes(self._books.arrays, s).items()),
                )
                for s in range(self._symbols)
            ]


def _heard_by_the_run(path: Path) -> Heard:
    heard: list[Heard] = []

    def hear(event: Event) -> None:
        if isinstance(event, SymbolsLoaded) and not heard:
            heard.append(Heard(len(event.symbols)))
        elif isinstance(event, MarketDataChanged):
            heard[0].take(event.recv_ns, event.rows)
        elif isinstance(event, ReadinessChanged) and LOST & set(event.reasons) and heard:
            rows = np.zeros(heard[0]._symbols, DELTA)
            rows["kind"], rows["symbol"] = CLEAR_BOOK, np.arange(len(rows))
            heard[0].take(event.recv_ns, rows)

    with open_run(path) as reader:
        run = recorded_run(path, reader.header)
        pipeline = Pipeline(run.session, TappedEngine(run.engine, hear), orders_to_venue=run.config.mode == "trade")
        assert replay(reader, pipeline).difference is None
    return heard[0]


def _said_by_the_recording(path: Path) -> Heard:
    sources = recorded_sources(str(path))
    assert sources is not None
    told = [
        (int(piece.times_ns[i]), place, piece.part(i, i + 1).rows)
        for place, source in enumerate(sources)
        for piece in source.stream(place, 0)
        for i in range(len(piece.times_ns))
    ]
    heard = Heard(len(sources))
    by_time: dict[int, list[np.ndarray]] = {}
    for ns, _, rows in sorted(told, key=lambda each: each[:2]):
        by_time.setdefault(ns, []).append(rows)
    for ns, parts in by_time.items():
        heard.take(ns, np.concatenate(parts))
    return heard


def _cut(scene: Scene) -> None:
    scene.bot.client.drop("a test")


FAULTS: dict[str, Callable[[Scene], object]] = {
    "link": _cut,
    "account": lambda scene: scene.fire(AccountDisconnect()),
    "token": lambda scene: scene.fire(TokenInvalidated()),
    "client": lambda scene: scene.fire(ClientDisconnect()),
    "crossed": lambda scene: scene.fire(CrossedBook(), for_s=20, symbol="EURUSD"),
    "another symbol": lambda scene: scene.fire(ManualTrade(), symbol="GBPUSD"),
}


def _requests(scene: Scene, name: str) -> int:
    return sum(type(request).__name__ == name for d in scene.bot.decisions for request in d.requests)


@pytest.mark.parametrize("trade", [False, True], ids=["dry run", "trade"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_recording_says_is_what_its_run_heard(fault: str, trade: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path, trade=trade).start().let(12)
    struck_ns = scene.bot.now_ns()
    FAULTS[fault](scene)
    scene.let(30).until(lambda: scene.bot.is_ready).let(5)
    assert sum(len(decision.requests) for decision in scene.bot.decisions), "it asked for more than the login"
    if fault == "crossed":
        assert _requests(scene, "ResubscribeDepth")
    expected = _heard_by_the_run(scene.bot.journal_path).stood
    assert max(expected) > scene.bot.now_ns() - 2_000_000_000
    said = _said_by_the_recording(scene.bot.journal_path).stood
    if fault == "another symbol":
        # While more symbols are loaded on a standing link the run heeds no prices; the recording goes on with them.
        reload = range(struck_ns, struck_ns + 1_000_000_000)
        assert sum(said.get(ns) != stood for ns, stood in expected.items()) < 5
        said, expected = ({ns: s for ns, s in each.items() if ns not in reload} for each in (said, expected))
    assert said == expected


@pytest.mark.parametrize("fault", ["link", "account"])
def test_a_recording_without_its_beginning_is_a_market_from_there_on(fault: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, recording={"segment_mb": 0.02}).start().let(12)
    FAULTS[fault](scene)
    scene.let(20)
    expected = _heard_by_the_run(scene.bot.journal_path.parent).stood
    files = sorted(scene.bot.journal_path.parent.glob("*.journal*"))
    assert len(files) > 4
    for gone in files[: len(files) // 2]:
        gone.unlink()
        said = _said_by_the_recording(scene.bot.journal_path.parent).stood
        first_ns = min(said)
        left = {ns: stood for ns, stood in expected.items() if ns > first_ns}
        assert left
        assert {ns: stood for ns, stood in said.items() if ns > first_ns} == left


def test_its_fills_are_not_compared_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(tmp_path, recording={"segment_mb": 0.02}).start().let(8)
    folder = scene.bot.journal_path.parent
    sorted(folder.glob("*.journal*"))[0].unlink()
    assert main(["fills", str(folder)]) == 2
    assert capsys.readouterr().err.endswith(
        "begins with segment 2, earlier ones were removed; a replay needs the first\n"
    )


def test_every_command_of_research_takes_a_recorded_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Scene(tmp_path).start().let(12).bot.journal_path
    config = tmp_path / "config.yaml"
    config.write_text(
        "venue: {environment: simulator}\n"
        "symbols: {EURUSD: {direction: long}, USDJPY: {direction: short}}\n"
        "sweep: {ranges: {strategy.base_leverage: {low: 1, high: 2}}}\n"
    )
    named = [str(config), "--data", str(path)]
    assert main(["look-ahead", *named, "--cuts", "1"]) == 0
    assert "no look-ahead" in capsys.readouterr().out
    assert main(["sweep", *named, "--trials", "1", "--out", str(tmp_path / "sweep")]) == 2
    assert "the data have 1 UTC day(s)" in capsys.readouterr().err


def test_a_recording_that_begins_before_its_symbols_is_refused_in_one_line(tmp_path: Path) -> None:
    session = Scene(tmp_path).bot.run.session
    with pytest.raises(JournalError, match="begins before its symbols were known"):
        RecordedMarket(session, (0, {"ready": False}))
    with pytest.raises(JournalError, match="this is no standing market"):
        RecordedMarket(session, (0, {}))
