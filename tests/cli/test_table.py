"""The live table: it fits a plain terminal, shows what is known, and leaves the terminal as it was."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.cli.table import _BOUND, LiveTable
from bot.sizing.bound import Bound

SYMBOLS: dict[str, Any] = {"EURUSD": {}, "USDJPY": {"direction": "short"}, "XAUUSD": {}, "BTCUSD": {}}


def drawn(folder: Path, width: int, seconds: float) -> tuple[WiredBot, LiveTable, str, io.StringIO]:
    """Run for a while; return the last picture before the stop as text, and all that went to the terminal."""
    terminal, tables, pictures = io.StringIO(), [], [""]

    def watch(run: Any) -> list[Any]:
        tables.append(LiveTable(run, Console(file=terminal, width=width, force_terminal=True)))

        def look(decision: Any) -> None:
            if run.engine.explanations():
                pictures[0] = printed(tables[0], width)

        return [tables[0], look]

    bot = WiredBot(folder, bot_config(folder, symbols=SYMBOLS), virtual_venue(), seconds=seconds, watch=watch).start()
    bot.let(seconds + 2)
    return bot, tables[0], pictures[0], terminal


def printed(table: LiveTable, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table._draw())
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def split(picture: str) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Return the rows of the table by symbol, the lines that explain, and the others."""
    rows: dict[str, list[str]] = {}
    why, others = [], []
    for line in picture.splitlines():
        words = line.split()
        if not words or words[0] not in SYMBOLS:
            others.append(line)
        elif words[0] in rows:
            why.append(line)
        else:
            rows[words[0]] = words
    return rows, why, others


@pytest.mark.parametrize(
    ("width", "figures"),
    [(80, 10), pytest.param(100, 14, marks=pytest.mark.slow), pytest.param(120, 14, marks=pytest.mark.slow)],
)
def test_every_figure_fits_and_each_symbol_is_explained_in_one_line(width: int, figures: int, tmp_path: Path) -> None:
    bot, table, picture, _ = drawn(tmp_path, width, 6)
    table.close()
    rows, why, others = split(picture)
    assert rows.keys() == SYMBOLS.keys() and [line.split()[0] for line in why] == list(SYMBOLS)
    assert not any("…" in word for row in rows.values() for word in row) and not any("…" in line for line in others)
    assert all(len(line) <= width for line in picture.splitlines()) and len(picture.splitlines()) <= 30
    # What binds may be nothing; the figures are always there.
    assert all(len(row) >= figures - 1 for row in rows.values())
    features = bot.run.engine.features
    assert features is not None
    assert float(rows["EURUSD"][1]) == pytest.approx(features.bid[0], rel=1e-3)
    wanted = [word for word in rows["USDJPY"] if word.endswith("x")]
    assert len(wanted) == 2 and all(word.startswith("-") for word in wanted)
    assert "last order" in picture and "ready, trading active" in picture
    assert why[0].startswith("EURUSD holds 2.4x of 3x, wants 2.5x: depth covers "), "an order more would be too much"


def test_what_binds_and_the_crisis_have_a_column(tmp_path: Path) -> None:
    config = bot_config(tmp_path, symbols=SYMBOLS, strategy={"name": "liquidity-weighted"}, sizing={"warm_up_s": 60})
    tables: list[LiveTable] = []
    pictures: list[str] = []

    def watch(run: Any) -> list[Any]:
        tables.append(LiveTable(run, Console(file=io.StringIO(), width=80)))
        return [tables[0], lambda decision: run.engine.explanations() and pictures.append(printed(tables[0], 80))]

    WiredBot(tmp_path, config, virtual_venue(), seconds=2, watch=watch).start().let(3)
    rows, why, others = split(pictures[-1])
    assert {row[-1] for row in rows.values()} == {"warm-up"} and {row[6] for row in rows.values()} == {"0"}
    assert any("bound by" in line and "sis" in line for line in others)
    assert all(len(line) <= 80 for line in why)


def test_every_bound_has_a_word_that_fits() -> None:
    assert set(_BOUND) == set(Bound)
    assert all(len(word) <= 12 for word in _BOUND.values())


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    pictures: list[str] = []

    def watch(run: Any) -> list[Any]:
        table = LiveTable(run, Console(file=io.StringIO(), width=80))

        def see(decision: Any) -> None:
            table(decision)
            if len(decision.rows):
                pictures.append(printed(table, 80))

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
