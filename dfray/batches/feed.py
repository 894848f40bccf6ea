"""Batches on the training device; the next one is copied during the current step."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from dfray.batches.reader import Batch

Fed = tuple[Batch, Tensor, Tensor, Tensor | None]


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[Fed]:
    """Yield each batch with its images, labels and landmarks (if it has them) as tensors on `device`.

    On a GPU a thread moves the next batch into pinned memory and a separate stream copies it, so that both
    overlap with the step in progress; on a CPU the tensors share the batch's memory.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch, *_tensors(batch)
        return
    with ThreadPoolExecutor(1) as thread:
        stream = torch.cuda.Stream(device)
        ahead: Future[_Copy] | None = None
        for batch in batches:
            following = thread.submit(_Copy, batch, stream)
            if ahead is not None:
                yield ahead.result().ready()
            ahead = following
        if ahead is not None:
            yield ahead.result().ready()


def _tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    landmarks = None if batch.landmarks is None else torch.from_numpy(batch.landmarks)
    return torch.from_numpy(batch.images), torch.from_numpy(batch.labels), landmarks


class _Copy:
    """A batch in transfer to the device, on a stream that no kernel of the training waits for."""

    def __init__(self, batch: Batch, stream: torch.cuda.Stream) -> None:
        self.batch, self.device = batch, stream.device
        images, labels, landmarks = _tensors(batch)
        with torch.cuda.stream(stream):
            self.images, self.labels = self._sent(images), self._sent(labels)
            self.landmarks = None if landmarks is None else self._sent(landmarks)
            self.done = stream.record_event()

    def _sent(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def ready(self) -> Fed:
        """Make the current stream, and only it, wait for the copy."""
        current = torch.cuda.current_stream(self.device)
        current.wait_event(self.done)
        for tensor in (self.images, self.labels, self.landmarks):
            if tensor is not None:  # its memory may not be reused while this stream reads it
                tensor.record_stream(current)
        return self.batch, self.images, self.labels, self.landmarks
