"""The local page and its HTTP doors, over search/answer.py.

    GET  /                             the page (page/*: no build step, nothing from elsewhere)
    GET  /api/status                   the model, the index, the version
    POST /api/pictures                 the bytes of a PNG, JPEG or DICOM file -> id, size, window
    GET  /api/pictures/{id}.png        the pixels as opened
    GET  /api/pictures/{id}/values     grey values before the window: float32, little endian, rows
    POST /api/ask                      {id, box?, window?, top?} -> sentences, similar regions,
                                       and "unsure": a reason for doubt, or null
    POST /api/search                   {text, top?} -> regions and pictures of the index
    GET  /api/thumbnails/{number}.jpg  of an entry of the index
    GET  /health                       {"ok": true}

Boxes are x0 y0 x1 y1 in file pixels. A failure is {"error": one sentence}. Opened pictures stay in
memory (pictures.py); no file name, picture or text is written or logged. Only loopback is served.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from regionmed.errors import RegionmedError
from regionmed.search.answer import Match, ask, box_in, find
from regionmed.search.index import Index
from regionmed.search.thumbnails import view
from regionmed.serve.pictures import OpenPicture, OpenPictures, Window

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip

PAGE = Path(__file__).parent / "page"
LARGEST = 256 * 2**20  # bytes of a posted file; the largest mammograms are about 120 MB
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class WindowBody(BaseModel):
    """A grey window in values after rescale."""

    center: float
    width: float = Field(gt=0)
    function: str = Field("LINEAR", pattern="^(LINEAR|LINEAR_EXACT|SIGMOID)$")


class AskBody(BaseModel):
    """A question about an opened picture; without a box, about the whole of it."""

    id: str
    box: list[float] | None = None  # x0 y0 x1 y1 in file pixels
    window: WindowBody | None = None  # as opened where left out; DICOM only
    top: int = Field(6, ge=1, le=50)


class SearchBody(BaseModel):
    """A text to look for in the index."""

    text: str = Field(max_length=1000)
    top: int = Field(12, ge=1, le=50)


def create_app(model: RegionClip, index: Index) -> FastAPI:
    """The application for one checkpoint and its index; StaleIndexError for another's index."""
    index.check_model(model)
    app = FastAPI(title="regionmed", version=version("regionmed"), docs_url=None, redoc_url=None)
    pictures = OpenPictures()
    one_at_a_time = (
        threading.Lock()
    )  # a model on two cores gains nothing from two questions at once
    _guard(app)
    _explain_failures(app)

    @app.get("/health")
    def health() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        return _status(model, index)

    @app.post("/api/pictures")
    async def open_picture(request: Request) -> dict[str, Any]:
        # the plain body and no form: a form's files above 1 MB would pass through a temporary file
        data = await _body(request)
        opened = await run_in_threadpool(pictures.open, data)
        return opened.as_row() | {"in_training": _in_training(model, opened.sha256)}

    @app.get("/api/pictures/{picture_id}.png")
    def png(picture_id: str) -> Response:
        return Response(_opened(pictures, picture_id).png(), media_type="image/png")

    @app.get("/api/pictures/{picture_id}/values")
    def values(picture_id: str) -> Response:
        values_HW = _opened(pictures, picture_id).values()
        return Response(values_HW.tobytes(), media_type="application/octet-stream")

    @app.post("/api/ask")
    def ask_about(body: AskBody) -> dict[str, Any]:
        opened = _opened(pictures, body.id)
        window = Window(**body.window.model_dump()) if body.window else None
        picture = opened.windowed(window)
        box = box_in(picture.frame, body.box) if body.box is not None else None
        with one_at_a_time:
            answer = ask(model, picture, box, index=index, top=body.top)
        return answer.as_row() | {
            "regions": [_shown(match, model) for match in answer.matches],
            "applied": picture.applied,
        }

    @app.post("/api/search")
    def search(body: SearchBody) -> dict[str, Any]:
        with one_at_a_time:
            matches = find(index, model, text=body.text, top=body.top)
        return {"regions": [_shown(match, model) for match in matches]}

    @app.get("/api/thumbnails/{number}.jpg")
    def thumbnail(number: int) -> Response:
        if not 0 <= number < len(index.entries):
            raise HTTPException(404, f"the index has no entry {number}")
        return Response(index.thumbnail(number), media_type="image/jpeg")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def _guard(app: FastAPI) -> None:
    """Refuse other hosts' names and other sites' requests; put HEADERS on every reply."""

    @app.middleware("http")
    async def guard(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        origin = request.headers.get("origin")
        reply: Response
        # a foreign name that resolves to loopback (DNS rebinding), or a page of another site
        if name not in LOOPBACK:
            reply = _failure(400, f"only {', '.join(LOOPBACK)} are served")
        elif origin is not None and origin != f"http://{host}":
            reply = _failure(403, "requests from other sites are refused")
        else:
            reply = await proceed(request)
        reply.headers.update(HEADERS)
        return reply


def _explain_failures(app: FastAPI) -> None:
    """Every failure becomes {"error": one sentence} that repeats nothing of what was sent."""

    @app.exception_handler(RegionmedError)
    async def explained(request: Request, error: RegionmedError) -> Response:
        return _failure(400, str(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _failure(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        fields = {".".join(str(part) for part in e["loc"][1:]): e["msg"] for e in error.errors()}
        said = "; ".join(f"{name or 'the body'}: {message}" for name, message in fields.items())
        return _failure(422, f"the request does not fit: {said}")


def _failure(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)


async def _body(request: Request) -> bytes:
    """The posted bytes; refused while they arrive once they are more than LARGEST."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > LARGEST:
            raise HTTPException(413, f"the file is larger than {LARGEST // 2**20} MiB")
    return bytes(received)


def _opened(pictures: OpenPictures, picture_id: str) -> OpenPicture:
    opened = pictures.get(picture_id)
    if opened is None:
        raise HTTPException(404, "this picture is no longer in memory; open its file again")
    return opened


def _shown(match: Match, model: RegionClip) -> dict[str, Any]:
    """A match with what the page needs beside it: entry numbers, the thumbnail's window."""
    entry = match.entry
    return match.as_row() | {
        "number": entry.number,
        "picture": entry.picture,
        "sha256": entry.sha256,
        "in_training": _in_training(model, entry.sha256),
        "view": list(view(entry.box).edges) if entry.box else None,
    }


def _in_training(model: RegionClip, sha256: str | None) -> bool | None:
    """Whether the checkpoint was trained on this very picture; None where nobody knows."""
    if model.training_pictures is None or sha256 is None:
        return None
    return sha256 in model.training_pictures


def _status(model: RegionClip, index: Index) -> dict[str, Any]:
    counts = {key: index.manifest[key] for key in ("pictures", "regions", "sentences")}
    trained = model.training_pictures
    return {
        "version": version("regionmed"),
        "model": {
            "name": Path(model.name).name,  # of a path its last part: the rest may name a person
            "stage": model.stage,
            "fingerprint": model.fingerprint,
            "training_pictures": None if trained is None else len(trained),
        },
        "index": {
            "name": index.folder.resolve().name,
            "corpora": [c["name"] for c in index.manifest["corpora"]],
            "certainty": index.certainty.as_json(),
        }
        | counts,
    }
