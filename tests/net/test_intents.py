"""What of a Decision reaches the ledger before its bytes leave, and what after."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bot.account.risk import Refused
from bot.account.portfolio import Valuation
from bot.engine.decision import Decision, IntendedOrder, Notice, OrderChange
from bot.engine.rows import NO_ROWS
from bot.journal.ledger import Ledger
from bot.journal.ledger_reader import read_everything
from bot.market.symbols import SymbolSpec
from bot.net.aftermath import aftermath
from bot.net.intents import keep_intents

EURUSD = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
ORDER = IntendedOrder(
    "EURUSD", "open", "sell", 100_000, 0.01, "market", None, None, "r1-1", 0.0, 1.0, "because", 0.3, None, 7.5, 9.0
)
