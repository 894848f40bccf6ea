"""Actors that score files on a cluster: workers that read, and networks on GPUs that many workers share.

Without a GPU each worker runs the network itself: no face leaves its process. With GPUs faces go to a
network, which scores those of all videos together, in full batches. A worker reads one file at a time, sends
a bounded number of faces ahead, and returns one row a file: so neither memory nor the object store grows
with the inputs.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfray import storage
from dfray.models.bundle_description import decision_rule_of, read_description
from dfray.serving.admission import Admission
from dfray.serving.examination import Examination
from dfray.serving.examine import Depth, examine
from dfray.serving.inputs import MediaInput
from dfray.serving.media_reader import MediaReader, Predictions, carried_settings
from dfray.serving.model_card import FILE as CARD
from dfray.serving.score_table import ScoringModel

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from dfray.models.bundle import Bundle

NETWORK_BATCH = 256
"""Faces that go through a shared network together."""
NETWORK_WAIT_S = 0.25
"""Longest time that a face waits for a full batch."""
AHEAD = 2
"""Batches of each of its files that a worker has sent and that are not scored yet; then it waits."""

Files = dict[str, bytes]
"""Files of a registered model: relative path -> content."""


def packed(folder: Path) -> Files:
    """Return the files that scoring needs of a registered model's folder."""
    artifacts = (folder / "artifacts" / name for name in ("bundle", "face_detector"))
    paths = (path for artifact in artifacts for path in artifact.rglob("*") if path.is_file())
    files = {path.relative_to(folder / "artifacts").as_posix(): path.read_bytes() for path in paths}
    card = folder / CARD
    return files | ({CARD: card.read_bytes()} if card.is_file() else {})


class Unpacked:
    """Files of a registered model in a temporary folder of this process."""

    def __init__(self, files: Files) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(storage.temporary_folder()))
        for name, content in files.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(content)
        self.bundle = str(self._folder / "bundle")
        self.detector = str(self._folder / "face_detector")
        self.card = files[CARD].decode() if CARD in files else None

    def close(self) -> None:
        """Remove the folder."""
        self._stack.close()


class ScoringWorker:
    """Actor that scores one file after the other.

    Args:
        network: the `SharedNetwork` that scores its faces; None: this process does.
        depth: what is wanted of each file; no pictures.
    """

    def __init__(
        self,
        files: Files,
        model: ScoringModel,
        network: ActorHandle | None,
        depth: Depth = "score",
    ) -> None:
        self._files, self._model, self._network = Unpacked(files), model, network
        self._depth = depth

    def load(self) -> None:
        """Load the model; not done by the constructor, whose errors Ray reports as a death."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the scores carry the note on faces of another version
            self._reader = self._new_reader()

    def _new_reader(self) -> MediaReader:
        if self._network is not None:
            return _SendingReader(self._files.bundle, self._files.detector, self._network)
        from dfray.serving.scorer import MediaScorer

        return MediaScorer(self._files.bundle, self._files.detector, Admission())

    def score(self, item: MediaInput) -> Examination:
        """Score a file."""
        return examine(item, self._reader, self._model, self._depth)


class _SendingReader(MediaReader):
    """Reader whose network is an actor."""

    _ahead = AHEAD

    def __init__(self, bundle: str, detector: str, network: ActorHandle) -> None:
        description = read_description(bundle)
        settings = carried_settings(description["faces"], detector)
        super().__init__(settings, decision_rule_of(description), Admission())
        self._network = network

    def _send(self, crops: np.ndarray) -> Any:
        return self._network.predict.remote(crops)

    def _receive(self, handle: Any) -> Predictions:
        import ray

        predictions: Predictions = ray.get(handle)
        return predictions


@dataclass
class _Piece:
    """Crops of one request, and the scores of those that went through the network."""

    crops: np.ndarray
    future: asyncio.Future[Predictions]
    done: list[Predictions] = field(default_factory=list)
    n_taken: int = 0

    @property
    def n_left(self) -> int:
        return len(self.crops) - self.n_taken

    def take(self, count: int) -> np.ndarray:
        crops = self.crops[self.n_taken : self.n_taken + count]
        self.n_taken += len(crops)
        return crops


class SharedNetwork:
    """Async actor that scores faces of all workers together.

    A batch has `batch` faces, or what there is once a face has waited for `wait_s`.

    Attributes:
        files: the model's.
        sizes: faces in each of the last batches.
    """

    def __init__(
        self,
        files: Files,
        device: str,
        batch: int = NETWORK_BATCH,
        wait_s: float = NETWORK_WAIT_S,
    ) -> None:
        from dfray.models.bundle import Bundle

        self.files = Unpacked(files)
        self._bundle = Bundle.load(self.files.bundle, device)
        self._batch, self._wait_s = batch, wait_s
        self._pieces: deque[_Piece] = deque()
        self._arrived = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.sizes: deque[int] = deque(maxlen=1000)
        self._in_use = threading.Lock()

    def close(self) -> None:
        """End the task that collects batches, from any thread, and remove the model's files."""
        if self._serving is not None:
            with suppress(RuntimeError):  # its event loop has ended, and the task with it
                self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)
        self.files.close()

    @contextmanager
    def borrowed(self) -> Iterator[Bundle]:
        """Yield the bundle to another thread, while no batch goes through it."""
        with self._in_use:
            yield self._bundle

    def _predict(self, crops: np.ndarray) -> Predictions:
        with self._in_use:
            return self._bundle.predict(crops, self._batch)

    async def predict(self, crops: np.ndarray) -> Predictions:
        """Return the scores of uint8 crops (N, size_px, size_px, 3), N >= 1."""
        self._serving = self._serving or asyncio.create_task(self._serve())
        piece = _Piece(crops, asyncio.get_running_loop().create_future())
        self._pieces.append(piece)
        self._arrived.set()
        return await piece.future

    async def _serve(self) -> None:
        while True:
            while not self._pieces:
                self._arrived.clear()
                await self._arrived.wait()
            await self._full_or_late()
            taken = self._take()
            crops = np.concatenate([part for _, part in taken])
            self.sizes.append(len(crops))
            try:
                found = await asyncio.to_thread(self._predict, crops)
            except Exception as error:
                for piece in {id(piece): piece for piece, _ in taken}.values():
                    if not piece.future.done():
                        piece.future.set_exception(error)
                continue
            _hand_out(taken, *found)

    async def _full_or_late(self) -> None:
        """Return once there is a full batch, or a face has waited long enough."""
        end = asyncio.get_running_loop().time() + self._wait_s
        while sum(piece.n_left for piece in self._pieces) < self._batch:
            self._arrived.clear()
            left_s = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._arrived.wait(), left_s)
            except TimeoutError:
                return

    def _take(self) -> list[tuple[_Piece, np.ndarray]]:
        """Take a batch off the pieces, in order."""
        taken, room = [], self._batch
        while self._pieces and room:
            piece = self._pieces[0]
            part = piece.take(room)
            taken.append((piece, part))
            room -= len(part)
            if not piece.n_left:
                self._pieces.popleft()
        return taken


def _hand_out(
    taken: list[tuple[_Piece, np.ndarray]], scores: np.ndarray, embeddings: np.ndarray
) -> None:
    """Give each piece its scores; complete those that have all."""
    start = 0
    for piece, part in taken:
        end = start + len(part)
        piece.done.append((scores[start:end], embeddings[start:end]))
        start = end
        if not piece.n_left and not piece.future.done():
            first, second = zip(*piece.done, strict=True)
            piece.future.set_result((np.concatenate(first), np.concatenate(second)))
