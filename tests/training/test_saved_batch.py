"""The batch of a step that failed is a file that can be read without dfray."""

import pickle

import numpy as np
import pytest
import torch

from dfray import storage
from dfray.batches.reader import Batch
from dfray.run_folder import RunFolder
from dfray.training.failure import save_batch
from dfray.training.finite import NotFiniteError
from tests.helpers.toy import toy_recipe
from tests.training.kit import faces_and_labels, step_over


@pytest.fixture
def failed():
    """A batch, and the error of the step that it failed in."""
    step, detector = step_over()
    with torch.no_grad():
        detector.backbone.fc.bias[0] = torch.nan
    faces, labels = faces_and_labels(8)
    with pytest.raises(NotFiniteError) as caught:
        step(faces, labels, 41)
    return Batch(faces.numpy(), labels.numpy()), caught.value


def test_it_holds_faces_labels_step_and_terms(failed, tmp_path):
    batch, error = failed
    folder = RunFolder(toy_recipe(tmp_path))
    raised = save_batch(folder, batch, 41, 1, error)
    uri = f"{folder.root}/not_finite/step-000041-worker-1.npz"
    assert "The loss is not finite" in raised.message
    assert raised.message.endswith(f"Its batch is saved in {uri}.")
    assert raised.hint == error.hint
    with np.load(uri, allow_pickle=False) as saved:
        assert np.array_equal(saved["images"], batch.images)
        assert np.array_equal(saved["labels"], batch.labels)
        assert (saved["step"], saved["rank"]) == (41, 1)
        assert np.isnan(saved["term_cross_entropy"])
        assert np.isfinite(saved["term_triplet"])


def test_it_holds_the_landmarks_of_a_batch_to_blend(failed, tmp_path):
    batch, error = failed
    points = np.random.default_rng(0).random((8, 468, 2), np.float32)
    folder = RunFolder(toy_recipe(tmp_path))
    save_batch(folder, Batch(batch.images, batch.labels, points), 0, 0, error)
    with np.load(f"{folder.not_finite}/step-000000-worker-0.npz") as saved:
        assert np.array_equal(saved["landmarks"], points)


def test_it_is_saved_on_s3(failed, bucket):
    folder = RunFolder(toy_recipe(bucket))
    raised = save_batch(folder, *failed[:1], 3, 0, failed[1])
    uri = f"{bucket}/toy/not_finite/step-000003-worker-0.npz"
    assert uri in raised.message
    assert storage.exists(uri)


def test_a_folder_that_cannot_be_written_does_not_hide_the_loss(failed, tmp_path):
    (tmp_path / "toy").write_text("a file where the folder should be")
    raised = save_batch(RunFolder(toy_recipe(tmp_path)), failed[0], 41, 0, failed[1])
    assert "The loss is not finite" in raised.message
    assert "Its batch could not be saved: Cannot write" in raised.message


def test_the_error_crosses_processes_with_its_terms(failed):
    error = pickle.loads(pickle.dumps(failed[1]))
    assert str(error) == str(failed[1])
    assert np.isnan(error.terms["loss"])
