"""The service under a bounded load on loopback: its cost, its replicas, its times, and hostile files.

    python -m tests.benchmarks.bench_serve

`dfray serve` as a process of its own, with the clips and the network of bench_score; clients are in this
process, and their CPU time is not counted. Start and first requests are apart.

Cost: CPU time of a request by one replica, one at a time, against the plain function, a loop over
`MediaScorer`, in turn with it; medians of the rounds. What Ray's processes spend without any request,
measured before, is printed and not counted as a request's. Speed: six clients at once, whose requests share
batches. At half load a clip is sent every two service times, at random moments (exponential gaps), whatever
was answered. Hostile: 200 damaged files of many formats, drawn anew.

Asked for: CPU time of a request at most 1.2 of the plain function's; two replicas at least 1.4 times as fast
as one, if two cores are free (the load of the machine is printed); no replica lost of hostile files.
"""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import requests
import torch

from dfray.config import ModelSection
from dfray.serving.inputs import MediaInput
from dfray.serving.score_files import ModelFolder, Workers, score_media
from tests.benchmarks.bench_score import MODEL, model_folder
from tests.benchmarks.measure import holds
from tests.helpers.hostile import damaged, originals
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.service import register_tiny
from tests.helpers.tiny import portrait, write_clip

REQUESTS, HOSTILE, AT_HALF_LOAD, CLIENTS = 100, 200, 60, 6
LENGTHS_S, ROUNDS, PER_ROUND, IDLE_S = (4, 12), 5, 10, 5.0
CPU_BOUND, SPEED_BOUND = 1.2, 1.4
TOKEN = "a token of the benchmark"


def main() -> int:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ModelFolder(model_folder(folder), MODEL)
        clips = {
            length: write_clip(folder / f"{length}.mp4", portrait(), seconds=length)
            for length in LENGTHS_S
        }
        contents = [clips[LENGTHS_S[0]].read_bytes()] * REQUESTS
        uri = f"sqlite:///{folder}/mlflow.db"
        network = ModelSection(backbone="resnet10t", size_px=112)
        register_tiny(folder / "registered", uri, "benchmark", network=network)
        with served(folder, uri, 1) as one:
            costs = {length: cost(one, model, clip) for length, clip in clips.items()}
            single_s = loaded(one, contents)
            half_load(one, contents, single_s)
        with served(folder, uri, 2) as two:
            double_s = loaded(two, contents)
            lost = hostile(two, folder)
    kept = [
        *(
            holds(
                f"CPU of a request of {length} s, of the plain function's", found, at_most=CPU_BOUND
            )
            for length, found in costs.items()
        ),
        holds("two replicas' speed over one's", single_s / double_s, at_least=SPEED_BOUND),
        holds("replicas lost of hostile files", lost, at_most=0),
    ]
    return 0 if all(kept) else 1


@dataclass(frozen=True)
class Served:
    """A running command."""

    url: str
    process: subprocess.Popen[str]
    replicas: int

    def score(self, content: bytes, name: str = "clip.mp4") -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        files = {"file": (name, content)}
        return requests.post(f"{self.url}/score", files=files, headers=headers, timeout=300)

    def replica_pids(self) -> set[int]:
        found = ray_processes("ray::ServeReplica:dfray", of=self.process.pid)
        return {process.pid for process in found}

    def cpu_s(self) -> float:
        """CPU time of the command and of all that it started and that lives."""
        me, total = psutil.Process(self.process.pid), 0.0
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
                total += times.user + times.system
            except psutil.Error:
                continue
        return total


