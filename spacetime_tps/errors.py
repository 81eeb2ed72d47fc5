"""The one exception a user meets: a sentence that says what is wrong and how to mend it."""


class SpacetimeError(ValueError):
    """Input, settings or data that the package cannot work with; its message is meant for the user."""
