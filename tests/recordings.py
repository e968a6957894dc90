"""Where the real recordings are. They may not be distributed, so they are not in the repository."""

import os
from pathlib import Path

import pytest

BOOK = "l2_binance_coinm_BTCUSD_PERP_events.parquet"
QUOTES = "fx_oanda_EURUSD_2014-05.parquet"


def recording(name: str) -> Path:
    """Return a recording's path: of the folder in MICROLEV_DATA, else of `shared/data` beside the repository."""
    folder = os.environ.get("MICROLEV_DATA") or Path(__file__).parents[2] / "shared" / "data"
    path = Path(folder) / name
    if not path.is_file():
        reason = f"no recording {path}; set MICROLEV_DATA to the folder of the recordings"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
