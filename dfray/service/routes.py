"""Routes of the service, and what OpenAPI says of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

import dfray
from dfray.service.access import is_known, require_known
from dfray.service.body import FORM, JSON, read_source
from dfray.service.front import Front
from dfray.service.health import health_of
from dfray.service.page import service_page
from dfray.service.refusal import Refusal
from dfray.service.results import Job
from dfray.service.safe_headers import SafeHeaders

_ASYNC = "respond-async"
_REASON = {
    "content": {JSON: {"schema": {"type": "object", "properties": {"reason": {"type": "string"}}}}}
}
_REASONS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, or a wrong one", **_REASON},
    403: {"description": "A place that is not opened", **_REASON},
    413: {"description": "A file or form that is too large", **_REASON},
    415: {"description": "A body or file of a kind that is not scored", **_REASON},
    422: {"description": "A file that cannot be read, or a damaged form", **_REASON},
    429: {"description": "Too many requests are open; see Retry-After", **_REASON},
    503: {"description": "No model is loaded yet", **_REASON},
    504: {"description": "Not done within the time for a request", **_REASON},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            JSON: {
                "schema": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": {"uri": {"type": "string"}},
                }
            },
        },
    }
}

Report = Annotated[bool, Query(description="Make the page of the score, too.")]


def make_app(front: Front) -> FastAPI:
    """Return the application that answers for a front."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if front.champion.current is None:
            await front.champion.load()
        async with front.running():
            yield

    app = FastAPI(
        title="dfray",
        version=dfray.__version__,
        description="Probability that a video or picture is a deepfake, by the champion of a registry.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(HTTPException, _answer_unknown)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    _add_page(app, front)
    _add_scores(app, front)
    _add_state(app, front)

    app.add_middleware(SafeHeaders)
    return app


def _add_page(app: FastAPI, front: Front) -> None:
    page = service_page(front.settings)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(page.html, headers=page.headers)


def _known(front: Front) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that asks for the token."""

    async def check(request: Request) -> None:
        require_known(request.headers.get("authorization"), front.settings.token)

    return check


def _add_scores(app: FastAPI, front: Front) -> None:
    """Add what scores files and gives their results."""
    known = [Depends(_known(front)), Depends(HTTPBearer(auto_error=False))]

    @app.post("/score", dependencies=known, responses=_REASONS, openapi_extra=_BODY)
    async def score(request: Request, report: Report = False) -> Response:
        """Score a file of a form, or one that JSON names.

        Waits for the score, and ends the work if the client leaves. With the header `Prefer: respond-async`
        (RFC 7240) the answer is 202, and Location says where the result will be.
        """
        try:
            job = await _begun(request, front, with_page=report)
        except Refusal as refusal:
            front.measured.refuse(refusal.status)
            raise
        if _ASYNC in request.headers.get("prefer", ""):
            headers = {"Location": f"/result/{job.id}", "Preference-Applied": _ASYNC}
            return JSONResponse(job.document(), 202, headers)
        await _ended(request, job)
        return JSONResponse(job.document(), job.refusal.status if job.refusal else 200)

    @app.get(
        "/result/{job_id}",
        dependencies=known,
        responses={
            200: {"content": {"text/html": {"schema": {"type": "string"}}}},
            404: {"description": "No such result, or no page of it", **_REASON},
        },
    )
    async def result(request: Request, job_id: str) -> Response:
        """Return the state of a request, and its score or the reason why there is none.

        With `Accept: text/html` it is the page of the score, if the request asked for a report.
        """
        job = front.results.get(job_id)
        if not _wants_page(request):
            return JSONResponse(job.document())
        if job.page is None:
            raise Refusal(404, "This result has no page, or not yet. Ask for it with ?report=true.")
        return HTMLResponse(job.page)


async def _begun(request: Request, front: Front, *, with_page: bool) -> Job:
    """Read a request, and begin to score what it brings or names.

    Raises:
        Refusal: it is not admitted, or comes too slowly.
    """
    async with front.place() as place:
        try:
            async with asyncio.timeout(place.left_s()):
                source = await read_source(request, front.settings)
        except TimeoutError as error:
            raise Refusal(504, f"No whole file within {front.settings.timeout_s:g} s.") from error
        return front.begin(source, place, with_page=with_page)


async def _ended(request: Request, job: Job) -> None:
    """Wait until a job is over; it is ended if its client leaves, as nobody else knows its id."""
    assert job.work is not None
    left = asyncio.create_task(_left(request))
    try:
        await asyncio.wait([job.work, left], return_when=asyncio.FIRST_COMPLETED)
        if not job.work.done():
            job.work.cancel()
            await asyncio.wait([job.work])
    finally:
        left.cancel()


async def _left(request: Request) -> None:
    """Wait until the client leaves; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _add_state(app: FastAPI, front: Front) -> None:
    """Add what tells of the service itself."""

    @app.get("/health", responses={503: {"description": "Nothing can be scored"}})
    async def health(request: Request) -> Response:
        """Return the state of the service: ok, degraded or failed. With the token also what is behind it."""
        state = await health_of(front)
        in_full = is_known(request.headers.get("authorization"), front.settings.token)
        return JSONResponse(state.document(in_full=in_full), 503 if state.is_failed else 200)

    @app.get("/metrics", dependencies=[Depends(_known(front))])
    async def metrics() -> Response:
        """Return counts, times, the state of the model and its drift in Prometheus's text format."""
        text = front.measured.text(front.champion, front.n_open)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _answer_refusal(_: Request, refusal: Exception) -> Response:
    """Answer a refusal."""
    assert isinstance(refusal, Refusal)
    return _reasoned(refusal.status, refusal.reason, refusal.headers)


async def _answer_unknown(_: Request, error: Exception) -> Response:
    """Answer what no route takes."""
    assert isinstance(error, HTTPException)
    return _reasoned(error.status_code, f"{error.detail}.", error.headers)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """Answer a value of the query that is none it may have."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _reasoned(422, f"{first['loc'][-1]}: {first['msg']}.")


def _reasoned(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"status": status, "reason": reason}, status, headers)
