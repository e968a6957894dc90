"""The market as it stands goes into plain JSON and comes back the same: symbols, chains, spot prices, quotes by id."""

import numpy as np
import pytest

from bot.account.conversion import ConversionStep
from bot.engine.events import SymbolsLoaded
from bot.engine.standing_market import read_standing, standing_market
from bot.journal.format import decode_json, encode_json
from bot.market import delta as d
from bot.market.book import standing_quotes
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.symbols import Holiday, SymbolSpec

SPECS = (
    SymbolSpec(
        1, "EURUSD", "EUR", "USD", 5, 4, 100, 1, 1, 100, 7, schedule=((0, 86_400),), holidays=(Holiday(20_000),)
    ),
    SymbolSpec(2, "USDJPY", "USD", "JPY", 3, 2, 100, 1, 1, 100),
)
LOADED = SymbolsLoaded(5, SPECS, 1, {"USD": (), "JPY": (ConversionStep(1, True),)}, {"USD": ()})
ROWS = d.delta_rows(
    [
        (d.SPOT_BID, 0, 0, 110_000, 0),
        (d.END_SPOT, 0, 0, 0, 0),
        (d.DEPTH_BID, 0, 2**63 + 5, 109_999, 300),
        (d.DEPTH_ASK, 0, 6, 110_002, 200),
        (d.DEPTH_ASK, 0, 7, 110_002, 100),
        (d.END_DEPTH, 0, 0, 0, 0),
    ]
)


def evaluator(rows: np.ndarray) -> Evaluator:
    made = Evaluator(np.array([spec.pip for spec in SPECS]), EvaluatorSettings())
    made.receive(rows, 5)
    return made


def test_what_stands_comes_back_the_same() -> None:
    books = evaluator(ROWS).books
    content = decode_json(encode_json(standing_market(LOADED, books, is_ready=True)))
    standing = read_standing(content, 5)
    assert standing.is_ready and standing.loaded == LOADED
    again = evaluator(standing.rows).books
    for s in (0, 1):
        assert standing_quotes(again, s) == standing_quotes(books, s)
    assert again.heads["spot_known"].tolist() == [[1, 0], [0, 0]] and again.heads["spot_e5"][0, 0] == 110_000
    assert standing_quotes(again, 0)[2**63 + 5] == (0, 109_999, 300)


def test_before_the_symbols_are_known_there_is_nothing() -> None:
    standing = read_standing(standing_market(None, None, is_ready=False), 5)
    assert (standing.is_ready, standing.loaded, len(standing.rows)) == (False, None, 0)


@pytest.mark.parametrize("content", [{}, {"ready": True, "symbols": [{}]}, {"ready": True, "symbols": 3}])
def test_content_of_another_form_is_refused_in_one_line(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^this is no standing market: ") as caught:
        read_standing(content, 5)
    assert "\n" not in str(caught.value)
