"""regionmed evaluate."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
