"""`microlev symbols`: what the broker lists for this account, and in which sizes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bot.ctrader.symbol_search import FoundSymbol

_HEADINGS = (
    "name", "id", "description", "digits", "lot (units)", "min lots", "step lots", "max lots", "leverage",
    "commission", "mode", "open",
)  # fmt: skip
_LONGEST_DESCRIPTION = 32


def symbols(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Part of a name or description.")] = "",
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """List the broker's symbols. They need not stand in the config; its account and token are what is used."""
    import os

    from bot.cli.progress import Progress
    from bot.cli.screen import log_to_stderr
    from bot.config import client_secrets, load_config, load_token
    from bot.ctrader.symbol_search import search_symbols
    from bot.net.clock import run_clock
    from bot.net.enquirer import EnquiryFailed, enquire

    loaded = load_config(config, os.environ)
    client, token = client_secrets(loaded), load_token(loaded)
    log_to_stderr()
    progress = Progress()
    script = search_symbols(
        text, token.access_token, loaded.account.id, loaded.venue.environment, run_clock()(), progress
    )
    try:
        search = enquire(loaded, client, script, on_progress=progress)
    except EnquiryFailed as failed:
        progress.clear()
        typer.echo(failed.text, err=True)
        return failed.exit_code
    progress.clear()
    if json:
        for symbol in search.found:
            typer.echo(_json_line(symbol))
    elif search.found:
        typer.echo(table(search.found))
    if not search.found:
        hint = f"close names: {', '.join(search.close_names)}" if search.close_names else "no name is close to it"
        typer.echo(f"none of the {search.listed_count} symbols matches {text!r}; {hint}", err=True)
    return 0


def _json_line(symbol: "FoundSymbol") -> str:
    import json

    return json.dumps(
        {
            "type": "symbol",
            "id": symbol.symbol_id,
            "name": symbol.name,
            "description": symbol.description,
            "digits": symbol.digits,
            "lot_size_cents": symbol.lot_size_cents,
            "min_volume_cents": symbol.min_volume_cents,
            "step_volume_cents": symbol.step_volume_cents,
            "max_volume_cents": symbol.max_volume_cents,
            "leverage": symbol.leverage,
            "commission": symbol.commission,
            "trading_mode": symbol.trading_mode,
            "enabled": symbol.enabled,
            "open": symbol.is_open,
        }
    )


def table(found: "tuple[FoundSymbol, ...]") -> str:
    """Return the symbols in columns; `-` for what the broker does not say."""
    rows = [_HEADINGS, *map(_row, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    left = {0, 2, 9, 10, 11}  # words; the rest are numbers
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(symbol: "FoundSymbol") -> tuple[str, ...]:
    description = symbol.description
    if len(description) > _LONGEST_DESCRIPTION:
        description = description[: _LONGEST_DESCRIPTION - 1] + "…"
    units = symbol.lot_size_cents / 100 if symbol.lot_size_cents else None
    volumes = (symbol.min_volume_cents, symbol.step_volume_cents, symbol.max_volume_cents)
    return (
        symbol.name,
        str(symbol.symbol_id),
        description or "-",
        "-" if symbol.digits is None else str(symbol.digits),
        _number(units),
        *(_number(symbol.lots(volume)) for volume in volumes),
        "-" if symbol.leverage is None else f"1:{symbol.leverage:g}",
        symbol.commission or "-",
        (symbol.trading_mode or "-").lower(),
        {True: "yes", False: "no", None: "-"}[symbol.is_open],
    )


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:,.10g}"
