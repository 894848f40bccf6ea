"""Files under a corpus's root, from one listing in pages: no file is looked up by itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby

from dfray import storage
from dfray.datasets.suffixes import archive_stem, is_of_macos, is_picture, is_video, suffix_of

OF_MACOS = "made by macOS beside the file (._*, __MACOSX)"
NOT_UTF8 = "its name is not UTF-8: rename it"
NO_FOLDER_NAME = "a picture in a folder without a name (two slashes in its key)"
LEAVES = "a link out of the corpus (corpora.follow_links)"
LEAVES_IN_FOLDER = "a folder of pictures with a link out of the corpus (corpora.follow_links)"
_REPORT_EVERY = 1000


@dataclass
class _Listing:
    """Paths relative to the root.

    Attributes:
        plain_files: stamps of the files that are neither pictures nor left out, sorted by path.
        pictures: number of pictures in each folder, by folder and suffix.
        stamps: stamps of the pictures of each folder.
        left_out: paths by the reason why no reader sees them.
    """

    plain_files: dict[str, str | None] = field(default_factory=dict)
    pictures: dict[str, Counter[str]] = field(default_factory=dict)
    stamps: defaultdict[str, storage.FolderStamp] = field(
        default_factory=partial(defaultdict, storage.FolderStamp)
    )
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, stamp: str | None, leaves: bool) -> None:
        if not is_utf8(path):
            self.left_out[storage.printable(path)] = NOT_UTF8
        elif leaves:
            self.left_out[path] = LEAVES
        elif is_of_macos(path):
            self.left_out[path] = OF_MACOS
        elif not is_picture(path):
            self.plain_files[path] = stamp
        elif "" in path.split("/"):
            self.left_out[path] = NO_FOLDER_NAME
        else:
            folder, _, name = path.rpartition("/")
            self.pictures.setdefault(folder, Counter())[suffix_of(path)] += 1
            self.stamps[folder].add(name, stamp)

    def sorted(self) -> _Listing:
        self._leave_out_folders()
        plain_files, pictures = sorted(self.plain_files.items()), sorted(self.pictures.items())
        return _Listing(dict(plain_files), dict(pictures), self.stamps, self.left_out)

    def _leave_out_folders(self) -> None:
        """Leave out folders of pictures with a link out of the corpus: they are read without this listing."""
        links = [path for path, reason in self.left_out.items() if reason == LEAVES]
        for folder in {path.rpartition("/")[0] for path in links if is_picture(path)}:
            if self.pictures.pop(folder, None):
                self.left_out[folder] = LEAVES_IN_FOLDER


class Files:
    """The files of a corpus, listed on first use; of pictures only the count in each folder.

    Paths, of files and of folders, are relative to the root.

    Args:
        root: folder of the corpus, or the file that lists it.
        progress: called with the number of files listed so far.
        follow_links: also those out of the corpus, which is the root, or the folder of the list.
    """

    def __init__(
        self,
        root: str,
        progress: Callable[[int], None] = lambda _: None,
        *,
        follow_links: bool = False,
    ) -> None:
        self.root, self._progress = storage.absolute(root).rstrip("/"), progress
        self._follow_links = follow_links
        self._elsewhere: dict[str, dict[str, str | None]] = {}
        self._leaving: set[str] = set()

    def uri(self, *parts: str) -> str:
        return storage.join(self.root, *parts)

    def path(self, uri: str) -> str | None:
        """Return the path of `uri` relative to the root, or None if it is not below it."""
        start = f"{self.root}/"
        return uri.removeprefix(start) if uri.startswith(start) else None

    @property
    def is_listed(self) -> bool:
        """True once the root was listed."""
        return "_listing" in self.__dict__

    def videos(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of the videos below `folder`; in order."""
        return (path for path in self._below(folder) if is_video(path))

    def other_files(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of the files below `folder` that are neither videos nor pictures; in order."""
        return (path for path in self._below(folder) if not is_video(path))

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Yield (path, reason) of the files that are in no other list here."""
        yield from self._listing.left_out.items()

    def image_folders(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of the folders below `folder` that hold pictures; in order."""
        start = f"{folder}/" if folder else ""
        return (path for path in self._listing.pictures if path.startswith(start))

    def is_unpacked(self, archive: str) -> bool:
        """Return True if files are below the folder that has the archive's name without its suffixes."""
        return archive_stem(archive) in self._folders

    def picture_suffixes(self, folder: str) -> Counter[str]:
        """Return the number of pictures directly in `folder`, a path relative to the root, by suffix."""
        return self._listing.pictures.get(folder, Counter())

    def named(self, *names: str) -> Iterator[str]:
        """Yield the paths of the files with one of these names, relative to the root; in order."""
        return (path for path in self._listing.plain_files if path.rpartition("/")[2] in names)

    def image_count(self, uri: str) -> int:
        """Return the number of pictures directly in the folder `uri`."""
        path = self.path(uri)
        if path is not None:
            return self.picture_suffixes(path).total()
        listed = self._listed_elsewhere(uri)
        return 0 if self.leaves(uri) else sum(map(_is_frame, listed))

    def has(self, uri: str) -> bool:
        """Return True if there is a file `uri`; outside the root each folder is listed once."""
        path = self.path(uri)
        if path is not None:
            return path in self._listing.plain_files
        folder = uri.rpartition("/")[0]
        if folder.endswith("/"):  # a key with two slashes: no listing of a folder names it
            return storage.exists(uri)
        return uri in self._listed_elsewhere(folder)

    def stamp(self, uri: str) -> str | None:
        """Return the stamp of the file `uri` that `has` says is there; None: its listing does not tell."""
        path = self.path(uri)
        if path is not None:
            return self._listing.plain_files[path]
        return self._listed_elsewhere(uri.rpartition("/")[0]).get(uri)

    def pictures_stamp(self, uri: str) -> str:
        """Return the stamp of the pictures directly in the folder `uri`."""
        path = self.path(uri)
        if path is not None:
            return str(self._listing.stamps[path])
        stamp = storage.FolderStamp()
        for picture in filter(_is_frame, listed := self._listed_elsewhere(uri)):
            stamp.add(picture.rpartition("/")[2], listed[picture])
        return str(stamp)

    def leaves(self, uri: str) -> bool:
        """Return True if the file `uri`, or a picture in this folder, is a link out of the corpus."""
        path = self.path(uri)
        if path is not None:
            return self._listing.left_out.get(path) in (LEAVES, LEAVES_IN_FOLDER)
        return uri in self._leaving

    def _listed_elsewhere(self, folder: str) -> dict[str, str | None]:
        """Return URI -> stamp of the files in a folder outside the root, which is listed once."""
        if folder not in self._elsewhere:
            home = self.root.rpartition("/")[0]
            is_home = folder == home or folder.startswith(f"{home}/")
            within = home if is_home and not self._follow_links else None
            listed = storage.list_stamped(folder, within)
            self._elsewhere[folder] = {file.uri: file.stamp for file in listed if not file.leaves}
            leaving = [file.uri for file in listed if file.leaves]
            self._leaving.update(leaving, [folder] if any(map(_is_frame, leaving)) else [])
        return self._elsewhere[folder]

    @cached_property
    def _folders(self) -> set[str]:
        """The folders that hold a file at any depth."""
        folders: set[str] = set()
        for path in (*self._listing.plain_files, *(f"{name}/" for name in self._listing.pictures)):
            folder = path.rpartition("/")[0]
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        return folders

    def _below(self, folder: str) -> Iterator[str]:
        start = f"{folder}/" if folder else ""
        return (path for path in self._listing.plain_files if path.startswith(start))

    @cached_property
    def _listing(self) -> _Listing:
        listing, count = _Listing(), 0
        files = storage.walk_stamped(self.root, follow_links=self._follow_links)
        for count, file in enumerate(files, 1):
            listing.add(file.uri[len(self.root) + 1 :], file.stamp, file.leaves)
            if count % _REPORT_EVERY == 0:
                self._progress(count)
        self._progress(count)
        return listing.sorted()


def pictures_in(folder: str) -> list[str]:
    """Return the URIs of the pictures directly in `folder` whose names can be stored in a table."""
    return [uri for uri in storage.list_files(folder) if _is_frame(uri)]


def _is_frame(uri: str) -> bool:
    return is_picture(uri) and is_utf8(uri.rpartition("/")[2])


def is_utf8(path: str) -> bool:
    """Return True if `path` can be stored in a table."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_doubles(path: str) -> str:
    """Return `path` with a folder in a folder of the same name counted once: fomm/fomm/cdf is fomm/cdf."""
    return "/".join(name for name, _ in groupby(path.split("/")))
