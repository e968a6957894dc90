"""What stands in a book, as plain numbers: for a recording whose later files have to be read without the first."""

import numpy as np

from bot.market.book import ASK, BID, BookArrays


def standing_depth(books: BookArrays, side: int, s: int) -> list[list[int]]:
    """Return the quotes of one side of a symbol, in no order: [id, price (1/100000), size (0.01 unit)] each."""
    quotes = books.quotes[s]
    of_side = quotes[(quotes["used"] != 0) & (quotes["side"] == side)]
    columns = of_side["id"].tolist(), np.abs(of_side["key"]).tolist(), of_side["size"].tolist()
    return [list(quote) for quote in zip(*columns, strict=True)]


def standing_spot(books: BookArrays, s: int) -> tuple[int | None, int | None]:
    """Return a symbol's spot bid and ask (1/100000); None where it is not known."""
    prices, known = books.heads["spot_e5"][s].tolist(), books.heads["spot_known"][s].tolist()
    return (prices[BID] if known[BID] else None, prices[ASK] if known[ASK] else None)
