"""`microlev fills`: a recorded session's own fills against its recorded book."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bot.research.backtest.own_fills import OwnFill, PredictionError


def fills(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="Any file of a recorded run, or its folder.")],
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Compare what our market orders got with what a backtest gives.

    Each order walks the recorded book as it stood half of the time between its decision and the word about its fill.
    The last lines are the errors of prediction, of that walk and of the engine when it decided.
    """
    import json as codec

    from bot.journal.format import JournalError
    from bot.recorded import own_fills
    from bot.research.backtest.own_fills import prediction_error
    from bot.research.metrics.plain import plain

    try:
        found = own_fills(journal)
    except JournalError as error:
        typer.echo(str(error), err=True)
        return 2
    realised = [fill.realised_bps for fill in found]
    errors = {
        "recorded book": prediction_error([fill.walked_bps for fill in found], realised),
        "engine": prediction_error([fill.predicted_bps for fill in found], realised),
    }
    if json:
        for fill in found:
            print(codec.dumps({"type": "fill", **plain(fill)}))
        for name, error in errors.items():
            print(codec.dumps({"type": "prediction_error", "predicted_by": name, **plain(error)}), flush=True)
        return 0
    for line in [*map(_fill_line, found), *(_error_line(name, error) for name, error in errors.items())]:
        print(line)
    return 0


def _fill_line(fill: "OwnFill") -> str:
    side = "buy" if fill.units > 0 else "sell"
    took_ms = 2 * (fill.arrived_ns - fill.decided_ns) / 1e6
    return (
        f"{fill.client_order_id:<24} {fill.symbol:<8} {side:<4} {abs(fill.units):>12,.0f} at {fill.price:<10g} "
        f"after {took_ms:>6.0f} ms  "
        f"slippage {_bps(fill.realised_bps)}, book {_bps(fill.walked_bps)}, engine {_bps(fill.predicted_bps)} bps"
    )


def _error_line(name: str, error: "PredictionError") -> str:
    if not error.fills:
        return f"predicted by the {name}: unknown, no fill has both figures"
    return (
        f"predicted by the {name}, less realised, over {error.fills} fill(s): mean {_bps(error.mean_bps)}, "
        f"deviation {error.deviation_bps:.3f}, median size {error.median_absolute_bps:.3f}, 95 % within "
        f"{error.p95_absolute_bps:.3f} bps"
    )


def _bps(bps: float) -> str:
    return "unknown" if bps != bps else f"{bps:+.3f}"
