"""`microlev backtest`: a config on recorded data, and a comparison of ways to set leverage on the same data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import DATA_HELP, moment_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.cli.backtest_lines import BacktestLines
    from bot.config import Config
    from bot.research.backtest.conditions import Conditions
    from bot.research.backtest.latency import Measured
    from bot.research.backtest.result import Result
    from bot.research.compare.comparison import Comparison
    from bot.research.compare.kept_runs import RunFolder
    from bot.research.metrics.arm_run import TradingTime
    from bot.research.shocks.shock import Shock
    from bot.research.sources import Source

_RUN = "run"
_NEVER_NS = 2**62
_UNEVEN_NS = 6 * 3_600_000_000_000  # not told of: markets that open an hour after another


def backtest(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file; where it runs is left out of it.")],
    data: Annotated[list[str], typer.Option("--data", metavar="SOURCE", help=DATA_HELP)],
    compare: Annotated[
        str | None, typer.Option(metavar="A,B", help="Compare these arms, or `all`; see docs/backtest.md.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report as one HTML file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the runs; default: backtest-CONFIG-ID, ID by the inputs."),
    ] = None,
    signals: Annotated[
        str, typer.Option(metavar="A,B", help="Directions of a comparison: trend, reversion, random, config.")
    ] = "trend,reversion,random",
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="A date, or an ISO 8601 time; UTC. Default: all.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="As --from, and exclusive.")] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML list of releases: time, name, before, after (minutes).")
    ] = None,
    shocks: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Play liquidity shocks: `standard`, or a YAML file; see docs/shocks.md."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of latencies, random directions, shuffles and intervals.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each in a process of its own.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Use DIR and replace FILE whatever they hold.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Run a config on recorded or synthetic data.

    Same session and engine as live, on a virtual clock, against an embedded venue. A command that was stopped or
    killed goes on where it was when it is run again.
    """
    import os

    from bot.cli.backtest_lines import BacktestLines
    from bot.config import load_preset
    from bot.research.compare.kept_runs import FolderUnusable

    from_ns, until_ns = _period(begin, end)
    loaded = load_preset(config, os.environ)
    lines = BacktestLines(json=json)
    try:
        if report is not None:
            _check_report(report, force=force)
        asked = _Asked(config, loaded, data, from_ns, until_ns, events, shocks, seed, jobs)
        folder = asked.folder(out, force=force)
        with folder.locked():
            if compare is None:
                comparison, results = None, [asked.run(folder, lines)]
            else:
                comparison = asked.compare(folder, _words(compare, "--compare"), _words(signals, "--signals"), lines)
                results = []
            if report is not None:
                asked.write_report(report, comparison, results, force=force)
                lines.written(report)
        return 0
    except KeyboardInterrupt:
        lines.close()
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise
    except (FolderUnusable, ValueError) as error:
        lines.close()
        typer.echo(" ".join(str(error).split()), err=True)
        return 2
    finally:
        lines.close()


