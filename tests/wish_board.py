"""What `strategy_on_call.py` wishes for, written by a test at any moment."""


class Wish:
    """`share` of the base leverage that is wanted, 0 or more."""

    def __init__(self) -> None:
        self.share = 1.0


WISH = Wish()
