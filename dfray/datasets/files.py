"""Files under a corpus's root, from one listing in pages: no file is looked up by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property

from dfray import storage

IMAGE_SUFFIXES = (
    ".png",
    ".apng",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
)
"""Suffixes of picture files, in manifests, extraction and scoring alike."""
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_REPORT_EVERY = 1000


class Files:
    """The files of a corpus, listed on first use; of images only the count in each folder.

    Args:
        root: folder of the corpus, or the file that lists it.
        progress: called with the number of files listed so far.
    """

    def __init__(self, root: str, progress: Callable[[int], None] = lambda _: None) -> None:
        self.root, self._progress = storage.absolute(root).rstrip("/"), progress
        self._elsewhere: dict[str, set[str]] = {}

    def uri(self, *parts: str) -> str:
        return storage.join(self.root, *parts)

    def videos(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of the videos below `folder`, relative to the root; in order."""
        start = f"{folder}/" if folder else ""
        for path in self._listing[0]:
            if path.startswith(start) and path.lower().endswith(VIDEO_SUFFIXES):
                yield path

    def image_folders(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of the folders below `folder` that hold images, relative to the root; in order."""
        start = f"{folder}/" if folder else ""
        return (path for path in self._listing[1] if path.startswith(start))

    def named(self, *names: str) -> Iterator[str]:
        """Yield the paths of the files with one of these names, relative to the root; in order."""
        return (path for path in self._listing[0] if path.rpartition("/")[2] in names)

    def image_count(self, uri: str) -> int:
        """Return the number of images directly in the folder `uri`."""
        if uri.startswith(f"{self.root}/"):
            return self._listing[1][uri[len(self.root) + 1 :]]
        return sum(uri.lower().endswith(IMAGE_SUFFIXES) for uri in storage.list_files(uri))

    def has(self, uri: str) -> bool:
        """Return True if there is a file `uri`; outside the root each folder is listed once."""
        if uri.startswith(f"{self.root}/"):
            return uri[len(self.root) + 1 :] in self._listing[0]
        folder = uri.rpartition("/")[0]
        if folder not in self._elsewhere:
            self._elsewhere[folder] = set(storage.list_files(folder))
        return uri in self._elsewhere[folder]

    @cached_property
    def _listing(self) -> tuple[dict[str, None], Counter[str]]:
        """(Paths of files that are no images, number of images in each folder)."""
        files: dict[str, None] = {}
        images: Counter[str] = Counter()
        count = 0
        for count, uri in enumerate(storage.walk_files(self.root), 1):
            path = uri[len(self.root) + 1 :]
            if path.lower().endswith(IMAGE_SUFFIXES):
                images[path.rpartition("/")[0]] += 1
            else:
                files[path] = None
            if count % _REPORT_EVERY == 0:
                self._progress(count)
        self._progress(count)
        return dict.fromkeys(sorted(files)), Counter(dict(sorted(images.items())))
