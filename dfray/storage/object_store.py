"""S3 filesystem in which every path is a bucket and a key, literally."""

from __future__ import annotations

import os
from email.utils import parsedate_to_datetime
from typing import Any

from s3fs import S3FileSystem
from s3fs.core import _error_wrapper

from dfray.storage.filesystems import ATTEMPTS
from dfray.storage.s3_session import BoundedSession


class ObjectStore(S3FileSystem):
    """S3 filesystem whose keys may hold `?versionId=`, which s3fs cuts off."""

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return (bucket, key, no version) of `bucket/key`, with or without s3://."""
        bucket, key = self._find_bucket_key(path.removeprefix("s3://").lstrip("/"))
        return bucket, key, None

    async def _cat_file(
        self,
        path: str,
        version_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        **options: Any,
    ) -> bytes:
        """Return the bytes of `path` from `start` to `end`; with `if_match` only if that is its ETag."""
        if if_match is None or start is None or end is None:
            return bytes(await super()._cat_file(path, version_id, start, end, **options))
        bucket, key, _ = self.split_path(path)
        place = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{end - 1}"}

        async def read() -> bytes:
            answer = await self._call_s3("get_object", **place, IfMatch=if_match)
            async with answer["Body"] as body:
                return bytes(await body.read())

        return bytes(await _error_wrapper(read, retries=self.retries))

    async def _read_tagged(self, path: str) -> tuple[bytes, str, float]:
        """Return the bytes of `path`, their ETag, and their age in seconds by the clock of the store."""
        bucket, key, _ = self.split_path(path)

        async def read() -> tuple[bytes, str, float]:
            answer = await self._call_s3("get_object", Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                data = bytes(await body.read())
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            return data, str(answer["ETag"]), (now - answer["LastModified"]).total_seconds()

        data, tag, age_s = await _error_wrapper(read, retries=self.retries)
        return data, tag, age_s


def object_store() -> ObjectStore:
    """Return the filesystem of the S3 endpoint and credentials of the environment."""
    tries = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
    retries = {"mode": "standard", "total_max_attempts": tries}
    settings = {"retries": retries, "http_session_cls": BoundedSession}
    # Listings are not cached: other processes write while we look.
    return ObjectStore(use_listings_cache=False, config_kwargs=settings)
