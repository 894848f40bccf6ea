"""What goes along with a job: the code and small files, never repositories, environments, caches or data."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.jobs.exclusions import LINK, SECRET
from dfray.jobs.package import LIMIT_BYTES, Package, pack, tree


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_repositories_environments_caches_runs_and_data_stay_here(tmp_path):
    left = (".git/HEAD", ".venv/bin/python", "a/__pycache__/m.pyc", ".mypy_cache/x", "runs/demo/x")
    data = ("clips/real/1.mp4", "faces.parquet", "mlflow.db", "dfray.egg-info/PKG-INFO")
    lay(tmp_path, *left, *data, "mine.yaml", "a/m.py", "a/runs/kept.txt", "list.csv")
    assert set(pack(tmp_path, {}).files) == {"mine.yaml", "a/m.py", "a/runs/kept.txt", "list.csv"}


def test_a_gitignore_counts_from_its_own_folder_on_and_the_deepest_has_the_last_word(tmp_path):
    lay(tmp_path, "x.log", "weights/big.pt", "a/x.log", "a/kept.log", "a/b/only.txt", "b/only.txt")
    (tmp_path / ".gitignore").write_text("*.log\nweights/\n")
    (tmp_path / "a" / ".gitignore").write_text("!kept.log\n/b/only.txt\n")
    names = {name for name in pack(tmp_path, {}).files if not name.endswith(".gitignore")}
    assert names == {"a/kept.log", "b/only.txt"}


def test_links_to_folders_are_not_followed_and_broken_ones_left_out(tmp_path):
    lay(tmp_path, "code/m.py")
    (tmp_path / "code" / "above").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.py").symlink_to(tmp_path / "code" / "m.py")
    package = pack(tmp_path, {})
    assert set(package.files) == {"code/m.py", "linked.py"}
    package.write(tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as written:
        assert written.read("linked.py") == b"code/m.py"


def test_files_that_may_hold_secrets_stay_here_and_are_named(tmp_path):
    secrets = (
        ".env", "infra/.env", ".env.local", "prod.env", ".netrc", "a/.aws/credentials", ".ssh/id_rsa",
        "server.pem", "tls.key", "kubeconfig", "credentials.json", "a/secrets.yaml", "id_ed25519",
        "service-account-7.json",
    )  # fmt: skip
    code = ("credentials.py", "keys.py", ".env.example", "a/environment.py")
    lay(tmp_path, *secrets, *code)
    (tmp_path / ".gitignore").write_text("!.env\n!*.pem\n")
    package = pack(tmp_path, {})
    assert set(package.files) == {".gitignore", *code}
    covered = {
        name if name in package.withheld else f"{name.rpartition('/')[0]}/" for name in secrets
    }
    assert covered == set(package.withheld)
    assert set(package.withheld.values()) == {SECRET}


def test_a_link_to_what_is_not_uploaded_stays_here(tmp_path):
    lay(tmp_path / "outside", "private.txt")
    folder = lay(tmp_path / "in", ".env", "m.py")
    for name, target in (("a.txt", "../outside/private.txt"), ("b.txt", ".env"), ("c.py", "m.py")):
        (folder / name).symlink_to(target)
    (folder / "all").symlink_to("../outside")
    package = pack(folder, {})
    assert set(package.files) == {"m.py", "c.py"}
    assert package.withheld == {".env": SECRET, "a.txt": LINK, "b.txt": LINK}


def test_the_rules_of_the_repository_around_it_count(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", repository], check=True)
    lay(tmp_path, "config/git/ignore")
    lay(repository, "sub/a.txt", "sub/b.log", "sub/c.tmp", "sub/d.bak", "sub/kept.log", "sub/x/y")
    (repository / ".gitignore").write_text("*.log\n/sub/x/\n")
    (repository / ".git/info/exclude").write_text("*.tmp\n")
    (tmp_path / "config/git/ignore").write_text("*.bak\n")
    (repository / "sub/.gitignore").write_text("!kept.log\n")
    assert set(pack(repository / "sub", {}).files) == {".gitignore", "a.txt", "kept.log"}
    (repository / ".gitignore").write_text("/sub/\n")
    assert "b.log" in pack(repository / "sub", {}).files, "it was named, so it is wanted"


def test_a_folder_of_200_megabytes_is_refused_with_its_largest_files(tmp_path):
    lay(tmp_path, "mine.yaml")
    for name, size_mb in (("weights.bin", 150), ("extra/half.bin", 50), ("small.bin", 1)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with open(tmp_path / name, "wb") as sparse:
            sparse.truncate(size_mb * 2**20)
    with pytest.raises(UserError) as refused:
        pack(tmp_path, {})
    told = str(refused.value)
    assert "holds 201.0 MiB in 4 files; a job may upload 50.0 MiB" in told
    assert "The largest: weights.bin (150.0 MiB), extra/half.bin (50.0 MiB), small.bin" in told
    assert ".gitignore" in told


def test_as_much_as_the_limit_goes_along(tmp_path):
    with open(tmp_path / "just.bin", "wb") as sparse:
        sparse.truncate(LIMIT_BYTES)
    assert pack(tmp_path, {}).size_bytes == LIMIT_BYTES
    with pytest.raises(UserError):
        pack(tmp_path, {"one.more": b"x"})


def test_what_is_added_stands_in_place_of_the_folders_own(tmp_path):
    own = lay(tmp_path / "own", "jobs/train.py", "mine.yaml")
    theirs = lay(tmp_path / "theirs", "train.py", "recipes/demo.yaml")
    package = pack(own, tree(theirs, "jobs"))
    assert package.files["jobs/train.py"] == theirs / "train.py"
    assert set(package.files) == {"jobs/train.py", "jobs/recipes/demo.yaml", "mine.yaml"}


def test_the_same_content_is_the_same_bytes_whenever_and_wherever_it_lies(tmp_path):
    lay(tmp_path / "a", "x.py", "y/z.py")
    lay(tmp_path / "b", "y/z.py", "x.py")
    (tmp_path / "b" / "x.py").touch()
    for name in ("a", "b"):
        Package(dict(pack(tmp_path / name, {"r": b"1"}).files)).write(tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_working_directory_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere is not a folder"):
        pack(tmp_path / "nowhere", {})
