"""`microlev import`: ticks of a CSV file as a recording."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

EXIT_USAGE = 2


def import_ticks(
    ticks: Annotated[Path, typer.Argument(metavar="TICKS.csv", help="Quotes as text; .gz, .bz2 and .zst too.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The recording to write.")],
    symbol: Annotated[str, typer.Option(metavar="NAME", help="The symbol, as the broker names it.")],
    time_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|NUMBER", help="Where the time is; twice for a date and a time of day."),
    ] = None,
    bid_column: Annotated[str | None, typer.Option(metavar="NAME|NUMBER", help="Where the bid is.")] = None,
    ask_column: Annotated[str | None, typer.Option(metavar="NAME|NUMBER", help="Where the ask is.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="s|ms|us|ns|ymd|dmy|mdy", help="What the times are, if not to be guessed."),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of times without one: America/New_York, -05:00; UTC if not given."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT.parquet; take a file with more than 1 % of bad lines.")
    ] = False,
) -> int:
    """Turn a CSV file of ticks (time, bid, ask) into a recording.

    `--market` and studies can play it. Delimiter, header, columns and the form of the times are told from the first
    lines; what was taken for what is said.
    """
    try:
        from bot.research.export_columns import QUOTES, columns_of, schema_of
        from bot.research.export_file import ExportError, TableFile
        from bot.research.tick_csv import TickFile, quote_batch
        from bot.research.tick_csv import import_ticks as import_all
        from bot.research.tick_layout import TickFileError
        from bot.research.tick_time import EPOCHS, FORMS, zone_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        typer.echo("import needs pyarrow: pip install 'microlev[research]'", err=True)
        return EXIT_USAGE
    from bot.cli.byte_progress import ByteProgress

    if out.suffix != ".parquet":
        raise typer.BadParameter(f"must end in .parquet, not {out.name!r}", param_hint="OUT.parquet")
    if not symbol or any(letter.isspace() for letter in symbol):
        raise typer.BadParameter(f"must be a symbol's name, not {symbol!r}", param_hint="--symbol")
    if form is not None and form not in FORMS:
        raise typer.BadParameter(f"must be one of {', '.join(FORMS)}, not {form!r}", param_hint="--format")
    if time_column is not None and len(time_column) > 2:
        raise typer.BadParameter("is given once, or twice for date and time of day", param_hint="--time-column")
    try:
        zone = zone_of(time_zone or "UTC")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--time-zone") from None

    file = made = None
    try:
        file = TickFile(ticks, symbol)
        layout = file.tell_layout(time=time_column or (), bid=bid_column, ask=ask_column, form=form)
        if time_zone is not None and layout.form in EPOCHS:
            raise TickFileError(f"{ticks} counts its times from the epoch ({layout.form}): take --time-zone away")
        facts = {"software": "microlev", "table": QUOTES, "symbol": symbol, "source": ticks.name}
        schema = schema_of(columns_of(QUOTES, with_symbol=False), facts)
        made = TableFile(out, schema, force=force)
        with ByteProgress() as progress:

            def write(ts_us: "np.ndarray", bid: "np.ndarray", ask: "np.ndarray") -> None:
                made.write(quote_batch(schema, ts_us, bid, ask))
                progress(file.bytes_read, file.bytes_total)

            counts = import_all(file, layout, zone, write, forgiving=force)
        made.close({})
        made.publish()
    except (TickFileError, ExportError) as error:
        typer.echo(str(error), err=True)
        return EXIT_USAGE
    finally:
        if file is not None:
            file.close()
        if made is not None:
            made.abandon()
    columns = f"time in {' and '.join(str(i + 1) for i in layout.time)} ({layout.form}"
    columns += "" if layout.form in EPOCHS else f", {time_zone or 'UTC'}"
    columns += f"), bid {layout.bid + 1}, ask {layout.ask + 1}"
    columns += "" if layout.symbol is None else f", symbol {layout.symbol + 1}"
    others = f"; {counts.other} lines of other symbols left out" if counts.other else ""
    print(f"{out}: {counts.good} quotes of {symbol}{others}; columns: {columns}")
    if counts.first_bad is not None:
        line, why = counts.first_bad
        typer.echo(
            f"{ticks}: {counts.bad} lines cannot be read and are left out; the first is line {line}: {why}", err=True
        )
    if 2 * counts.crossed > counts.good:
        typer.echo(
            f"{ticks}: {counts.crossed} of {counts.good} quotes have a bid above the ask: see the columns", err=True
        )
    return 0
