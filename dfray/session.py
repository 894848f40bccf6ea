"""Ray session of all stages: connection or local start, CPU counts, errors of one line.

A local cluster may declare more logical CPUs than the machine has cores (the demo's does): Ray counts them
only to place actors. Ray waits without a message when a plan needs more CPUs than the cluster has, so
`require_resources` adds the plan up first.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from dfray import access, storage
from dfray.config import ClusterSection
from dfray.errors import ClusterError, ResourceError
from dfray.local_ray import local_ray, told_if_cut_off, watched
from dfray.notes import note
from dfray.ray_errors import await_late_errors, errors_kept, is_logged, keep_start_errors
from dfray.resources import Need, Node, lacking
from dfray.termination import interrupt_on_signals


@contextmanager
def session(cluster: ClusterSection, *, verbose: bool = False) -> Iterator[None]:
    """Connect to the running cluster at `address`, or start a local one that ends with the block.

    Without an `address` the environment's RAY_ADDRESS counts, which a submitted job has. A session that is
    already connected is used and left connected.

    Raises:
        ClusterError: the cluster does not answer, refuses the token, or runs another Ray.
        LocalRayError: a process of the local cluster died.
    """
    prepare_environment(verbose)
    if _is_connected():
        yield
        return
    require_cluster(cluster)
    address = cluster.address or _environment_address()
    access.use_token(own=address is None)
    import ray

    local_folder = storage.short_folder(os.environ.get("RAY_TMPDIR"))
    with nullcontext() if address else local_folder as folder, errors_kept(shown=verbose):
        options = {"address": address} if folder is None else _local_options(cluster, folder)
        _connect(options, verbose)
        try:
            with nullcontext() if address else watched(local_ray()):
                yield
        except Exception:
            await_late_errors()
            raise
        finally:
            ray.shutdown()


def _connect(options: Mapping[str, Any], verbose: bool) -> None:
    """Connect to a cluster, or start one.

    Args:
        options: of `ray.init`.

    Raises:
        ClusterError: as `session`.
    """
    import ray

    level = "INFO" if verbose else "ERROR"
    try:
        is_local = options["address"] == "local"
        with told_if_cut_off() if is_local else nullcontext(), _silenced(not verbose):
            ray.init(log_to_driver=verbose or is_logged(), logging_level=level, **options)
    except Exception as error:  # Ray raises that itself after half a minute, as on a busy machine
        keep_start_errors(options.get("_temp_dir"))
        raise _no_cluster(options["address"], error) from error
    quieten(verbose)
    interrupt_on_signals()


def _no_cluster(address: str, error: Exception) -> ClusterError:
    reason = str(error).strip().rstrip(".")
    if address == "local":
        return ClusterError(
            f"Ray does not start on this machine: {reason}.",
            "Run the same command again once the machine is less busy; `dfray doctor` looks at its memory "
            "and disks.",
        )
    return ClusterError(
        f"No Ray cluster answers at {address}: {reason}.",
        "Check cluster.address, the cluster's state and RAY_AUTH_TOKEN, or leave it empty.",
    )


def require_cluster(cluster: ClusterSection) -> None:
    """Check that the running cluster, if the recipe names one, accepts this client; stages check it first.

    Raises:
        ClusterError: as `session`.
    """
    address = cluster.address or _environment_address()
    if _is_connected() or address is None:
        return
    if _is_gcs(address):
        access.use_token(own=False)
        access.require_gcs(address)


def _is_gcs(address: str) -> bool:
    """Return True for host:port; else it is `auto`, or a URL of Ray's client."""
    return "://" not in address and address.rpartition(":")[2].isdigit()


def _local_options(cluster: ClusterSection, folder: str) -> dict[str, Any]:
    """Return the options of `ray.init` that start a local cluster with its session in a folder."""
    options: dict[str, Any] = {
        "address": "local",
        "num_cpus": cluster.num_cpus,
        "_temp_dir": folder,
    }
    # Ray would start a worker for each CPU at once, one CPU second each; actors start processes of their own.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    os.environ.setdefault("RAY_enable_worker_prestart", "0")
    # Ray Train's process that watches for node preemption: a local cluster has one node.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    # Else Ray warns of every few processes more than the machine has cores.
    cores = os.cpu_count() or 1
    starts = max(cluster.num_cpus or cores, cores)
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(starts))
    if starts > cores:
        note(
            f"The local Ray declares {starts} logical CPUs on {cores} cores, so that trainers "
            "and extraction run side by side (cluster.num_cpus)."
        )
    if cluster.object_store_mb:
        options["object_store_memory"] = cluster.object_store_mb * 2**20
    return options


def _is_connected() -> bool:
    """Return whether Ray is connected, without importing Ray, which reads the environment on import."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def _environment_address() -> str | None:
    """Return RAY_ADDRESS, unless it asks for a local cluster or is a dashboard, which takes only jobs."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") or address.startswith("http") else address


