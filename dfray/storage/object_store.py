"""S3 filesystem in which every path is a bucket and a key, literally."""

from __future__ import annotations

import os

from s3fs import S3FileSystem

from dfray.storage.filesystems import ATTEMPTS
from dfray.storage.s3_session import BoundedSession


class ObjectStore(S3FileSystem):
    """S3 filesystem whose keys may hold `?versionId=`, which s3fs cuts off."""

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return (bucket, key, no version) of `bucket/key`, with or without s3://."""
        bucket, key = self._find_bucket_key(path.removeprefix("s3://").lstrip("/"))
        return bucket, key, None


def object_store() -> ObjectStore:
    """Return the filesystem of the S3 endpoint and credentials of the environment."""
    tries = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
    retries = {"mode": "standard", "total_max_attempts": tries}
    settings = {"retries": retries, "http_session_cls": BoundedSession}
    # Listings are not cached: other processes write while we look.
    return ObjectStore(use_listings_cache=False, config_kwargs=settings)
