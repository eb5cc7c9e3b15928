"""regionmed ask."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
