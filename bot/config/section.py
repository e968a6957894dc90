"""What every section of the configuration is made of: numbers with their limits, and a group of keys.

Unknown keys are refused everywhere.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _not_a_bool(given: Any) -> Any:
    # Python counts True as 1, and YAML reads `on` as true: a slip of the pen must not become a limit of 1.
    if isinstance(given, bool):
        raise ValueError("should be a number, not true or false")
    return given


Number = Annotated[float, BeforeValidator(_not_a_bool), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_not_a_bool)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(gt=0, le=1)]
PositiveWhole = Annotated[Whole, Field(gt=0)]
Port = Annotated[Whole, Field(gt=0, le=65535)]
UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Band = Annotated[Number, Field(ge=0, le=1)] | Literal["auto"]


class Section(BaseModel):
    """A group of keys. A section left empty in the file means its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_defaults(cls, given: Any) -> Any:
        return {} if given is None else given
