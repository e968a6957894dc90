"""A driver's entrance that lets an error of ours end the run: a bot that has lost its footing must not trade on."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twisted.python.failure import Failure


class Crashes(Protocol):
    """Whoever can end a run over an error."""

    def _crash(self, failure: Failure) -> None: ...


Self = TypeVar("Self", bound=Crashes)
Given = ParamSpec("Given")


def guarded(method: Callable[Concatenate[Self, Given], None]) -> Callable[Concatenate[Self, Given], None]:
    """Hand an exception of a method to its object's `_crash`."""

    @wraps(method)
    def call(self: Self, /, *args: Given.args, **named: Given.kwargs) -> None:
        try:
            method(self, *args, **named)
        except Exception:
            self._crash(Failure())

    return call
