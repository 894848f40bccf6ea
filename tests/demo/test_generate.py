"""The demo's corpus: complete, repeatable to the byte, resumable, and its people kept apart."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from dfray.config import DemoSection
from dfray.demo import clip_rows, generate_clips
from dfray.demo.generate import COLUMNS, plan_shots
from dfray.errors import UserError

TINY = DemoSection(
    train_identities=2,
    val_identities=2,
    test_identities=2,
    real_clips=1,
    duration_s=0.4,
    fps=10,
    size_px=128,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips")
    assert generate_clips(str(out), TINY, seed=1, workers=1) == str(out)
    return out


def hashes(out: Path) -> dict[str, str]:
    files = [out / "clips.csv", *sorted((out / "videos").iterdir())]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "clips.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_clip_and_where_a_fake_comes_from(clips: Path) -> None:
    table = rows(clips)
    assert tuple(table[0]) == COLUMNS
    stems = [row["stem"] for row in table]
    assert sorted(stems) == sorted(file.stem for file in (clips / "videos").iterdir())
    real = {row["stem"]: row for row in table if row["label"] == "0"}
    assert {row["category"] for row in real.values()} == {"real"}
    for fake in (row for row in table if row["label"] == "1"):
        assert fake["category"] in ("FS", "RE")
        source = real[fake["source_video"]]
        assert (source["identity"], source["split"]) == (fake["identity"], fake["split"])
    assert {row["duration_s"] for row in table} == {"0.4"}


def test_the_table_is_known_before_the_clips_are_there(clips: Path) -> None:
    planned = [{name: str(value) for name, value in row.items()} for row in clip_rows(TINY, 1)]
    assert rows(clips) == planned


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(
    clips: Path, tmp_path: Path
) -> None:
    generate_clips(str(tmp_path), TINY, seed=1, workers=2)
    assert hashes(tmp_path) == hashes(clips)


def test_another_seed_gives_other_clips(clips: Path, tmp_path: Path) -> None:
    generate_clips(str(tmp_path), TINY, seed=2, workers=2)
    mine, others = hashes(clips), hashes(tmp_path)
    shared = set(mine) & set(others) - {"clips.csv"}
    assert shared
    assert all(mine[name] != others[name] for name in shared)


def test_a_second_call_makes_only_what_is_missing(clips: Path) -> None:
    before = hashes(clips)
    lost, kept = sorted((clips / "videos").iterdir())[:2]
    lost.unlink()
    (clips / "clips.csv").unlink()
    kept_since = kept.stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    generate_clips(str(clips), TINY, 1, lambda done, total: seen.append((done, total)), workers=1)
    assert seen == [(11, 12), (12, 12), (12, 12)]
    assert kept.stat().st_mtime_ns == kept_since
    assert hashes(clips) == before


def test_a_folder_with_other_clips_is_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seed 5.*Delete the folder"):
        generate_clips(str(clips), TINY, seed=5)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "mine.mp4").touch()
    with pytest.raises(UserError, match="other clips"):
        generate_clips(str(tmp_path), TINY, seed=1)


def test_the_default_plan_has_the_people_and_clips_the_demo_needs() -> None:
    settings = DemoSection()
    shots = plan_shots(settings, seed=0)
    splits = defaultdict(set)
    for shot in shots:
        splits[shot.split].add(shot.person)
    assert len(set().union(*splits.values())) >= 32
    assert len(splits["val"] | splits["test"]) >= 10
    assert 2 * sum(shot.split == "test" for shot in shots) >= 60
    assert not splits["train"] & (splits["val"] | splits["test"])
    assert not splits["val"] & splits["test"]


def test_each_identity_is_faked_as_often_by_swap_as_by_reenactment() -> None:
    shots = plan_shots(DemoSection(), seed=0)
    counts = Counter((shot.person, shot.category) for shot in shots)
    assert set(counts.values()) == {1}
    assert len(counts) == len(shots)


def test_a_donor_is_someone_else_of_the_same_split() -> None:
    shots = plan_shots(DemoSection(), seed=0)
    split_of = {shot.person: shot.split for shot in shots}
    for shot in shots:
        assert shot.donor != shot.person
        assert split_of[shot.donor] == shot.split


def test_people_may_be_dealt_out_to_several_datasets() -> None:
    assert {shot.dataset for shot in plan_shots(DemoSection(), seed=0)} == {"demo"}
    datasets = defaultdict(set)
    for shot in plan_shots(DemoSection(datasets=2), seed=0):
        datasets[shot.split, shot.dataset].add(shot.category)
    assert len(datasets) == 6  # two in each split
    assert all(kinds == {"FS", "RE"} for kinds in datasets.values())
