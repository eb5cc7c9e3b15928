"""regionmed index."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
