"""The list of sums: read by `sha256sum` too, and every kind of damage has its line."""

import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from dfray.registry.checksums import FILE, faults_of, foreign_programs, write_checksums


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "sub folder" / "ä b.bin").write_bytes(b"\0\1")
    return tmp_path


def test_a_whole_package_has_no_faults(package: Path):
    assert faults_of(package, write_checksums(package)) == []


def test_every_damage_is_told(package: Path):
    digest = write_checksums(package)
    (package / "a.json").write_text("[]")
    (package / "sub folder" / "ä b.bin").rename(package / "moved.bin")
    assert faults_of(package, digest) == [
        "a.json was changed",
        "sub folder/ä b.bin is gone",
    ]


def test_other_files_are_no_damage_and_pickles_and_code_among_them_are_named(package: Path):
    digest = write_checksums(package)
    (package / "registered_model_meta").write_text("model_name: toy\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"\0")
    (package / "more.py").write_text("x = 1\n")
    (package / "sub folder" / "weights").write_bytes(pickle.dumps([1]))
    (package / "run").write_text("#!/bin/sh\n")
    assert faults_of(package, digest) == []
    assert foreign_programs(package) == [
        "more.py (code)",
        "run (code)",
        "sub folder/weights (pickle)",
    ]


def test_a_list_that_was_written_anew_over_the_damage_does_not_pass(package: Path):
    digest = write_checksums(package)
    (package / "a.json").write_text("[]")
    write_checksums(package)
    assert faults_of(package, digest) == [f"{FILE} is not the one that was registered"]


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
def test_sha256sum_reads_the_list(package: Path):
    write_checksums(package)
    done = subprocess.run(["sha256sum", "-c", "--strict", FILE], cwd=package, capture_output=True)
    assert done.returncode == 0, done.stderr
