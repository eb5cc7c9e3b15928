"""regionmed train."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
