"""`microlev sweep`: search parameters on train days, test the choice on others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import DATA_HELP

if TYPE_CHECKING:
    from bot.research.sweep.found import SweepFound
    from bot.research.sweep.score import Score
    from bot.sweeps import Job, Plan
    from bot.workforce import Workforce

EXIT_NOTHING, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 4, 130
_RESULTS = ("sweep.json", "sweep.txt", "importance.png", "stability.png", "sweep.html")


def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML file of the bot.")],
    data: Annotated[list[str], typer.Option("--data", metavar="SOURCE", help=DATA_HELP)],
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many in all, those of earlier starts included.")],
    ranges: Annotated[
        Path | None, typer.Option("--ranges", help="What to try, instead of the config's section `sweep`.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="The figure that decides, see docs/metrics.md.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Trials at a time; default: one a core.")] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs already.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the study and its results.")] = Path("sweep"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the search, the venue and synthetic data.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Begin a new study where --out holds another one.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON line a trial, and one of the result.")] = False,
) -> int:
    """Search parameters on recorded days, and test them on others.

    The choice is tested on days that had no part in it. The same command goes on where an earlier one was stopped
    or killed. With --jobs 1 the same seed makes the same trials; in parallel it depends on which one is over first.
    """
    import os
    from importlib.util import find_spec

    if missing := [name for name in ("optuna", "distributed", "matplotlib", "plotly", "arch") if not find_spec(name)]:
        typer.echo(f"a sweep needs {missing[0]}, which is not there: pip install 'microlev[research]'", err=True)
        return EXIT_USAGE
    from bot.config.variants import Variants
    from bot.research.sweep.study import FILE, StudyUnusable
    from bot.sweeps import plan_of

    try:
        variants = Variants.load(config, os.environ)
        plan = plan_of(variants, variants.sweep(ranges, os.environ), data, metric, seed)
        if not force and not (out / FILE).exists() and (there := [n for n in _RESULTS if (out / n).exists()]):
            raise StudyUnusable(f"{out / there[0]} is there, but no study: name another --out, or --force to write it")
        return _run(plan, out, trials, jobs, scheduler, force=force, json=json)
    except (ValueError, OSError) as error:
        typer.echo(" ".join(str(error).split()), err=True)
        return EXIT_USAGE


def _run(
    plan: "Plan", out: Path, trials: int, jobs: int | None, scheduler: str | None, *, force: bool, json: bool
) -> int:
    from bot.cli.sweep_screen import SweepScreen
    from bot.research.sweep.study import SweepStudy
    from bot.sweeps import NothingFound
    from bot.sweeps import sweep as run_sweep
    from bot.workforce import Unreachable

    study = SweepStudy(out, plan.ranges, plan.direction, plan.settled(), force=force)
    workforce = None
    try:
        screen = SweepScreen(trials, len(study.tried()), plan.metric, json=json)
        try:
            workforce = _workforce(jobs, scheduler)
            with screen:
                found = run_sweep(plan, study, trials, workforce, on_trial=screen.tried, on_final=screen.final)
        except Unreachable as error:
            typer.echo(str(error), err=True)
            return EXIT_UNREACHABLE
        except NothingFound as error:
            typer.echo(str(error), err=True)
            return EXIT_NOTHING
        except KeyboardInterrupt:
            typer.echo(
                f"stopped: {len(study.tried())} of {trials} trials are in {out}; the same command goes on", err=True
            )
            return EXIT_INTERRUPTED
        _write(found, out)
        _show(found, out, json=json)
    finally:
        if workforce is not None:
            workforce.close()
        study.close()
    return 0


def _workforce(jobs: int | None, scheduler: str | None) -> "Workforce[Job, Score]":
    import os

    from bot.sweeps import run_job
    from bot.workforce import Cluster, Here

    if scheduler is None and (jobs or os.cpu_count() or 1) == 1:
        return Here(run_job)
    return Cluster(run_job, jobs, scheduler)


def _write(found: "SweepFound", out: Path) -> None:
    """Write every result, each beside its place first: a file that is there is whole."""
    import json as codec

    from bot.cli.sweep_text import reasons, result, text
    from bot.research.sweep.pictures import importance_png, page_html, stability_png

    lines = "\n".join([text(found), *reasons(found)])
    makers = {
        "sweep.json": lambda path: path.write_text(codec.dumps(result(found), indent=1) + "\n", encoding="utf-8"),
        "sweep.txt": lambda path: path.write_text(lines + "\n", encoding="utf-8"),
        "importance.png": lambda path: importance_png(found, path),
        "stability.png": lambda path: stability_png(found, path),
        "sweep.html": lambda path: page_html(found, lines, path),
    }
    for name, make in makers.items():
        beside = out / f".part-{name}"
        make(beside)
        beside.replace(out / name)


def _show(found: "SweepFound", out: Path, *, json: bool) -> None:
    import json as codec

    from bot.cli.sweep_text import reasons, result, text

    if json:
        print(codec.dumps(result(found)), flush=True)
        return
    print(text(found))
    for line in reasons(found):
        print(line)
    print(f"written    {', '.join(str(out / name) for name in _RESULTS)}")
