"""A service opens by name only what its operator lists; a user's own command opens all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.serving.admission import Admission, NotAdmittedError


def service(monkeypatch: pytest.MonkeyPatch, prefixes: object) -> Admission:
    monkeypatch.setenv("DFRAY_SERVE_FROM", str(prefixes))
    return Admission.of_service()


@pytest.mark.parametrize(
    "uri", ["a.mp4", "/etc/hosts", "file:///etc/hosts", "s3://b/a.mp4", "http://h/a"]
)
def test_a_service_opens_nothing_unless_its_operator_says_so(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFRAY_SERVE_FROM", raising=False)
    with pytest.raises(NotAdmittedError, match="DFRAY_SERVE_FROM"):
        Admission.of_service().place_of(uri)
    assert Admission().place_of(uri) == uri


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admission = service(monkeypatch, f"{tmp_path}/in, s3://bucket/in/")
    for uri in (f"{tmp_path}/in/a.mp4", f"file://{tmp_path}/in/a/b.png", "s3://bucket/in/a.mp4"):
        assert admission.place_of(uri).endswith(uri.rpartition("/")[2])
    for uri in (f"{tmp_path}/internal/a.mp4", "s3://bucket/internal/a.mp4", "s3://bucket/a.mp4"):
        with pytest.raises(NotAdmittedError):
            admission.place_of(uri)


def test_neither_dots_nor_links_lead_out_of_a_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.mp4").touch()
    (tmp_path / "in/link.mp4").symlink_to(tmp_path / "a.mp4")
    admission = service(monkeypatch, tmp_path / "in")
    for name in ("../a.mp4", "link.mp4"):
        with pytest.raises(NotAdmittedError):
            admission.place_of(f"{tmp_path}/in/{name}")


def test_the_bounds_of_a_service_are_its_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Admission().bounds.time_s is None
    assert Admission.of_service().bounds.time_s == 600
    monkeypatch.setenv("DFRAY_SERVE_LIMIT_S", "5")
    monkeypatch.setenv("DFRAY_SERVE_MAX_MB", "0.5")
    bounds = Admission.of_service().bounds
    assert (bounds.time_s, bounds.file_bytes) == (5, 2**19)
