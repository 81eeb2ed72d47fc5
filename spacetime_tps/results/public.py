"""What a person at a prompt sees of an object."""


class Public:
    """`dir()` lists what is public alone."""

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]
