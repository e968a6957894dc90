"""A strategy is built from the parameters of a config, or says what is wrong with them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest

from bot.sizing.strategy import Parametrised, StrategyError


@dataclass(frozen=True, slots=True)
class Example(Parametrised):
    name: ClassVar[str] = "example"
    alpha: float = 0.5


def test_parameters_become_fields_and_the_rest_keeps_its_default() -> None:
    assert Example.from_parameters({}).alpha == 0.5
    assert Example.from_parameters({"alpha": 1}).alpha == 1


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"alfa": 1}, r"no parameter 'alfa' \(did you mean alpha\?\); it has: alpha"),
        ({"alpha": "much"}, "must be a number, not 'much'"),
        ({"alpha": True}, "must be a number, not True"),
        ({"alpha": math.nan}, "must be a number, not nan"),
        ({"alpha": math.inf}, "must be a number, not inf"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(parameters: dict[str, object], said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        Example.from_parameters(parameters)
