"""The demo's corpus: the detector finds its faces, and nothing but the picture tells a fake."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dfray.config import DemoSection, FacesSection
from dfray.demo import generate_clips

FILLER = 12  # type of the H.264 unit that only takes up room
PERMUTATIONS = 39  # the smallest share is 1 / 40


@pytest.fixture(scope="module", params=["nine people", pytest.param("all", marks=pytest.mark.slow)])
def clips(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 164 clips take most of a minute to draw, these 36 a few seconds."""
    if request.param == "all":
        return request.getfixturevalue("demo_clips")
    few = DemoSection(train_identities=2, test_identities=2, size_px=128)
    return Path(generate_clips(str(tmp_path_factory.mktemp("clips")), few, seed=0))


@pytest.fixture(scope="module")
def table(clips: Path) -> list[dict[str, str]]:
    with (clips / "clips.csv").open() as file:
        return list(csv.DictReader(file))


def path_of(clips: Path, row: dict[str, str]) -> Path:
    return clips / "videos" / f"{row['stem']}.mp4"


def test_the_detector_finds_a_face_in_95_percent_of_the_sampled_frames(
    clips: Path, table: list[dict[str, str]]
) -> None:
    from dfray.faces.decode import sampled_pictures
    from dfray.faces.detect import FaceFinder

    finder = FaceFinder(FacesSection(detector="full", min_score=0.5))
    try:
        found = [
            bool(finder.find(picture.image).faces)
            for row in table
            for picture in sampled_pictures(str(path_of(clips, row)), 2.0)
            if picture.image is not None
        ]
    finally:
        finder.close()
    assert len(found) >= 4 * len(table)
    assert np.mean(found) >= 0.95


def words(path: Path) -> tuple[object, ...]:
    """All that a container and its stream say of themselves but for sizes."""
    with av.open(str(path)) as container:
        (stream,) = container.streams
        codec = stream.codec_context
        said = (codec.name, codec.profile, codec.pix_fmt, codec.width, codec.height)
        timing = (stream.average_rate, stream.time_base, stream.frames, stream.start_time)
        tags = (*container.metadata.items(), *stream.metadata.items())
        keys = tuple(bool(packet.is_keyframe) for packet in container.demux() if packet.size)
        return (container.format.name, *said, *timing, *tags, codec.extradata, keys)


def test_containers_and_streams_describe_all_clips_alike(
    clips: Path, table: list[dict[str, str]]
) -> None:
    assert len({words(path_of(clips, row)) for row in table}) == 1
    assert len({row["duration_s"] for row in table}) == 1


def features(path: Path) -> np.ndarray:
    """Sizes and times of the file and its packets, with filler and without."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        header = (container.duration, container.bit_rate, stream.bit_rate, stream.duration)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    sizes = np.array([len(packet) for packet in packets], float)
    payload = np.array([payload_bytes(packet) for packet in packets], float)
    spread = [
        value
        for series in (sizes, payload)
        for value in (series.mean(), series.std(), *np.percentile(series, (0, 10, 50, 90, 100)))
    ]
    return np.array([os.path.getsize(path), len(sizes), *header, *spread, *payload[:4]], float)


def payload_bytes(packet: bytes) -> int:
    """What is left of a packet (units with 4-byte lengths) without its filler."""
    total = at = 0
    while at < len(packet):
        length = int.from_bytes(packet[at : at + 4], "big")
        total += length * (packet[at + 4] & 31 != FILLER)
        at += 4 + length
    return total


def permutation_p(values: np.ndarray, labels: np.ndarray, people: np.ndarray) -> float:
    """Share of labellings, permuted within each person, that a classifier learns as well."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = GroupKFold(5)

    def auc(truth: np.ndarray) -> float:
        scores = cross_val_predict(
            classifier, values, truth, groups=people, cv=folds, method="decision_function"
        )
        return float(roc_auc_score(truth, scores))

    rng = np.random.default_rng(0)
    chance = []
    for _ in range(PERMUTATIONS):
        shuffled = labels.copy()
        for person in np.unique(people):
            own = np.flatnonzero(people == person)
            shuffled[own] = rng.permutation(labels[own])
        chance.append(auc(shuffled))
    return float((1 + (np.array(chance) >= auc(labels)).sum()) / (1 + PERMUTATIONS))


def columns(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([int(r["label"]) for r in rows]), np.array([r["identity"] for r in rows])


def test_size_length_and_packets_do_not_tell_a_fake(
    clips: Path, table: list[dict[str, str]]
) -> None:
    values = np.array([features(path_of(clips, row)) for row in table])
    assert permutation_p(values, *columns(table)) > 0.05


def test_that_check_would_notice_fakes_of_another_rate_control(
    clips: Path, table: list[dict[str, str]], tmp_path: Path
) -> None:
    few = [row for row in table if row["split"] == "val"]
    values = []
    for row in few:
        path = path_of(clips, row)
        if row["label"] == "1":
            path = encoded_at_constant_quality(path, tmp_path)
        values.append(features(path))
    assert permutation_p(np.array(values), *columns(few)) < 0.05


def encoded_at_constant_quality(path: Path, folder: Path) -> Path:
    """As a careless generator would write it: x264 as it is, at the quality it likes."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(folder / path.name), "w") as container:
        stream = container.add_stream("libx264", rate=DemoSection().fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = (
            frames[0].shape[1],
            frames[0].shape[0],
            "yuv420p",
        )
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return folder / path.name
