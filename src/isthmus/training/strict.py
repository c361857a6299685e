"""The types of a recipe's fields: what they may be is checked when a file is read."""

from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True)
"""No unknown keys, and no texts for numbers."""
Count: TypeAlias = Annotated[int, Field(ge=1)]
Rate: TypeAlias = Annotated[float, Field(gt=0, le=1)]
"""Of AdamW, at its height."""
Share: TypeAlias = Annotated[float, Field(ge=0)]
