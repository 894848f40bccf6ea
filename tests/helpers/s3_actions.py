"""Which action of IAM an S3 request needs, by Amazon's table of actions for S3."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tests.helpers.proxy import Request


def action(request: Request) -> str:
    parts = urlsplit(request.target)
    key = parts.path.strip("/").partition("/")[2]
    query = parse_qs(parts.query, keep_blank_values=True)
    match request.method, bool(key):
        case "GET" | "HEAD", False:
            return "s3:ListBucket"
        case "GET" | "HEAD", True:
            return "s3:GetObject"
        case "PUT", True:
            return "s3:PutObject"
        case "POST", True if {"uploads", "uploadId"} & query.keys():
            return "s3:PutObject"
        case "DELETE", True:
            return "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
        case "POST", False if "delete" in query:
            return "s3:DeleteObject"
    raise AssertionError(f"{request} is none that a policy was written for")
