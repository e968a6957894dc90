"""The live table: it draws what snapshots say of the run, fits the terminal, and leaves it as it was."""

import io
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from private_reactor import Bench, bench
from rich.console import Console, ConsoleDimensions
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.cli.picture_symbols import BOUND_SHORT
from bot.cli.screen import PlainLines, Screen
from bot.cli.table import LiveTable
from bot.sizing.bound import Bound

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

SYMBOLS: dict[str, Any] = {"EURUSD": {}, "USDJPY": {"direction": "short"}, "XAUUSD": {}, "BTCUSD": {}}


class Drawn:
    """A run with a table, and the terminal that it is drawn on."""

    def __init__(self, folder: Path, seconds: float, size: tuple[int, int] = (100, 30), **changes: Any) -> None:
        self.terminal = io.StringIO()
        self.tables: list[LiveTable] = []
        console = Console(file=self.terminal, width=size[0], height=size[1], force_terminal=True)

        def watch(run: Any) -> list[Any]:
            self.tables.append(LiveTable(run, console, steer_by=lambda: "bot.yaml"))
            return self.tables[-1:]

        self.size = size
        config = bot_config(folder, symbols=SYMBOLS, **changes)
        self.bot = WiredBot(folder, config, virtual_venue(), watch=watch).start()
        self.bot.let(seconds)

    @property
    def picture(self) -> list[str]:
        """The run as it would be drawn now."""
        console = Console(file=io.StringIO(), width=self.size[0], color_system=None)
        console.print(self.tables[0].drawn())
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]

    def row(self, symbol: str) -> list[str]:
        return next(line.split() for line in self.picture if line[1:].startswith(symbol))


@pytest.fixture
def drawn(tmp_path: Path) -> Any:
    made: list[Drawn] = []

    def make(seconds: float, size: tuple[int, int] = (100, 30), **changes: Any) -> Drawn:
        made.append(Drawn(tmp_path, seconds, size, **changes))
        return made[-1]

    yield make
    for each in made:
        for table in each.tables:
            table.close()


def test_the_figures_are_those_of_the_engine_and_of_its_driver(drawn: Any) -> None:
    table = drawn(6)
    engine, picture = table.bot.run.engine, "\n".join(table.picture)
    row = table.row("EURUSD")
    assert engine.features is not None
    assert float(row[1]) == pytest.approx(engine.features.bid[0], abs=1e-5)
    assert f"{engine.valuation.leverage[0]:+.2f}x" in row
    assert f"{engine.valuation.equity:,.2f} USD" in picture and "connected for 5 s" in picture
    assert "READY  trading active" in picture and "simulator,  dry run" in picture
    assert [word for word in table.row("USDJPY") if word.startswith("-") and word.endswith("x")]
    assert "EURUSD holds 2.4x of 3x, wants 2.5x: depth covers " in picture, "an order more would be too much"
    assert "microlev halt bot.yaml" in picture and len(table.picture) <= 30


def test_a_lost_connection_is_told_with_its_reason(drawn: Any) -> None:
    table = drawn(3)
    table.bot.venue, table.bot.client._venue = None, None
    table.bot.client.drop("the cable was cut")
    table.bot.let(1)
    picture = "\n".join(table.picture)
    assert "NOT READY" in picture and "NOT CONNECTED" in picture
    assert "connection lost: the cable was cut" in picture


def test_what_binds_has_a_column_and_a_halt_is_seen(drawn: Any) -> None:
    table = drawn(3, strategy={"name": "liquidity-weighted"}, sizing={"warm_up_s": 60})
    assert {table.row(name)[-1] for name in SYMBOLS} == {"warm-up"}
    from bot.engine.events import CommandGiven

    table.bot.driver.inject([CommandGiven(table.bot.now_ns(), "halt", "by_hand", "dinner")])
    assert "trading HALTED" in "\n".join(table.picture) and "dinner" in "\n".join(table.picture)


def test_every_bound_has_a_word_that_fits() -> None:
    assert set(BOUND_SHORT) == set(Bound)
    assert all(len(word) <= 12 for word in BOUND_SHORT.values())


def test_it_is_drawn_four_times_a_second_at_most(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = drawn(1)
    times: list[int] = []
    monkeypatch.setattr(table.tables[0], "drawn", lambda: times.append(table.bot.now_ns()) or "")
    table.bot.let(10)
    assert 35 <= len(times) <= 40 and all(b - a >= 250_000_000 for a, b in itertools.pairwise(times))


def test_a_terminal_of_another_size_is_cleared_once(tmp_path: Path) -> None:
    table = Drawn(tmp_path, 1)
    clear, before = "\x1b[2J", len(table.terminal.getvalue())
    table.bot.let(1)
    assert clear not in table.terminal.getvalue()
    table.tables[0]._console.size = ConsoleDimensions(60, 20)
    table.bot.let(2)
    since = table.terminal.getvalue()[before:]
    assert since.count(clear) == 1 and len(since.partition(clear)[2]) > 2 * 19, "and drawn again"
    table.tables[0].close()
    assert table.terminal.getvalue().count("\x1b[?25h") == table.terminal.getvalue().count("\x1b[?25l") == 2


def test_a_line_of_somebody_else_is_not_broken(drawn: Any) -> None:
    table = drawn(1, size=(40, 20))
    link = "dashboard: http://127.0.0.1:40233/?token=[bold]abcdefghijklmnop[/bold]"
    table.tables[0].tell(link)
    assert link in table.terminal.getvalue()


def test_the_cursor_is_shown_again_at_the_end(drawn: Any) -> None:
    table = drawn(1)
    assert "\x1b[?25l" in table.terminal.getvalue()
    assert not table.terminal.getvalue().endswith("\x1b[?25h")
    table.tables[0].close()
    assert "\x1b[?25h" in table.terminal.getvalue()


def test_without_colour_nothing_but_weight_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    table = Drawn(tmp_path, 1)
    table.tables[0].close()
    codes = {code for part in table.terminal.getvalue().split("\x1b[")[1:] for code in [part.partition("m")[0]]}
    assert not any(code in codes for code in ("31", "1;31", "33", "32", "1;37;41"))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("term", "account", "kind"),
    [("xterm-256color", None, LiveTable), ("dumb", None, PlainLines), ("xterm-256color", 7, PlainLines)],
)
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    term: str, account: int | None, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", _Terminal())
    screen = Screen(json=False, account=account, steer_by=Path("my configs/bot.yaml"))
    shown: list[Any] = []
    WiredBot(tmp_path, None, virtual_venue(), watch=lambda run: shown.append(screen._shown(run)) or [])
    assert isinstance(shown[0], kind)
    if isinstance(shown[0], LiveTable):
        assert shown[0]._steer_by() == "'my configs/bot.yaml'"
    screen.finish()


def test_a_run_on_a_terminal_shows_its_link_and_the_file_that_steers_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.serve()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, given in {"TERM": "xterm", "COLUMNS": "200", "LINES": "40", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, given)
    path = bench.config()
    assert bench.microlev("run", path, "--dry-run", "--seconds", 0.4) == 0
    assert "connected for 0 s" in bench.out and f"microlev halt {path}" in bench.out
    assert bench.out.splitlines()[-1] != "" and "\x1b[?25h" in bench.out, "the summary follows, the cursor is back"