def prepare_environment(verbose: bool) -> None:
    """Set the variables that Ray and its workers read at start, unless the environment has them."""
    defaults = {
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
        # Workers learn of a lost node before Ray does, and would wait a minute for its CPUs.
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "10",
        "RAY_BACKEND_LOG_LEVEL": "info" if verbose else "fatal",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "0" if verbose else "1",
        "PYTHONWARNINGS": "default" if verbose else "ignore",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


@contextmanager
def _silenced(silent: bool) -> Iterator[None]:
    """Send file descriptor 2 to /dev/null: Ray's C++ side writes to it while it starts."""
    if not silent:
        yield
        return
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def quieten(verbose: bool) -> None:
    """Turn off Ray's progress bars and log lines, unless `verbose`."""
    if verbose:
        return
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.train", "ray.tune", "ray._private"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it prints what it then raises


def nodes_of(labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the entries of `ray.nodes()` that are alive and have the labels."""
    import ray
    from ray._raylet import node_labels_match_selector  # type: ignore[attr-defined]

    selector = dict(labels or {})
    return [
        node
        for node in ray.nodes()
        if node["Alive"] and node_labels_match_selector(node["Labels"], selector)
    ]


def cpus_of(*places: Mapping[str, str] | None) -> float:
    """Count the logical CPUs of the nodes that have the labels of one of the places; none: of all nodes."""
    nodes = {node["NodeID"]: node for place in places or [None] for node in nodes_of(place)}
    return float(sum(node["Resources"].get("CPU", 0) for node in nodes.values()))


def starts_cluster(cluster: ClusterSection) -> bool:
    """Return True if a session would start a local cluster, which gains no nodes."""
    return not _is_connected() and (cluster.address or _environment_address()) is None


def expected_nodes(cluster: ClusterSection) -> list[Node] | None:
    """Return the nodes that a session would have, without starting one; None: they cannot be told.

    Raises:
        ClusterError: the running cluster does not answer.
    """
    if _is_connected():
        return ray_nodes()
    address = cluster.address or _environment_address()
    if address is None:
        return [local_node(cluster)]
    return access.gcs_nodes(address) if _is_gcs(address) else None


def local_node(cluster: ClusterSection) -> Node:
    """Return the node of the local cluster that a session would start."""
    from ray._private.accelerators import get_accelerator_manager_for_resource

    cpus = cluster.num_cpus or os.cpu_count() or 1
    manager = get_accelerator_manager_for_resource("GPU")
    gpus = manager.get_current_node_num_accelerators()
    visible = manager.get_current_process_visible_accelerator_ids()
    return Node({"CPU": cpus, "GPU": gpus if visible is None else min(gpus, len(visible))})


def ray_nodes() -> list[Node]:
    """Return the living nodes of the cluster that Ray is connected to."""
    return [Node(node["Resources"], node["Labels"]) for node in nodes_of()]


def require_resources(needs: Sequence[Need], *, wait_s: float = 0) -> None:
    """Check that the connected cluster has the CPUs and GPUs that processes need all at once.

    Args:
        wait_s: seconds to wait for nodes that an autoscaler has yet to start.

    Raises:
        ResourceError: it has fewer; the message has the sum.
    """
    import gc

    gc.collect()  # the actors of a plan that failed keep their CPUs until they are collected
    sentence = lacking(needs, ray_nodes())
    if sentence and wait_s:
        note(f"{sentence} Waiting up to {wait_s:g} s for nodes.")
        sentence = _awaited(needs, wait_s)
    if sentence:
        raise no_room(sentence)


def no_room(sentence: str) -> ResourceError:
    """Return the error of a plan that the cluster lacks nodes for, as `dfray.resources.lacking` states it."""
    mend = (
        "Set training.use_gpu: false, lower training.num_workers, or add nodes with GPUs"
        if "GPU" in sentence
        else "Add nodes, lower training.num_workers or cluster.extract_workers, declare more logical "
        "CPUs on a local cluster (cluster.num_cpus)"
    )
    return ResourceError(
        f"{sentence} Ray would wait for ever.",
        f"{mend}, or wait for an autoscaler's nodes (cluster.wait_s).",
    )


def _awaited(needs: Sequence[Need], wait_s: float) -> str | None:
    """Wait for nodes, and return as `lacking` once all needs fit or the time is over.

    An autoscaler starts nodes for a placement group that does not fit. Unlike a request for resources the
    group ends with this process, and the nodes that were started for it end then, too.
    """
    import ray.util

    units = [unit for need in needs for unit in _units(need)]
    bundles, selectors = map(list, zip(*units, strict=True))
    demand = ray.util.placement_group(bundles, bundle_label_selector=selectors)
    end = time.monotonic() + wait_s
    try:
        while (sentence := lacking(needs, ray_nodes())) and time.monotonic() < end:
            time.sleep(1)
        return sentence
    finally:
        ray.util.remove_placement_group(demand)


def _units(need: Need) -> list[tuple[dict[str, float], dict[str, str]]]:
    """Return (resources, labels) of each process, for a placement group."""
    return [(need.each, dict(need.labels))] * need.count
