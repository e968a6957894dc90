"""`microlev report`: what a broker's day, or several, came to, from the ledger; while the bot runs and after."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.config import Config
    from bot.journal.ledger_reader import LedgerSpan


def report(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file of the run.")],
    day: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The (last) day; it turns at 17:00 in New York.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="So many days, the last one included.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Everything that the ledger holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="One row a deal with all about it; - for standard output.")
    ] = None,
) -> int:
    """Report what a day came to, from the ledger.

    Orders, deals, money, costs and margin. It may be asked while the bot runs.
    """
    import os

    from bot.config import load_place

    loaded = load_place(config, os.environ)
    if json and csv is not None:
        raise typer.BadParameter("--json and --csv are two answers; ask for one at a time")
    if everything and (day is not None or days != 1):
        raise typer.BadParameter("--all is everything; leave out --day and --days")
    first, last = (None, None) if everything else chosen_days(day, days)
    if csv is not None:
        _write_deals(read_days(loaded, first, last), csv)
    else:
        typer.echo(report_of(loaded, first, last, json=json))
    return 0


def chosen_days(day: str | None, days: int = 1) -> tuple[date, date]:
    """Return the first and the last broker day that are meant; `day` None or "today" is that of now.

    Raises: typer.BadParameter for a text that is no date.
    """
    import time

    from bot.journal.broker_day import day_of

    try:
        last = day_of(time.time_ns()) if day is None or day == "today" else date.fromisoformat(day)
        return date.fromordinal(last.toordinal() - days + 1), last
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"--day {day} is no date; write YYYY-MM-DD, as 2026-11-27, or today") from None


def report_of(config: "Config", first: date | None, last: date | None, *, json: bool = False) -> str:
    """Return the report of some broker days, both included, for a person or as one JSON object; None: everything.

    Raises: ConfigError, one line, when there is no ledger of this account to read.
    """
    import json as writer
    import time

    from bot.cli.report_text import in_words
    from bot.journal.day_report import day_report

    figures = day_report(read_days(config, first, last), first, last, time.time_ns())
    return writer.dumps(figures, allow_nan=False, default=float) if json else in_words(figures)


def read_days(config: "Config", first: date | None, last: date | None) -> "LedgerSpan":
    """Return what the ledger of a config's account holds of some broker days. Raises: ConfigError, as `report_of`."""
    from bot.assembly import ledger_path
    from bot.config import ConfigError
    from bot.journal.broker_day import start_ns
    from bot.journal.ledger_file import LedgerError
    from bot.journal.ledger_reader import read_everything, read_span

    path = ledger_path(config)
    try:
        if first is None or last is None:
            span = read_everything(path)
        else:
            span = read_span(path, start_ns(first), start_ns(date.fromordinal(last.toordinal() + 1)))
    except LedgerError as error:
        raise ConfigError(str(error)) from None
    owner = span.account.get("account_id")
    if owner is not None and config.account.id is not None and owner != config.account.id:
        raise ConfigError(f"{path} is the ledger of account {owner}, and the config's is {config.account.id}")
    return span


def _write_deals(span: "LedgerSpan", where: str) -> None:
    import csv
    import sys
    from typing import TextIO

    from bot.config import ConfigError
    from bot.journal.deal_table import COLUMNS, deal_rows

    def write(out: TextIO) -> None:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        rows: Any = deal_rows(span)
        table.writerows(rows)

    if where == "-":
        write(sys.stdout)
        return
    try:
        with Path(where).open("w", encoding="utf-8", newline="") as file:
            write(file)
    except OSError as error:
        raise ConfigError(f"{where}: the deals cannot be written: {error.strerror}") from None
