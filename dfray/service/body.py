"""Body of `POST /score`: a form with a file (RFC 7578), read as it comes, or JSON that names a place."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from dfray import storage
from dfray.service.refusal import Refusal
from dfray.service.settings import ServiceSettings
from dfray.service.upload import Place, Upload, UploadWriter, require_media, too_large
from dfray.serving.admission import NotAdmittedError

FORM, JSON = "multipart/form-data", "application/json"
ROOM_BYTES = 64 * 1024
"""Most bytes of a form beside its file, and of JSON."""
_PARTS, _BUFFER_BYTES = 8, 4 * 2**20
_FIELD = "file"


async def read_source(request: Request, settings: ServiceSettings) -> Upload | Place:
    """Return what a request asks to score.

    Raises:
        Refusal: 413, 415 or 422 of the body; 403 of a place that is not opened.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    content_type = content_type.lower()  # RFC 9110, 8.3.1
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > settings.max_bytes + ROOM_BYTES:
        raise too_large(settings.max_bytes)
    try:
        if content_type == FORM and options.get("boundary"):
            return await _read_form(request, options["boundary"], settings.max_bytes)
        if content_type == JSON:
            return _named_place(await _read_json(request), settings)
    except ClientDisconnect as error:
        raise Refusal(400, "The upload broke off.") from error
    raise Refusal(
        415,
        f'Send a form with the file, `curl -F {_FIELD}=@clip.mp4`, or JSON {{"uri": "s3://…"}}.',
    )


async def _read_form(request: Request, boundary: str, max_bytes: int) -> Upload:
    decoder = MultipartDecoder(boundary.encode(), _BUFFER_BYTES, max_parts=_PARTS)
    form = _Form(max_bytes)
    try:
        async for data in request.stream():
            decoder.receive_data(data or None)
            while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                await form.take(event)
    except RequestEntityTooLarge as error:
        raise Refusal(413, f"The form has more than the field `{_FIELD}`.") from error
    except ValueError as error:
        raise Refusal(422, "The form is damaged or broke off.") from error
    return await form.upload()


class _Form:
    """The file of a form, from the events of its decoder."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._writer: UploadWriter | None = None
        self._upload: Upload | None = None

    async def take(self, event: Any) -> None:
        if isinstance(event, File | Field):
            await self._begin(event)
        elif isinstance(event, Data) and self._writer is not None:
            await self._writer.write(event.data)
            if not event.more_data:
                self._upload, self._writer = await self._writer.finished(), None

    async def _begin(self, event: File | Field) -> None:
        if event.name != _FIELD:
            return
        if self._upload is not None:
            raise Refusal(422, f"The form has two fields `{_FIELD}`. Send one file a request.")
        name = (event.filename or "") if isinstance(event, File) else ""
        require_media(name)
        self._writer = UploadWriter(name.replace("\\", "/").rpartition("/")[2], self._max_bytes)

    async def upload(self) -> Upload:
        if self._upload is None:
            raise Refusal(422, f"The form has no whole file in the field `{_FIELD}`.")
        return self._upload


async def _read_json(request: Request) -> Any:
    content = bytearray()
    async for data in request.stream():
        content += data
        if len(content) > ROOM_BYTES:
            raise Refusal(413, f"The JSON is larger than {ROOM_BYTES // 1024} KiB.")
    try:
        return json.loads(bytes(content))
    except (ValueError, RecursionError) as error:
        raise Refusal(422, "The body is no JSON.") from error


def _named_place(value: Any, settings: ServiceSettings) -> Place:
    uri = value.get("uri") if isinstance(value, dict) and value.keys() == {"uri"} else None
    if not isinstance(uri, str) or not uri:
        raise Refusal(422, 'The JSON has another form than {"uri": "s3://bucket/clip.mp4"}.')
    refusal = Refusal(403, "The service does not open this place. Send it, or ask its operator.")
    if storage.is_remote(uri) and {".", ".."} & set(unquote(uri).split("/")):
        raise refusal
    try:
        uri.encode()  # JSON may hold half of a surrogate pair, which no answer can repeat
        place = settings.admission.place_of(uri)
    except (NotAdmittedError, OSError, ValueError) as error:  # such as of a name with a null byte
        raise refusal from error
    require_media(place)
    return Place(uri, place)