@contextmanager
def served(folder: Path, tracking_uri: str, replicas: int) -> Iterator[Served]:
    """Run the command until the block ends."""
    command = [sys.executable, "-m", "dfray.cli", "serve", "--tracking-uri", tracking_uri]
    command += ["--port", "0", "--replicas", str(replicas), "--queue", "64"]
    environment = os.environ | {"DFRAY_SERVE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = Served(first.split()[-1], process, replicas)
            assert found.url.startswith("http://"), first
            print(f"{replicas} replica(s): start {time.perf_counter() - begun:.1f} s", flush=True)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def cost(service: Served, model: ModelFolder, clip: Path) -> float:
    """Return the CPU time of a request over that of the plain function, in turn with it."""
    content, inputs = clip.read_bytes(), itertools.repeat(MediaInput(str(clip)))
    alone = score_media(model, inputs, Workers(1))
    idle, plain, asked = idle_share(service), list[float](), list[float]()
    for number in range(ROUNDS + 1):
        before = own_cpu_s(service)
        for _ in range(PER_ROUND):
            next(alone)
        plain.append(own_cpu_s(service) - before)
        spent, begun = service.cpu_s(), time.perf_counter()
        for _ in range(PER_ROUND):
            service.score(content)
        asked.append(service.cpu_s() - spent - idle * (time.perf_counter() - begun))
        if not number:  # to warm up
            plain.clear()
            asked.clear()
    per_call, per_request = (statistics.median(spent) / PER_ROUND for spent in (plain, asked))
    print(
        f"{clip.name}: a call {per_call:.3f} CPU-s, a request {per_request:.3f}; without any "
        f"{idle:.3f} CPU-s a second; the machine's load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return per_request / per_call


def own_cpu_s(service: Served) -> float:
    """Return the CPU time of this process and of the child that decodes for it."""
    children = [c for c in psutil.Process().children() if c.pid != service.process.pid]
    times = [child.cpu_times() for child in children]
    return time.process_time() + sum(spent.user + spent.system for spent in times)


def loaded(service: Served, contents: list[bytes]) -> float:
    """Send all clips, some at once; return the wall time of a request, after some to warm up.

    Its CPU time is printed: higher than of one at a time, as reading and the network then share caches.
    """
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(service.score, contents[: 2 * CLIENTS]))
        idle = idle_share(service)
        spent, begun = service.cpu_s(), time.perf_counter()
        answers = list(pool.map(service.score, contents))
        wall_s = time.perf_counter() - begun
    cpu_s = service.cpu_s() - spent - idle * wall_s
    statuses = Counter(answer.status_code for answer in answers)
    print(
        f"{service.replicas} replica(s), {CLIENTS} clients: a request {wall_s / len(contents):.3f} s, "
        f"{cpu_s / len(contents):.3f} CPU-s; answers {dict(statuses)}; the machine's load "
        f"{os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return wall_s / len(contents)


def idle_share(service: Served) -> float:
    """Return the CPU seconds that the service spends in a second without any request."""
    spent, begun = service.cpu_s(), time.perf_counter()
    time.sleep(IDLE_S)
    return (service.cpu_s() - spent) / (time.perf_counter() - begun)


def half_load(service: Served, contents: list[bytes], service_s: float) -> None:
    """Print quantiles of the times of answers at half of what the service can do."""
    gaps = np.random.default_rng(0).exponential(2 * service_s, AT_HALF_LOAD)

    def timed(content: bytes) -> float:
        begun = time.perf_counter()
        assert service.score(content).status_code == 200
        return time.perf_counter() - begun

    with ThreadPoolExecutor(AT_HALF_LOAD) as pool:
        answers = []
        for gap, content in zip(gaps, contents, strict=False):
            time.sleep(gap)
            answers.append(pool.submit(timed, content))
        times = sorted(answer.result() for answer in answers)
    p50, p95 = statistics.median(times), times[int(0.95 * len(times))]
    print(f"half load: p50 {p50:.2f} s, p95 {p95:.2f} s, of {len(times)} requests", flush=True)


def hostile(service: Served, folder: Path) -> int:
    """Send damaged files; print the answers, and return how many replicas were lost."""
    rng = np.random.default_rng()
    sound = originals(folder)
    names = list(sound)
    files = [(name, damaged(sound[name], rng)) for name in rng.choice(names, HOSTILE).tolist()]
    before = service.replica_pids()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda file: service.score(file[1], file[0]), files))
    statuses = Counter(answer.status_code for answer in answers)
    after = service.replica_pids()
    print(f"hostile: answers {dict(statuses)} of {HOSTILE} files", flush=True)
    wait_for(lambda: service.score(sound["h264.mp4"], "h264.mp4").status_code == 200)
    return len(before - after)


if __name__ == "__main__":
    sys.exit(main())
