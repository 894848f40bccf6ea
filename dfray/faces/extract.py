"""Face extraction as a Ray Data stage: a manifest in, faces out, on a pool of CPU actors.

One function serves both uses. `emit="summaries"` writes shards and hands on one row a video;
`emit="faces"` writes the same shards and hands the crops on as they are found, so that trainers start
before extraction ends. Ray Data runs its plan anew at every epoch and after every lost worker: a shard
that is committed by then is read back instead of being extracted twice.

Each actor lets a child process decode and detect (`dfray.faces.supervise`), because a file that
crashes or hangs a native decoder must cost that file: Ray would restart the actor on it for ever.

A task that Ray runs again must hand on the same blocks as before, as Ray drops those it has passed on
already. So rows are cut into blocks in one place, whether they were just found or read back.
"""

from __future__ import annotations

import itertools
import math
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from dfray.config import FacesSection
from dfray.errors import DfrayError, ExtractionError, explain, first_line
from dfray.faces.prints import Prints
from dfray.faces.rows import face_rows, lost_row, outcome_row, summary_row
from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shard_plan import ShardPlan, expected_faces, plan_shards
from dfray.faces.shard_writer import ShardWriter
from dfray.faces.shards import ROW_GROUP, FacesStore, described
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import VideoEnd
from dfray.faces.view import FacesView
from dfray.tables import FACES, SUMMARIES, Row, TableSpec

if TYPE_CHECKING:
    import ray.data
    from ray.actor import ActorHandle

Emit = Literal["summaries", "faces"]
BuildExtractor = Callable[[FacesSection], SupervisedExtractor]

BLOCK_BYTES = 16 * 2**20
"""Size of the blocks handed on. Ray Data's 128 MiB would reach a trainer late, and fill the object store
with a few of them for every actor."""


def extract_faces(
    videos: pa.Table,
    out: str,
    settings: FacesSection,
    *,
    emit: Emit = "summaries",
    workers: int = 1,
    seed: int = 0,
    progress: ActorHandle | None = None,
    on: Mapping[str, str] | None = None,
    build_extractor: BuildExtractor = SupervisedExtractor,
) -> ray.data.Dataset:
    """Extract the faces of `videos` into the store at `out`; lazy, as all of Ray Data.

    Args:
        videos: VIDEOS; with `emit="faces"` a `quota` column (int32) states how many faces of each
            video are handed on, spread evenly in time (all of them are written).
        out: URI of the faces store. What is committed there is not extracted again.
        workers: actors, one CPU each.
        seed: of the random order of the videos.
        progress: an actor with `add(counts: dict)`, called after every video.
        on: labels of the nodes that extract; default: all nodes.
        build_extractor: makes what finds the faces, in each actor.

    Returns:
        A dataset of SUMMARIES (of the videos not yet committed) or of FACES.

    Raises:
        UserError: the store was made with other settings, or lacks faces and is of another version.
    """
    import ray.data

    store = FacesStore(out)
    store.claim(settings)
    stored = FacesView(out, videos).summaries()
    pending, committed = plan_shards(videos, settings, stored, workers=workers, seed=seed)
    if pending:
        store.require_current_version(
            [name for plan in pending for name in plan.videos["video_id"].to_pylist()]
        )
    plans = pending + committed if emit == "faces" else pending
    if not plans:
        return ray.data.from_arrow(_handed_on(emit).schema.empty_table())
    tasks = ray.data.from_items([_packed(plan) for plan in plans], override_num_blocks=len(plans))
    tasks.context.target_max_block_size = BLOCK_BYTES
    return tasks.map_batches(
        ShardExtractor,
        batch_size=None,
        batch_format="pyarrow",
        fn_constructor_args=(store, settings, emit, progress, build_extractor),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(plans))),
        num_cpus=1,
        **({"label_selector": dict(on)} if on else {}),
    )


