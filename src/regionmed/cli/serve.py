"""regionmed serve."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
