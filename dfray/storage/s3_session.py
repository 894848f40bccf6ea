"""HTTP session of the S3 client in which every request has a time limit.

aiohttp's read timeout begins once a request is written. An upload to a store that takes connections and then
stands still is never written to its end (botocore waits to be told to continue), and would hang for ever.
So a request has as long as its body takes on a slow line; then it counts as broken, and is tried again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import ReadTimeoutError

if TYPE_CHECKING:
    from aiobotocore.awsrequest import AioAWSResponse
    from botocore.awsrequest import AWSPreparedRequest

PATIENCE_S = 30.0
"""For the answer's head; its body has the client's read timeout."""
SLOWEST_BYTES_PER_S = 250e3
_LENGTHS = ("Content-Length", "X-Amz-Decoded-Content-Length")  # the latter of a body sent in chunks


class BoundedSession(AIOHTTPSession):
    """HTTP session with a limit per request; part of the client's settings, so it crosses Ray's processes."""

    async def send(self, request: AWSPreparedRequest) -> AioAWSResponse:
        body_bytes = max(int(request.headers.get(name, 0)) for name in _LENGTHS)
        limit_s = PATIENCE_S + body_bytes / SLOWEST_BYTES_PER_S
        try:
            return await asyncio.wait_for(super().send(request), limit_s)
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
