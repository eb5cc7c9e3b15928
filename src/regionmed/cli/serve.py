"""regionmed serve: one local page where a picture is opened and a box is drawn."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from regionmed.errors import UsageError


def command(
    model: Annotated[str, typer.Argument(help="A run or checkpoint folder, or open_clip:NAME.")],
    index: Annotated[Path, typer.Option(help="An index made with this checkpoint.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8321,
) -> None:
    """Serve the page on this computer only, until Ctrl-C."""
    listening = listen(port)
    try:
        import uvicorn

        from regionmed.serve.app import create_app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "regionmed":
            raise
        raise UsageError(
            f'the page needs the package {error.name}: pip install "regionmed[serve]"'
        ) from error
    import regionmed
    from regionmed.search.index import open_index

    opened = open_index(index)
    app = create_app(regionmed.load(model), opened)
    chosen = listening.getsockname()[1]
    print(f"http://127.0.0.1:{chosen}  (this computer only; Ctrl-C ends it)", flush=True)
    # no access log: paths say which pictures were looked at
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def listen(port: int) -> socket.socket:
    """A socket bound to the loopback address; UsageError where the port is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # so that a server may start again at once on the port it has just left
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(
            f"port {port} of this computer cannot be used ({error.strerror}); "
            "give another with --port, or --port 0 for any free one"
        ) from error
    return listening
