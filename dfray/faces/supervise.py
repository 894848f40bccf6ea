"""Extraction that survives broken videos: a child process does the work, under a time limit.

Native decoders crash and hang on some files, and Ray would restart an actor on such a file for ever. So
a video that ends its child, or from whose child nothing is heard for `stall_limit_s`, is tried again in
a fresh child, from the first frame not yet delivered, and given up after `attempts`. A child that ends
while it starts, such as by the kernel for want of memory, is one of the attempts.

The child decodes files of strangers, so it holds no credentials: remote files are read here. Files on disks
and mounts, which may hang, are looked at by the child alone.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import StorageError
from dfray.faces.child_process import ChildFailure, ChildProcess, StartFailure
from dfray.faces.messages import (
    Answer,
    ContentRead,
    FrameFound,
    RangesCopied,
    RangesNeeded,
    SourceDone,
    StreamRead,
    Task,
)
from dfray.faces.model_file import local_override
from dfray.faces.properties import StreamProperties
from dfray.faces.sources import (
    MAX_FILE_BYTES,
    LocalVideo,
    PartialVideo,
    Source,
    UnreadableSourceError,
    served_source,
)
from dfray.faces.video import Frame, Status, VideoEnd
from dfray.storage import PartialCopy, Range

RECYCLE_AFTER = 300
"""Videos after which a child is replaced by a fresh one, as MediaPipe leaks a little memory."""
MAX_REASONS = 3
"""Different reasons of its frames that the end of a video states; each frame has its own."""
_COMMAND = (sys.executable, "-P", "-m", "dfray.faces.child")


@dataclass(frozen=True)
class Bounds:
    """Bounds of one video.

    Attributes:
        file_bytes: size above which its file is neither opened nor fetched.
        time_s: time that all of it may take; none: as long as pictures come.
        length_s: length above which a video is refused, by its header or its pictures; none: of any length.
    """

    file_bytes: int = MAX_FILE_BYTES
    time_s: float | None = None
    length_s: float | None = None


class SupervisedExtractor:
    """Extractor that no video can end or stop: it runs a `VideoExtractor` in a child. Close it after use.

    Args:
        settings: the recipe's faces section.
        command: the child's program; it gets a file descriptor as its last argument.
        bounds: of each video; none: `Bounds()`.

    Raises:
        ModelFileError: the detector's model is missing, not the expected one, or cannot be loaded.
        StorageError: the URI that the recipe names for it cannot be read.
        ExtractionError: the child cannot be started.
    """

    def __init__(
        self,
        settings: FacesSection,
        command: Sequence[str] = _COMMAND,
        bounds: Bounds | None = None,
    ) -> None:
        if settings.detector_model and storage.is_remote(settings.detector_model):
            model = local_override(settings.detector, settings.detector_model)
            settings = settings.model_copy(update={"detector_model": model})
        self._settings, self._command = settings, command
        self._bounds = bounds or Bounds()
        self._child: ChildProcess | None = self._first_child()

    def extract(
        self, uri: str, kind: str = "video", stride: int = 1, thumbnail_px: int | None = None
    ) -> Generator[Frame | VideoEnd, None, None]:
        """Yield the sampled frames of the video at `uri` in order, none twice, and last a VideoEnd.

        Args:
            kind, stride: as in VIDEOS.
            thumbnail_px: as in `VideoExtractor.extract`.
        """
        try:
            with served_source(uri, kind, stride, self._bounds.file_bytes) as (source, copy):
                yield from self.extract_source(source, copy, thumbnail_px)
        except (StorageError, UnreadableSourceError) as error:
            yield VideoEnd("unreadable", str(error), 1, 0.0)

    def extract_source(
        self,
        source: Source | PartialVideo | LocalVideo,
        copy: PartialCopy | None = None,
        thumbnail_px: int | None = None,
    ) -> Generator[Frame | VideoEnd, None, None]:
        """Yield the sampled frames of `source` in order, none twice, and last a VideoEnd.

        Args:
            copy: of a PartialVideo, into which ranges are fetched: the child holds no credentials.
            thumbnail_px: as in `VideoExtractor.extract`.

        Raises:
            ExtractionError: no child started in any attempt.
        """
        outcome = _Outcome(self._bounds.time_s)
        for _ in range(self._settings.attempts):
            failure = yield from self._attempt(source, copy, outcome, thumbnail_px)
            if failure is None or failure.status == "unreadable" or outcome.left_s() <= 0:
                break
        if isinstance(failure, StartFailure) and not outcome.children:
            raise failure.error()
        yield outcome.end(failure)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _attempt(
        self,
        source: Source | PartialVideo | LocalVideo,
        copy: PartialCopy | None,
        outcome: _Outcome,
        thumbnail_px: int | None,
    ) -> Generator[Frame, None, ChildFailure | None]:
        """Yield the rest of the frames from one child; return how the child failed, if it did."""
        outcome.attempts += 1
        try:
            child = self._fresh_child()
        except StartFailure as failure:
            return failure
        outcome.children += 1
        cpu_before_s = outcome.cpu_s
        is_done = False
        try:
            child.begin(Task(source, outcome.next_frame, thumbnail_px))
            while not is_done:
                answer = self._answer(child, outcome)
                outcome.cpu_s = cpu_before_s + answer.cpu_s
                self._require_short(answer)
                if isinstance(answer, FrameFound):
                    outcome.add(answer.frame)
                    yield answer.frame
                elif isinstance(answer, RangesNeeded) and copy is not None:
                    child.send(_copied(copy, answer.ranges))
                elif isinstance(answer, ContentRead):
                    outcome.digest = answer.digest
                elif isinstance(answer, StreamRead):
                    outcome.stream = answer.properties
                elif isinstance(answer, SourceDone):
                    outcome.unreadable = answer.reason
                    is_done = True
        except ChildFailure as failure:
            if failure.status == "unreadable":
                return failure
            last = outcome.next_frame - 1
            failure.reason += f" after frame {last}" if last >= 0 else " before the first frame"
            failure.reason += child.last_complaint()
            return failure
        finally:
            if not is_done:  # also when the caller leaves the rest
                child.kill()
        return None

    def _answer(self, child: ChildProcess, outcome: _Outcome) -> Answer:
        """Return the next answer of the child.

        Raises:
            ChildFailure: it has died, sends nothing for too long, or the video's time is over.
        """
        if outcome.left_s() <= 0:
            raise ChildFailure("timed_out", f"not done within {self._bounds.time_s:g} s")
        try:
            return child.receive(min(self._settings.stall_limit_s, outcome.left_s()))
        except ChildFailure as failure:
            if failure.status == "timed_out" and outcome.left_s() <= 0:
                failure.reason = f"not done within {self._bounds.time_s:g} s"
            raise

    def _require_short(self, answer: Answer) -> None:
        """Check that an answer tells of no video that is longer than allowed.

        Raises:
            ChildFailure: it does; to try again would not help.
        """
        length_s = None
        if isinstance(answer, StreamRead):
            length_s = answer.properties.duration_s
        elif isinstance(answer, FrameFound):
            length_s = answer.frame.time_s
        if self._bounds.length_s is not None and (length_s or 0.0) > self._bounds.length_s:
            raise ChildFailure("unreadable", f"longer than {self._bounds.length_s / 60:g} min")

    def _first_child(self) -> ChildProcess:
        """Return a child that has started; as many are tried as for a video.

        Raises:
            ExtractionError: none starts.
        """
        for _ in range(self._settings.attempts):
            try:
                return ChildProcess(self._settings, self._command)
            except StartFailure as failure:
                last = failure
        raise last.error()

    def _fresh_child(self) -> ChildProcess:
        child = self._child
        if child is not None and (child.n_tasks >= RECYCLE_AFTER or not child.is_alive()):
            child.close()
            child = self._child = None
        self._child = child or ChildProcess(self._settings, self._command)
        return self._child


class _Outcome:
    """The outcome of a video while it is extracted, over all attempts.

    Args:
        time_s: that it may take.
    """

    def __init__(self, time_s: float | None) -> None:
        self._end_s = math.inf if time_s is None else time.monotonic() + time_s
        self.attempts = 0
        self.children = 0
        self.next_frame = 0
        self.cpu_s = 0.0
        self.unreadable: str | None = None
        self.digest: str | None = None
        self.stream = StreamProperties()
        self._outcomes: Counter[str] = Counter()
        self._reasons: dict[str, None] = {}

    def add(self, frame: Frame) -> None:
        self.next_frame = frame.frame_index + 1
        self._outcomes[frame.outcome] += 1
        if frame.reason and len(self._reasons) < MAX_REASONS:
            self._reasons[frame.reason] = None

    def left_s(self) -> float:
        """Return the time that is left."""
        return self._end_s - time.monotonic()

    def end(self, failure: ChildFailure | None) -> VideoEnd:
        status: Status = "unreadable"
        reason = self.unreadable or "; ".join(self._reasons) or None
        if failure:
            status, reason = failure.status, failure.reason
        elif self._outcomes["faces"]:
            status = "ok"
        elif self._outcomes["no_face"]:
            status, reason = "no_face", reason or "no face in any frame"
        return VideoEnd(status, reason, self.attempts, self.cpu_s, self.stream, self.digest)


def _copied(copy: PartialCopy, ranges: list[Range]) -> RangesCopied:
    """Fetch the ranges that the child asked for; return how it went."""
    try:
        copy.fetch(ranges)
    except StorageError as error:
        return RangesCopied(error)
    return RangesCopied(None)
