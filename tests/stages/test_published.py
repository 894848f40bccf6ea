"""A published file becomes a version of a registered model, once, which scores as any other does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dfray import stages, storage
from dfray.config import FacesSection, RegistrySection
from dfray.errors import ModelFileError, UserError
from dfray.models.bundle import Bundle
from dfray.models.published import DETECTORS
from dfray.registry.versions import Versions
from dfray.registry.views import show_version
from dfray.serving.package import MODEL_ID, downloaded_bundle
from dfray.tracking.client import connect
from tests.models.published.files import smaller
from tests.models.published.test_fsvfm import fine_tuned, saved


@pytest.fixture
def tiny(monkeypatch):
    """The name of a detector of the table with a tiny network."""
    detector = smaller("fsfm-b", backbone="vit_tiny_patch16_224", num_heads=3)
    faces = FacesSection(frames=3, margin_ratio=1.3, size_px=224)
    monkeypatch.setitem(DETECTORS, "tiny", replace(detector, name="tiny", faces=faces))
    return "tiny"


@pytest.fixture
def file(tmp_path):
    return saved(tmp_path, fine_tuned())


def imported(detector, request, tracking_uri, file):
    return stages.import_detector(
        detector, name=request.node.name, weights=file, tracking_uri=tracking_uri
    )


def test_it_is_the_candidate_with_source_and_licence_in_tags_card_and_run(
    tiny, file, request, tracking_uri
):
    made = imported(tiny, request, tracking_uri, file)
    assert (made.name, made.version, made.is_new) == (request.node.name, "1", True)
    versions = Versions(made.name, tracking_uri)
    assert versions.resolve("candidate") == "1"
    tags = versions.get("1").tags
    assert tags["dfray.published.detector"] == "tiny"
    assert tags["dfray.published.datasets"] == "ff++"
    assert tags["dfray.published.sha256"] == made.published["sha256"]
    assert "CC BY-NC" in tags["dfray.published.licence"]
    run = connect(tracking_uri).get_run(versions.get("1").run_id)
    assert (run.info.status, run.data.params["model.num_heads"]) == ("FINISHED", "3")
    card = show_version(RegistrySection(model_name=made.name), tracking_uri, "1").card
    for told in ("NON-COMMERCIAL USE ONLY", "nothing was measured here", "arXiv 2412.12032"):
        assert told in card
    assert "FaceForensics++ c23" in card
    assert "MediaPipe's box" in card


def test_the_same_file_under_the_same_name_is_the_same_version(tiny, file, request, tracking_uri):
    first = imported(tiny, request, tracking_uri, file)
    Versions(first.name, tracking_uri).unpoint("candidate")
    again = imported(tiny, request, tracking_uri, file)
    assert (again.version, again.is_new) == (first.version, False)
    assert Versions(first.name, tracking_uri).numbers() == ["1"]
    assert Versions(first.name, tracking_uri).resolve("candidate") == "1"


def test_the_same_file_under_another_name_leaves_the_first_as_it_is(
    tiny, file, request, tracking_uri
):
    first = imported(tiny, request, tracking_uri, file)
    other = stages.import_detector(
        tiny, name=f"{first.name}-too", weights=file, tracking_uri=tracking_uri
    )
    client = connect(tracking_uri)
    runs = set()
    for made in (first, other):
        version = Versions(made.name, tracking_uri).get(made.version)
        assert client.get_logged_model(version.tags[MODEL_ID]).status == "READY"
        assert (
            show_version(RegistrySection(model_name=made.name), tracking_uri, made.version).package
            == "ok"
        )
        runs.add(version.run_id)
    assert len(runs) == 2


def test_another_file_is_the_next_version(tiny, file, request, tracking_uri, tmp_path):
    imported(tiny, request, tracking_uri, file)
    other = saved(tmp_path, fine_tuned(), **{"head.bias": torch.ones(2)})
    assert imported(tiny, request, tracking_uri, other).version == "2"


def test_its_file_is_fetched_once(tiny, file, request, tracking_uri, monkeypatch):
    fetched, local_copy = [], storage.local_copy

    def counted(uri):
        fetched.append(uri)
        return local_copy(uri)

    monkeypatch.setattr("dfray.storage.local_copy", counted)
    imported(tiny, request, tracking_uri, file)
    assert fetched.count(str(file)) == 1


def test_an_import_that_was_killed_before_its_version_goes_on_in_its_run(
    tiny, file, request, tracking_uri, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("dfray.serving.package.register", lambda *a, **b: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            imported(tiny, request, tracking_uri, file)
    version = imported(tiny, request, tracking_uri, file).version
    run_id = Versions(request.node.name, tracking_uri).get(version).run_id
    client = connect(tracking_uri)
    key = client.get_run(run_id).data.tags["dfray.import"]
    experiment = client.get_experiment_by_name("dfray").experiment_id
    assert len(client.search_runs([experiment], f"tags.`dfray.import` = '{key}'")) == 1


def test_the_registered_bundle_computes_what_was_imported(tiny, file, request, tracking_uri):
    from dfray.models.published import load_published

    version = imported(tiny, request, tracking_uri, file).version
    direct = load_published(DETECTORS[tiny], file)
    faces = torch.randint(0, 255, (3, 224, 224, 3), dtype=torch.uint8)
    with downloaded_bundle(request.node.name, version, tracking_uri) as folder:
        stored = Bundle.load(folder)
    assert (stored.predict(faces)[0] == direct.predict(faces)[0]).all()
    assert stored.decision_rule.threshold == 0.5
    assert stored.decision_rule.threshold_origin == "not fitted: imported, and 0.5 is its authors'"


def test_it_scores_a_clip(tiny, file, request, tracking_uri, clip):
    version = imported(tiny, request, tracking_uri, file).version
    model = f"models:/{request.node.name}/{version}"
    (score,) = stages.score([str(clip)], model=model, tracking_uri=tracking_uri)
    assert (score.outcome, score.n_frames) == ("ok", 3)
    assert 0 < score.fake_probability < 1
    assert score.threshold_origin.startswith("not fitted")


def test_a_file_that_does_not_fit_leaves_nothing(tiny, tmp_path, request, tracking_uri):
    with pytest.raises(ModelFileError, match=r"lacks head\.weight"):
        imported(
            tiny, request, tracking_uri, saved(tmp_path, fine_tuned(), **{"head.weight": None})
        )
    assert Versions(request.node.name, tracking_uri).numbers() == []


def test_an_unknown_detector_is_refused_with_the_nearest(file, request, tracking_uri):
    with pytest.raises(UserError, match="Did you mean .*fsvfm-l"):
        imported("fsvfm-xl", request, tracking_uri, file)
