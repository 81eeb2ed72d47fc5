"""What settings and system files have in common: pydantic models that take no unknown key, and their first error as a sentence."""

from pydantic import BaseModel, ConfigDict, ValidationError


class StrictModel(BaseModel):
    """Immutable; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def first_error(problem: ValidationError) -> str:
    """The first error of a validation: where, what, and what was given."""
    error = problem.errors()[0]
    where = ".".join(str(part) for part in error["loc"]) or "values"
    return f"{where}: {error['msg']}, got {error['input']!r}" if error["loc"] else f"{where}: {error['msg']}"
