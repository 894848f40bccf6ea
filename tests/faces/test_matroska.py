"""Checksums of Matroska's clusters tell of any damage, whatever the codec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfray.faces.decode import sampled_pictures
from dfray.faces.matroska import damaged_clusters
from tests.helpers.clips import decode_all, moving_noise, write_clip

FPS, GROUP = 25, 20
N = 3 * GROUP
SILENT = {
    "vp8.mkv": {
        "codec": "libvpx",
        "options": {"g": "20", "deadline": "realtime", "cpu-used": "8"},
    },
    "hevc.mkv": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=20:bframes=0:log-level=none", "preset": "ultrafast"},
    },
}
"""Codecs whose decoders notice little."""


def clip(path: Path, **settings: object) -> Path:
    """Write three groups of pictures, each in a cluster of its own."""
    limit = {"cluster_time_limit": str(1000 * GROUP // FPS - 1)}
    return write_clip(path, moving_noise(N, 160, 96), container_options=limit, **settings)


def clusters(data: bytes) -> list[int]:
    """Places of the clusters."""
    places, at = [], data.find(b"\x1f\x43\xb6\x75")
    while at >= 0:
        places.append(at)
        at = data.find(b"\x1f\x43\xb6\x75", at + 4)
    return places


def overwritten(whole: Path, target: Path, at: int, n_bytes: int = 40) -> Path:
    data = bytearray(whole.read_bytes())
    data[at : at + n_bytes] = np.random.default_rng(0).bytes(n_bytes)
    target.write_bytes(data)
    return target


def found(path: Path) -> int:
    return len(damaged_clusters(str(path), lambda: None))


@pytest.mark.parametrize("name", SILENT)
def test_damage_that_no_decoder_notices_is_told(name: str, tmp_path: Path) -> None:
    whole = clip(tmp_path / name, **SILENT[name])
    _, second, third, *_ = clusters(whole.read_bytes())
    broken = overwritten(whole, tmp_path / f"broken_{name}", (second + third) // 2)
    reference = [image for _, image in decode_all(whole)]
    pictures = list(sampled_pictures(str(broken), FPS))
    errors = [picture.frame_index for picture in pictures if picture.image is None]
    assert errors == list(range(GROUP, 2 * GROUP))
    for picture in pictures:
        if picture.image is not None:
            assert np.array_equal(picture.image, reference[picture.frame_index])


def test_the_cluster_that_differs_from_its_checksum_is_found(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mkv")
    data = whole.read_bytes()
    places = clusters(data)
    assert found(whole) == 0
    broken = overwritten(whole, tmp_path / "broken.mkv", places[1] + 100, 1)
    ((place, size),) = damaged_clusters(str(broken), lambda: None)
    assert places[1] < place < places[1] + 100
    assert place + size <= places[2]


def test_a_cluster_without_a_checksum_is_taken_as_sound(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.webm", **SILENT["vp8.mkv"])
    assert found(overwritten(whole, tmp_path / "broken.webm", whole.stat().st_size // 2)) == 0


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_what_is_cut_off_is_no_damage(share: float, tmp_path: Path) -> None:
    data = clip(tmp_path / "whole.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: round(share * len(data))])
    assert found(cut) == 0


def test_clusters_of_unknown_size_end_the_search(tmp_path: Path) -> None:
    """As in what is written to a pipe."""
    whole = clip(tmp_path / "whole.mkv")
    data = bytearray(whole.read_bytes())
    for place in clusters(bytes(data)):
        data[place + 4] |= 0xFF
    live = tmp_path / "live.mkv"
    live.write_bytes(data)
    assert found(live) == 0


def test_what_is_no_matroska_has_no_cluster(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"\0" * 64, b"\x1f\x43", b"\xff" * 64)):
        path = tmp_path / f"{number}.mkv"
        path.write_bytes(data)
        assert found(path) == 0
