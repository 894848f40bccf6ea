"""Suffixes of videos, pictures and archives: one list for manifests, extraction and scoring."""

from __future__ import annotations

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
"""Suffixes of picture files."""

_CONTAINERS = {
    "MP4, QuickTime": "mp4 m4v mov qt 3gp 3gpp 3g2 f4v ismv mj2 mp4v psp",
    "Matroska, WebM": "mkv webm mk3d",
    "AVI": "avi divx xvid amv",
    "Flash": "flv swf",
    "ASF": "asf wmv dvr-ms",
    "MPEG transport stream": "ts mts m2ts m2t tp trp tod",
    "MPEG program stream": "mpg mpeg mpe m1v m2v m2p mpv vob vro dvd mod",
    "Ogg": "ogv ogm ogg",
    "broadcast": "mxf gxf dv dif wtv",
    "RealMedia": "rm rmvb",
    "cameras": "dav mjpg mjpeg",
    "frames, uncompressed or indexed": "gif y4m nut ivf",
    "elementary streams": "h261 h263 h264 264 avc h265 265 hevc h266 266 vvc vc1 vc2 drc obu dnxhd dnxhr apv",
}
VIDEO_SUFFIXES = tuple(f".{name}" for names in _CONTAINERS.values() for name in names.split())
"""Suffixes of the containers and streams that FFmpeg decodes as videos.

Not among them: suffixes that sound alone has by convention (.mka, .m4a, .wma), those of games and of raw
pixels without a size (.yuv), and those that other kinds of files have more often (.dat, .bin, .avs).
"""
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".001")
"""Suffixes of archives; a corpus is read once they are unpacked."""


def is_video(path: str) -> bool:
    """Return True if the file's name has a suffix of a video."""
    return path.lower().endswith(VIDEO_SUFFIXES)


def is_picture(path: str) -> bool:
    """Return True if the file's name has a suffix of a picture, and macOS did not make it beside one."""
    return path.lower().endswith(IMAGE_SUFFIXES) and not is_of_macos(path)


def is_archive(path: str) -> bool:
    """Return True if the file's name has a suffix of an archive."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(path: str) -> str:
    """Return the path of an archive without its suffixes: `a/12` of `a/12.tar.gz`."""
    while is_archive(path):
        path = path.rpartition(".")[0]
    return path


def is_of_macos(path: str) -> bool:
    """Return True for what macOS adds on foreign disks and in archives: `._NAME` and `__MACOSX/...`."""
    *folders, name = path.split("/")
    return name.startswith("._") or "__MACOSX" in folders


def suffix_of(path: str) -> str:
    """Return the last suffix of the file's name in lower case, such as `.mp4`; `` if it has none."""
    name = path.rpartition("/")[2].lstrip(".")
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""
