"""`microlev export`: a recorded run as Parquet, for research."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.assembly import Run
    from bot.journal.replay import ReplayResult

EXIT_USAGE = 2
EXIT_DIFFERENT = 1
_DEFAULT = "decisions"
_NAMES = ("quotes", "book", "features", "decisions", "orders", "deals")


def _table(name: str) -> str:
    if name not in _NAMES:
        raise typer.BadParameter(f"must be one of {', '.join(_NAMES)}, not {name!r}")
    return name


def export(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="A .journal file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The file to write.")],
    table: Annotated[
        str, typer.Option(metavar="|".join(_NAMES), help="What OUT.parquet is to hold.", callback=_table)
    ] = _DEFAULT,
    symbol: Annotated[str | None, typer.Option(metavar="NAME", help="Only this symbol.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every table: the others beside it, as OUT.quotes.parquet and so on.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Exit code 1 when a Decision came out otherwise.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> int:
    """Write a recorded run as columns, for research.

    What it was told, measured and decided. The journal is decided again as `replay` does, and compared on the way;
    one that comes out otherwise, as that of another version may, is exported all the same and told of on standard
    error.
    """
    from bot import __version__
    from bot.app import replay_journal
    from bot.cli.byte_progress import ByteProgress
    from bot.ctrader.pipeline import Pipeline
    from bot.journal.format import JournalError

    try:
        from bot.research.export import Export
        from bot.research.export_file import ExportError
        from bot.research.tapped_engine import TappedEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        typer.echo("export needs pyarrow: pip install 'microlev[research]'", err=True)
        return EXIT_USAGE

    if out.suffix != ".parquet":
        raise typer.BadParameter(f"must end in .parquet, not {out.name!r}", param_hint="OUT.parquet")
    made = None

    def watch(run: "Run") -> list[Any]:
        assert made is not None
        made.watch(run.engine, is_paper=run.config.mode == "dry-run")
        if made.wants_events:
            tapped = TappedEngine(run.engine, made.hear)
            run.pipeline = Pipeline(run.session, tapped, orders_to_venue=run.session.plan.trade)
        return [made.decided]

    try:
        facts = {"journal": journal.name, "version": __version__}
        made = Export(_places(out, table, every=every), symbol=symbol, force=force, facts=facts)
        with ByteProgress() as progress:
            result = replay_journal(
                journal,
                watch=watch,
                on_progress=lambda far: progress(far.bytes_read, far.bytes_total),
                to_the_end=True,
            )
        made.finish(_outcome(result))
    except (JournalError, ExportError) as error:
        typer.echo(str(error), err=True)
        return EXIT_USAGE
    finally:
        if made is not None:
            made.abandon()
    for name, path in _places(out, table, every=every).items():
        print(f"{path}: {made.rows[name]} rows of {name}", flush=True)
    if made.left_out:
        text = (
            f"quotes and book are of {made.market_symbol} alone; for others give --symbol: {', '.join(made.left_out)}"
        )
        typer.echo(f"{journal}: {text}", err=True)
    return _told(journal, result, verify=verify)


def _places(out: Path, table: str, *, every: bool) -> dict[str, Path]:
    """Return the file of each table that is to be written."""
    beside = {name: out.with_suffix(f".{name}.parquet") for name in _NAMES if every}
    return beside | {table: out}


def _outcome(result: "ReplayResult") -> dict[str, str]:
    return {
        "decisions_equal": "no" if result.difference else "yes",
        "torn_at": "" if result.truncated_at is None else str(result.truncated_at),
        "clean_stop": "yes" if result.clean_stop else "no",
    }


def _told(journal: Path, result: "ReplayResult", *, verify: bool) -> int:
    """Say what the journal was like; return the exit code."""
    if result.truncated_at is not None:
        typer.echo(f"{journal}: the last record is torn at byte {result.truncated_at}; exported up to there", err=True)
    if result.difference is None:
        print(f"equal: {result.decisions} decisions decided again bit for bit", flush=True)
        return 0
    d = result.difference
    typer.echo(
        f"{journal}: different at decision {d.number} ({d.at_ns} ns): {d.what}; exported as this version decides",
        err=True,
    )
    return EXIT_DIFFERENT if verify else 0
