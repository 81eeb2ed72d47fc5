"""What settings and system files have in common: pydantic models that take no unknown key, and their first error as a sentence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator


class Plain(BaseModel):
    """Immutable; numbers are finite, and neither true nor false is one."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("true and false are no values here")
        return value


class StrictModel(Plain):
    """An unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


def first_error(problem: ValidationError) -> str:
    """The first error of a validation: where, what, and what was given."""
    error = problem.errors()[0]
    where = ".".join(str(part) for part in error["loc"]) or "values"
    return f"{where}: {error['msg']}, got {error['input']!r}" if error["loc"] else f"{where}: {error['msg']}"