def write_faces(videos: pa.Table, out: str, settings: FacesSection, **options: Any) -> None:
    """Run `extract_faces` to its end, for the shards that it writes.

    Args:
        options: of `extract_faces`.

    Raises:
        UserError: the store was made with other settings.
        StorageError: the store cannot be written; finished shards are kept.
        ExtractionError: the extraction as a whole failed; the message has the cause.
    """
    dataset = extract_faces(videos, out, settings, **options)
    try:
        for _ in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
            pass
    except Exception as error:
        hint = (
            "Finished shards are kept: run it again to go on, with --verbose to see Ray's output."
        )
        raise explain(error, ExtractionError, "The extraction failed", hint) from error


def _handed_on(emit: Emit) -> TableSpec:
    return FACES if emit == "faces" else SUMMARIES


def _packed(plan: ShardPlan) -> dict[str, Any]:
    """Return a plan as the row that Ray Data hands to an actor.

    Ray Data would first send tables to workers, which load all of it and pandas to count their rows.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plan.videos.schema) as stream:
        stream.write_table(plan.videos)
    return {"shard": plan.shard, "videos": sink.getvalue().to_pybytes()}


class ShardExtractor:
    """Ray actor that extracts the videos of one shard after the other."""

    def __init__(
        self,
        store: FacesStore,
        settings: FacesSection,
        emit: Emit,
        progress: ActorHandle | None = None,
        build_extractor: BuildExtractor = SupervisedExtractor,
    ) -> None:
        self.store, self.settings, self.emit, self.progress = store, settings, emit, progress
        self._build_extractor = build_extractor
        self._extractor: SupervisedExtractor | None = None

    def __call__(self, tasks: pa.Table) -> Iterator[pa.Table]:
        """Yield the tables of `extract` for each task, a row that `_packed` made."""
        for task in tasks.to_pylist():
            yield from self.extract(task["shard"], pa.ipc.open_stream(task["videos"]).read_all())

    def extract(self, shard: str, videos: pa.Table) -> Iterator[pa.Table]:
        """Yield FACES or SUMMARIES of one shard's videos, in tables of ROW_GROUP rows.

        Args:
            videos: VIDEOS, with a `quota` column if faces are handed on.
        """
        rows = self._shard(shard, videos)
        while block := list(itertools.islice(rows, ROW_GROUP)):
            yield _handed_on(self.emit).from_rows(block)

    def close(self) -> None:
        if self._extractor is not None:
            self._extractor.close()
            self._extractor = None

    def _shard(self, shard: str, videos: pa.Table) -> Iterator[Row]:
        """Read back the committed parts of the shard, and extract the rest into new ones."""
        number = 0
        while self.store.is_committed(f"{shard}.{number}"):
            summaries = self.store.shard_summaries(f"{shard}.{number}")
            is_done = pc.is_in(videos["video_id"], summaries["video_id"])
            yield from self._read_back(f"{shard}.{number}", summaries, videos.filter(is_done))
            videos = videos.filter(pc.invert(is_done))
            number += 1
        pending = _with_expected(videos, self.settings)
        for first in pending:
            with ShardWriter(self.store, f"{shard}.{number}", self.settings) as writer:
                yield from self._fill(writer, itertools.chain([first], pending))
                summaries = writer.commit()
            if self.emit == "summaries":
                yield from summaries.to_pylist()
            number += 1

    def _fill(self, writer: ShardWriter, videos: Iterator[tuple[Row, int]]) -> Iterator[Row]:
        """Extract one video after the other, until the part is full or none is left."""
        for video, expected in videos:
            try:
                yield from self._video(video, expected, writer)
            except Exception as error:
                raise _in_video(video, error) from error
            if writer.size_bytes >= 2 * self.settings.shard_mb * 2**20:
                return

    def _video(self, video: Row, expected: int, writer: ShardWriter) -> Iterator[Row]:
        """Write everything about one video; yield the face rows to hand on."""
        self._extractor = self._extractor or self._build_extractor(self.settings)
        first_row, counts, prints = writer.rows, Counter[str](), Prints()
        allowance = Allowance(video["quota"] if self.emit == "faces" else 0, expected)
        for item in self._extractor.extract(video["uri"], video["kind"], video["stride"]):
            if isinstance(item, VideoEnd):
                summary = self._finish(video, item, counts, writer)
                placed = {"shard": writer.shard, "first_row": first_row}
                writer.add_summary(summary | prints.columns() | placed)
                continue
            counts["frames"] += 1
            counts[item.outcome] += 1
            counts["doubtful"] += item.n_doubtful > 0
            writer.add_outcome(outcome_row(video, item))
            prints.add(item)
            for row in face_rows(video, item, self.settings):
                writer.add_face(row)
                counts["rows"] += 1
                counts["landmarks"] += row["landmarks"] is not None
                if allowance.take(item.frame_index):
                    yield row

    def _finish(self, video: Row, end: VideoEnd, counts: Counter[str], writer: ShardWriter) -> Row:
        """Return the summary of a video, after the outcome of the frame that it was lost on."""
        if end.status in ("crashed", "timed_out"):
            writer.add_outcome(lost_row(video, counts["frames"], end.reason))
            counts["frames"] += 1
            counts["decode_error"] += 1
        self._report(
            {"videos": 1, "frames": counts["frames"], "faces": counts["rows"], end.status: 1}
        )
        return summary_row(video, end, counts, self.settings.landmarks)

    def _read_back(self, shard: str, summaries: pa.Table, videos: pa.Table) -> Iterator[Row]:
        """Hand on the rows of `videos` in a committed shard, under the same quotas."""
        summaries = summaries.filter(pc.is_in(summaries["video_id"], videos["video_id"]))
        n_faces = pc.sum(summaries["n_faces"]).as_py() or 0
        self._report({"videos": videos.num_rows, "faces": n_faces})
        if self.emit == "summaries":
            yield from summaries.to_pylist()
            return
        allowances = {
            video["video_id"]: Allowance(video["quota"], expected)
            for video, expected in _with_expected(videos, self.settings)
        }
        if n_faces == 0 or not any(allowance.quota for allowance in allowances.values()):
            return
        for group in iter_row_groups(self.store.shard_uri(shard)):
            keys = zip(group["video_id"].to_pylist(), group["frame_index"].to_pylist(), strict=True)
            is_passed = [video in allowances and allowances[video].take(k) for video, k in keys]
            yield from described(group.filter(pa.array(is_passed)), videos).to_pylist()

    def _report(self, counts: dict[str, int]) -> None:
        if self.progress is not None:
            self.progress.add.remote(counts)


def _with_expected(videos: pa.Table, settings: FacesSection) -> Iterator[tuple[Row, int]]:
    """Return the rows of VIDEOS, each with the faces to expect of it."""
    expected = expected_faces(videos, settings).tolist()
    return iter(list(zip(videos.to_pylist(), expected, strict=True)))


class Allowance:
    """Quota that lets `quota` faces of a video pass, spread evenly over the frames expected of it.

    After frame k as many have passed as the share of k + 1 in the frames allows, so frames without a
    face are made up for later and no more than `quota` ever pass.
    """

    def __init__(self, quota: int, expected: int) -> None:
        self.quota, self.expected, self.passed = quota, expected, 0

    def take(self, frame_index: int) -> bool:
        allowed = min(self.quota, math.ceil(self.quota * (frame_index + 1) / self.expected))
        if self.passed >= allowed:
            return False
        self.passed += 1
        return True


def _in_video(video: Row, error: Exception) -> DfrayError:
    """Return the error that ends the extraction, with the video it was on; broken videos raise none."""
    place = f"{video['video_id']}, on {platform.node()}"
    if isinstance(error, DfrayError):
        return error.at(place)
    return ExtractionError(f"{place}: {first_line(error)}.")
