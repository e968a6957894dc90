"""NiceGUI in tests: a client without a server, in which elements can be made, and one application after another."""

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


@contextmanager
def fresh_nicegui() -> Iterator[None]:
    """NiceGUI keeps pages and middleware in its modules: one application a process, unless they are put back."""
    from nicegui.testing.general import nicegui_reset_globals

    with nicegui_reset_globals():
        yield
        Client.page_routes.clear()  # or it would unload the modules in which pages stand: all of ours
