"""A client of NiceGUI without a server: elements can be made in it, and looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import Client
from nicegui.page import page


@contextmanager
def client() -> Iterator[Client]:
    made = Client(page("/"))
    try:
        with made:
            yield made
    finally:
        made.delete()
