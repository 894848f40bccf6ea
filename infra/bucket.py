"""Makes the bucket, unless it is there, and has what is left of cut uploads removed after a week.

python infra/bucket.py s3://NAME

A process that is killed in the middle of a large upload leaves parts that no listing shows and that are
paid for. The endpoint and the credentials are the environment's.
"""

from __future__ import annotations

import sys

import boto3

ABANDONED = {
    "ID": "parts of uploads that were cut off",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


def main(uri: str) -> None:
    name, client = uri.removeprefix("s3://"), boto3.client("s3")
    if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=name)
    client.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [ABANDONED]}
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
