"""First jobs of fresh clusters: each must find every module of the package that was uploaded with it.

    python -m tests.benchmarks.bench_first_jobs [clusters]

A cluster of two nodes is started on this machine, one job is submitted as `dfray submit` does, and the
cluster is ended; so many times. Four tasks of the job, spread over both nodes, look up every module that the
package holds, and then its driver imports `dfray.training.launch`. Ray unpacks a package anew on each node:
while the nodes of cluster/local.sh shared a folder, the second removed the one that the driver ran in.

Asked for: no job fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from dfray.jobs.client import JobClient
from dfray.jobs.submission import JobRequest, prepare
from tests.benchmarks.measure import holds
from tests.helpers.cluster import LocalCluster, local_cluster
from tests.helpers.toy import toy_recipe

PROBE = """
import sys
from pathlib import Path

import ray

PACKAGE = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    for file in (PACKAGE / "dfray").rglob("*.py")
    if file.name != "__init__.py"
)


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def elsewhere(names):
    import importlib.util

    specs = {name: importlib.util.find_spec(name) for name in names}
    return [name for name, spec in specs.items() if "working_dir_files" not in getattr(spec, "origin", "")]


ray.init(log_to_driver=False)
missing = ray.get([elsewhere.remote(MODULES) for _ in range(4)])
import dfray.training.launch

assert "working_dir_files" in dfray.training.launch.__file__, dfray.training.launch.__file__
assert len(MODULES) == int(sys.argv[1]), f"{len(MODULES)} modules were unpacked"
assert not any(missing), missing
"""


def first_job(cluster: LocalCluster, folder: Path) -> str:
    """Submit the job and wait for its end; return its output if it failed, or else nothing."""
    request = JobRequest("train", toy_recipe(folder, "toy"), [], folder, [])
    submission = prepare(request, same_machine=True)
    files = submission.package.files | {"jobs/probe.py": PROBE.encode()}
    names = [name for name in files if name.startswith("dfray/") and name.endswith(".py")]
    count = sum(not name.endswith("/__init__.py") for name in names)
    package = replace(submission.package, files=files)
    entrypoint = f"exec {sys.executable} jobs/probe.py {count}"
    client = JobClient(cluster.jobs_url)
    client.submit(replace(submission, package=package, entrypoint=entrypoint))
    job = client.follow(submission.job_id, lambda _: None)
    return "" if job.state == "SUCCEEDED" else client.logs(job.id) or str(job)


def fresh_cluster() -> str:
    """Return what the first job of a fresh cluster printed if it failed, or else nothing."""
    with tempfile.TemporaryDirectory(prefix="df-") as folder:
        uploaded = Path(folder, "uploaded")
        uploaded.mkdir()
        with (
            local_cluster(Path(folder, "state"), 2, CPUS="2") as cluster,
            patch.dict(os.environ, cluster.environment()),
        ):
            return first_job(cluster, uploaded)


def main(count: int) -> int:
    """Start the clusters one after the other; return 1 if a job failed."""
    failed = 0
    for number in range(1, count + 1):
        output = fresh_cluster()
        failed += bool(output)
        print(
            f"{number}: {output or 'all modules found'}; load {os.getloadavg()[0]:.1f}", flush=True
        )
    return 0 if holds(f"failed first jobs of {count} fresh clusters", failed, at_most=0) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 50))
