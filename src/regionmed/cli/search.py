"""regionmed search."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