class _Asked:
    """What a command line asks for, opened and checked."""

    def __init__(
        self,
        path: Path,
        config: "Config",
        data: "Sequence[str]",
        from_ns: int,
        until_ns: int,
        events: Path | None,
        shocks: str | None,
        seed: int,
        jobs: int,
    ) -> None:
        from functools import partial

        from bot.config.releases import load_releases
        from bot.research.compare.spans import Release
        from bot.trial_assumptions import conditions_of, open_trial_sources
        from bot.trials import settings_of

        self.path, self.config, self._data, self._jobs, self._seed = path, config, list(data), jobs, seed
        self._bounds, self._script = (from_ns, until_ns), shocks
        self._played: dict[tuple[int, int], Sequence[Shock]] = {}
        self._releases: list[Release] = [Release(*r) for r in load_releases(events)] if events is not None else []
        settings_of(config)  # a strategy that cannot be loaded is told before any data are read
        measured = _measured(path) if config.backtest.latency == "ledger" else None
        self._conditions: Conditions = conditions_of(config, seed=seed, measured=measured)
        self._opened: Callable[[], Sequence[Source]] = partial(open_trial_sources, config, self._data, seed)
        self._sources = self._opened()
        for source in self._sources:
            first_ns, last_ns = source.span_ns
            if not (from_ns <= last_ns and until_ns > first_ns):
                has = f"it goes from {_at(first_ns)} to {_at(last_ns)}"
                raise ValueError(f"{source.name} has nothing of {source.spec.name} from --from to --to: {has}")
        _tell_of_uneven(self._sources, from_ns, until_ns)

    def folder(self, out: Path | None, *, force: bool) -> "RunFolder":
        from bot.research.compare.kept_runs import RunFolder, digest_of
        from bot.trial_assumptions import inputs_of

        config = self.config.model_dump(mode="json", exclude={"credentials"})
        config["sizing"] = self.config.sizing.model_dump(mode="json", exclude_unset=True)
        inputs = {
            "config": config,
            "from_ns": self._bounds[0],
            "until_ns": self._bounds[1],
            "seed": self._seed,
            "shocks": None if self._script is None else self._script_text(),
            **inputs_of(self.config, self._data, self._conditions),
        }
        name = f"backtest-{self.path.stem}-{digest_of(inputs)[:8]}"
        return RunFolder(Path(name) if out is None else out, inputs, force=force)

    def _script_text(self) -> str:
        path = Path(self._script or "")
        return path.read_text("utf-8") if path.is_file() else str(self._script)

    def _shocks(self, from_ns: int, until_ns: int) -> "Sequence[Shock]":
        from bot.cli.shock_file import read_shocks
        from bot.trials import Trial

        if self._script is None:
            return ()
        if (from_ns, until_ns) not in self._played:
            trial = Trial("shocks", self.config, self._sources, self._conditions, from_ns, until_ns)
            self._played[from_ns, until_ns] = read_shocks(self._script, trial, self._seed)
        return self._played[from_ns, until_ns]

    def write_report(
        self, path: Path, comparison: "Comparison | None", results: "Sequence[Result]", *, force: bool
    ) -> None:
        from bot.research.report.depth_map import depth_of_worst_minutes
        from bot.research.report.kept_results import kept_results
        from bot.research.report.page import write_report
        from bot.research.shocks.shocked_source import shocked_source

        drawn = results if comparison is None else kept_results(comparison)
        test_ns = 0 if comparison is None else comparison.calibration_until_ns
        played = self._shocks(*(self._bounds if comparison is None else (test_ns, comparison.until_ns)))
        sources = [shocked_source(source, played) for source in self._sources]
        depth = depth_of_worst_minutes(drawn[0], sources, from_ns=test_ns) if len(drawn) else []
        write_report(path, comparison, drawn, depth, self._trading_time(), force=force)

    def _trading_time(self) -> "TradingTime":
        from bot.research.metrics.trading_year import trading_time_of

        return trading_time_of(source.spec for source in self._sources[: len(self.config.symbols)])

    def run(self, folder: "RunFolder", lines: "BacktestLines") -> "Result":
        from bot.research.backtest.result import Result
        from bot.research.metrics.summary import summary_of
        from bot.trial_pool import Ground, Task, run_all

        ground = Ground(self.config, self._opened, self._conditions, shocks=self._shocks(*self._bounds))
        task = Task(_RUN, folder.path_of(_RUN), folder.digest, *self._bounds)
        first_ns, last_ns = _spanned(self._sources)
        lasts_ns = min(last_ns, self._bounds[1]) - max(first_ns, self._bounds[0])
        lines.begun(1, lasts_ns)
        if folder.has(_RUN, folder.digest):
            lines.found(task, lasts_ns)
        else:
            run_all(ground, [task], 1, lines.progressed)
        result = Result.load(task.path)
        if not len(result.clocks):
            raise ValueError("nothing was decided in this time: it is too short, or the market is closed")
        weights = [symbol.weight for symbol in self.config.symbols.values()]
        summary = summary_of(result.arm_run(weights=weights), trading_time=self._trading_time())
        lines.ran(result, summary, folder.path)
        return result

    def compare(self, folder: "RunFolder", arms: list[str], signals: list[str], lines: "BacktestLines") -> "Comparison":
        from importlib.util import find_spec

        from bot.comparing import Contest, compare
        from bot.research.compare.arms import arms_named
        from bot.research.compare.signals import check_signal

        if find_spec("arch") is None:  # told before anything is run, not hours later
            raise ValueError("a comparison needs arch, which is not there: pip install 'microlev[research]'")
        for signal in signals:
            check_signal(signal)
        rules = self.config.effective_sizing()
        contest = Contest(
            self.config,
            self._opened,
            self._conditions,
            folder,
            arms_named(arms, self.config.strategy.name, (rules.crisis, rules.calendar)),
            signals,
            self._releases,
            from_ns=self._bounds[0],
            until_ns=self._bounds[1],
            jobs=self._jobs,
            shocks=self._shocks,
        )
        comparison = compare(contest, lines)
        lines.compared(comparison, folder.path)
        return comparison


def _period(begin: str | None, end: str | None) -> tuple[int, int]:
    from_ns = 0 if begin is None else moment_ms(begin, "--from") * 1_000_000
    until_ns = _NEVER_NS if end is None else moment_ms(end, "--to") * 1_000_000
    if until_ns <= from_ns:
        raise typer.BadParameter(f"{end} is not after {begin}: --to is exclusive", param_hint="--to")
    return from_ns, until_ns


def _words(text: str, option: str) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise typer.BadParameter("names nothing; write names with commas between them", param_hint=option)
    return words


def _spanned(sources: "Sequence[Source]") -> tuple[int, int]:
    return min(source.span_ns[0] for source in sources), max(source.span_ns[1] for source in sources)


def _tell_of_uneven(sources: "Sequence[Source]", from_ns: int, until_ns: int) -> None:
    """Say on standard error where not all sources are there all the time: nothing is traded of one that is not."""
    first_ns, last_ns = _spanned(sources)
    for source in sources:
        begins_ns, ends_ns = source.span_ns
        if begins_ns > max(first_ns, from_ns) + _UNEVEN_NS or ends_ns < min(last_ns, until_ns) - _UNEVEN_NS:
            print(
                f"note: {source.spec.name} is there from {_at(begins_ns)} to {_at(ends_ns)} only: {source.name}",
                file=sys.stderr,
            )
        missing = [_at(ns)[:10] for ns in source.missing_ns if from_ns <= ns < until_ns]
        if missing:
            some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
            print(f"note: {source.name} has no file of {len(missing)} day(s): {some}", file=sys.stderr)


def _at(time_ns: int) -> str:
    from bot.telemetry.plain import iso_time

    return iso_time(time_ns)


def _measured(path: Path) -> "Measured":
    """Return the latency that the ledger of a config's account has measured. Raises: ConfigError without any."""
    import os

    from bot.config import load_place
    from bot.trial_assumptions import measured_latency

    return measured_latency(load_place(path, os.environ))


def _check_report(path: Path, *, force: bool) -> None:
    for taken in (path, path.with_name(f"{path.stem}_files")):  # now, not when everything has been run
        if taken.exists() and not force:
            raise ValueError(f"{taken} is there already: take another --report, or --force to replace it")
    try:
        from bot.research.report.page import check_libraries

        check_libraries()
    except ImportError as error:
        raise ValueError(f"no report can be drawn: {error}; pip install 'microlev[research]'") from None
