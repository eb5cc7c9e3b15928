"""regionmed demo."""


def command() -> None:
    """Not built yet."""
    raise NotImplementedError
