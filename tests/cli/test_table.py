"""The live table: it fits a plain terminal, shows what is known, and leaves the terminal as it was."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.cli.table import LiveTable

SYMBOLS: dict[str, Any] = {"EURUSD": {}, "USDJPY": {"direction": "short"}, "XAUUSD": {}, "BTCUSD": {}}


def drawn(folder: Path, width: int, seconds: float) -> tuple[WiredBot, LiveTable, str, io.StringIO]:
    """Run for a while; return the last picture as text, and all that went to the terminal."""
    terminal, tables = io.StringIO(), []

    def watch(run: Any) -> list[LiveTable]:
        tables.append(LiveTable(run, Console(file=terminal, width=width, force_terminal=True)))
        return tables

    bot = WiredBot(folder, bot_config(folder, symbols=SYMBOLS), virtual_venue(), seconds=seconds, watch=watch).start()
    bot.let(seconds + 2)
    console = Console(file=io.StringIO(), width=width)
    console.print(tables[0]._draw())
    return bot, tables[0], console.file.getvalue(), terminal  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 120])
def test_every_figure_fits_into_eighty_columns(width: int, tmp_path: Path) -> None:
    bot, table, picture, _ = drawn(tmp_path, width, 6)
    table.close()
    assert "…" not in picture
    rows = {line.split()[0]: line.split() for line in picture.splitlines() if line.split()[0] in SYMBOLS}
    assert rows.keys() == SYMBOLS.keys()
    assert all(len(row) == 11 for row in rows.values())
    features = bot.run.engine.features
    assert features is not None
    assert rows["EURUSD"][1] == f"{features.bid[0]:.5f}"
    assert rows["USDJPY"][9].startswith("-") and rows["USDJPY"][9].endswith("x")
    assert "last order" in picture and "ready, trading active" in picture


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    pictures: list[str] = []

    def watch(run: Any) -> list[Any]:
        table = LiveTable(run, Console(file=io.StringIO(), width=80))

        def see(decision: Any) -> None:
            table(decision)
            if len(decision.rows):
                console = Console(file=io.StringIO(), width=80)
                console.print(table._draw())
                pictures.append(console.file.getvalue())  # type: ignore[attr-defined]

        return [see]

    WiredBot(tmp_path, None, virtual_venue(), seconds=0, watch=watch).start().let(1)
    assert " - " in pictures[0]  # the first quotes come before the depth
    assert not any("nan" in picture for picture in pictures)


def test_the_cursor_is_shown_again_at_the_end(tmp_path: Path) -> None:
    _, table, _, terminal = drawn(tmp_path, 80, 1)
    assert "\x1b[?25l" in terminal.getvalue()
    assert not terminal.getvalue().endswith("\x1b[?25h")
    table.close()
    assert "\x1b[?25h" in terminal.getvalue()
