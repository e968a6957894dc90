"""Libraries that not every installation has: a test module that needs one is skipped without it, and says which."""

from importlib.util import find_spec

import pytest


def needs(*names: str) -> None:
    """Skip the module that calls this where a library is missing; nothing is imported, as some take seconds."""
    for name in names:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed", allow_module_level=True)
