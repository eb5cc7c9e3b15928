"""regionmed doctor."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
