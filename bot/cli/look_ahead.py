"""`microlev look-ahead`: prove that a backtest's results up to a time do not depend on data after it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import DATA_HELP, moment_ms

if TYPE_CHECKING:
    from bot.config import Config
    from bot.research.backtest.look_ahead import Cut
    from bot.trials import Trial

_MOST_CUTS = 100


def look_ahead(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="SOURCE", help=DATA_HELP),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="TIME", help="Alter what comes after this time, UTC; may be repeated."),
    ] = None,
    cuts: Annotated[
        int, typer.Option("--cuts", min=1, max=_MOST_CUTS, help="Without --at: so many times, spread over the run.")
    ] = 3,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="A date, or an ISO 8601 time; UTC.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="As --from, and exclusive.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="For everything that is drawn.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> int:
    """Find out whether a strategy looks into the future.

    Runs a backtest as it is, and again with everything after some times altered: what happened up to each must be the
    same, bit for bit. Exit code 1 when it is not, or when the altered data changed nothing.
    """
    import os

    from bot.cli.progress import Progress
    from bot.config import load_config
    from bot.research.backtest.backtest import BacktestFailed
    from bot.trial_variants import look_ahead as looked_ahead

    loaded = load_config(config, os.environ)
    times_ns = [moment_ms(text, "--at") * 1_000_000 for text in at or ()]
    progress = Progress()
    try:
        trial = _trial(loaded, data, begin, end, seed)
        checked = looked_ahead(
            trial,
            at_ns=times_ns,
            cuts=cuts,
            seed=seed,
            on_progress=lambda run, now_ns: progress(f"run {run + 1} of {1 + (len(times_ns) or cuts)}: {_utc(now_ns)}"),
        )
    except (ValueError, BacktestFailed) as error:
        progress.clear()
        typer.echo(str(error), err=True)
        return 2
    progress.clear()
    print(_as_json(checked) if json else "\n".join(_lines(checked)), flush=True)
    return 0 if all(cut.is_passed for cut in checked) else 1


def _trial(config: "Config", data: list[str], begin: str | None, end: str | None, seed: int) -> "Trial":
    from bot.trial_assumptions import conditions_of, open_trial_sources
    from bot.trials import Trial

    from_ns = 0 if begin is None else moment_ms(begin, "--from") * 1_000_000
    until_ns = 2**62 if end is None else moment_ms(end, "--to") * 1_000_000
    if until_ns <= from_ns:
        raise typer.BadParameter(f"{end} is not after {begin}: --to is exclusive", param_hint="--to")
    sources = open_trial_sources(config, data, seed)
    return Trial("look-ahead", config, sources, conditions_of(config, seed=seed), from_ns, until_ns)


def _lines(checked: "tuple[Cut, ...]") -> list[str]:
    """Return the verdict, one line: the first time that failed, or what was compared."""
    for cut in checked:
        if cut.difference is not None:
            d = cut.difference
            return [
                f"looks ahead: with data after {_utc(cut.at_ns)} altered, the {d.what} of {_utc(d.time_ns)} differs in "
                f"{d.name}: {_short(d.unaltered)}, then {_short(d.altered)}"
            ]
    for cut in checked:
        if not cut.altered_messages:
            return [
                f"nothing proved: no data that could be altered follow within half an hour after {_utc(cut.at_ns)}; "
                "choose another time"
            ]
        if not cut.differs_after:
            return [
                f"nothing proved: altering the data after {_utc(cut.at_ns)} changed nothing after it either; "
                "choose another time"
            ]
    last, times = checked[-1], ", ".join(_utc(cut.at_ns) for cut in checked)
    compared = f"{last.rows} rows, {last.fills} fills and {last.decisions} decisions up to the last"
    return [f"no look-ahead: up to {times} everything is the same bit for bit when later data are altered ({compared})"]


def _as_json(checked: "tuple[Cut, ...]") -> str:
    import json
    from dataclasses import asdict

    from bot.telemetry.plain import iso_time, without_nan

    cuts = [
        {"at": iso_time(cut.at_ns), **asdict(cut), "passed": cut.is_passed}
        for cut in checked
    ]  # fmt: skip
    passed = all(cut.is_passed for cut in checked)
    return json.dumps(without_nan({"type": "look_ahead", "passed": passed, "cuts": cuts}), default=str)


def _short(content: object) -> str:
    text = str(content)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%F %T}"
