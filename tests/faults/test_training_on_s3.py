"""Training on an object store that fails: checkpoints have the same patience, and the same end."""

from __future__ import annotations

import time

import pytest

from dfray import storage
from dfray.config import Recipe
from dfray.errors import StorageError
from dfray.progress import counting_actor
from dfray.run_folder import RunFolder
from dfray.training.launch import train_detector
from tests.faults.kit import fails_for_good
from tests.helpers.proxy import FULL, Fault, FaultProxy, Request
from tests.helpers.toy import toy_recipe, write_toy_faces

pytestmark = pytest.mark.ray


@pytest.fixture
def recipe(ray_session: None, bucket: str, s3_faults: FaultProxy) -> Recipe:
    made = toy_recipe(bucket, "toy", "training.epochs=3", "training.max_failures=2")
    write_toy_faces(made)
    return made


def train(recipe: Recipe) -> list[dict[str, float]]:
    return train_detector(recipe, None, stream=False, progress=counting_actor())


@pytest.mark.slow
def test_a_store_that_refuses_every_fifth_request_is_not_noticed(
    recipe: Recipe, s3_faults: FaultProxy
):
    refused = s3_faults.refuse_every(5)
    assert [epoch["epoch"] for epoch in train(recipe)] == [0, 1, 2]
    assert storage.exists(storage.join(RunFolder(recipe).model, "bundle.json"))
    methods = {request.method for request in refused if "/train/" in request.target}
    assert {"HEAD", "PUT"} <= methods, "checkpoints went through it"


@fails_for_good
def test_a_store_that_fails_for_good_ends_it_with_its_reason_and_what_was_done_is_gone_on_with(
    recipe: Recipe, s3_faults: FaultProxy, fault: Fault, told: str
):
    def at_the_second_checkpoint(request: Request) -> Fault | None:
        later = request.method == "PUT" and "/train/epoch-001/" in request.target
        return fault if later else None

    s3_faults.fault = at_the_second_checkpoint
    with pytest.raises(
        StorageError, match=rf"Cannot write s3://.*/train/epoch-001/.*{told}.*finished work is kept"
    ):
        train(recipe)
    first_file = "/train/epoch-001/state.pt"
    puts = [r for r in s3_faults.requests if r.method == "PUT" and first_file in r.target]
    assert fault != FULL or len(puts) == 1, "workers were started again, to find it full again"
    s3_faults.pass_on()
    failed_at = time.time()
    history = train(recipe)
    ended = [epoch["ended_at_s"] for epoch in history]
    assert [at < failed_at for at in ended] == [True, False, False], "epoch 0 was not repeated"
