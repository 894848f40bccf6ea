"""A run cut off and resumed is the run left alone, bit for bit."""

import random

import numpy as np
import pytest
import torch

from dfray.config import AugmentSection, MetricSection, ObjectiveSection, TripletSection
from dfray.errors import ModelFileError
from dfray.training.state import frozen_names, load_state, save_state, seed_epoch
from tests.training.kit import faces_and_labels, step_over

EVERYTHING = AugmentSection(erasing=0.5, blur=0.5, jpeg=0.5, randaugment="rand-m9-mstd0.5-inc1")
STEPS = 2


def epochs(step, first, last):
    """Losses of the epochs first..last-1, each of STEPS steps, augmented."""
    losses = []
    for epoch in range(first, last):
        seed_epoch(seed=3, epoch=epoch, rank=0)
        for index in range(STEPS):
            number = epoch * STEPS + index
            losses.append(step(*faces_and_labels(8, seed=number), number)["loss"].item())
    return losses


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_a_resumed_run_ends_as_one_left_alone(backbone, ema, tmp_path):
    options = {"augment": EVERYTHING, "ema": ema, "accumulate": 2}
    alone, alone_detector = step_over(backbone, **options)
    losses = epochs(alone, 0, 3)

    cut, cut_detector = step_over(backbone, **options)
    first = epochs(cut, 0, 2)
    progress = {"epoch": 2, "losses": first}
    average = cut.average and cut.average.module
    save_state(tmp_path / "state.pt", cut_detector, cut.optimizer, progress, average=average)

    resumed, detector = step_over(backbone, **options)
    torch.rand(100)  # another process has drawn other numbers
    average = resumed.average and resumed.average.module
    progress = load_state(tmp_path / "state.pt", detector, resumed.optimizer, average=average)
    assert progress["losses"] + epochs(resumed, progress["epoch"], 3) == losses
    pairs = [(detector, alone_detector)]
    if ema:
        pairs.append((average, alone.average.module))
    for ours, theirs in pairs:
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name


def test_a_state_without_an_average_is_refused_where_one_is_asked_for(tmp_path):
    step, detector = step_over()
    save_state(tmp_path / "state.pt", detector, step.optimizer, {})
    other, other_detector = step_over(ema=0.9)
    with pytest.raises(ModelFileError, match="the recipe the run was started with"):
        load_state(
            tmp_path / "state.pt", other_detector, other.optimizer, average=other.average.module
        )


MODES = {
    "head": {"tuning": "head"},
    "norm_layers": {"tuning": "norm_layers"},
    "lora": {"tuning": "lora"},
    "svd": {"tuning": "svd", "tuning_rank": 2},
    "adapter": {"tuning": "adapter"},
}


def tuned_step(mode, **options):
    return step_over("test_vit", model=MODES[mode], augment=EVERYTHING, **options)


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("mode", MODES)
def test_a_file_of_what_is_trained_resumes_exactly_and_leaves_the_frozen_to_the_bit(
    mode, ema, tmp_path
):
    alone, alone_detector = tuned_step(mode, ema=ema)
    start = {name: value.clone() for name, value in alone_detector.named_parameters()}
    losses = epochs(alone, 0, 2)

    path = tmp_path / "state.pt"
    cut, cut_detector = tuned_step(mode, ema=ema)
    first = epochs(cut, 0, 1)
    save_state(path, cut_detector, cut.optimizer, {}, average=cut.average and cut.average.module)

    resumed, detector = tuned_step(mode, ema=ema)
    load_state(
        path, detector, resumed.optimizer, average=resumed.average and resumed.average.module
    )
    assert first + epochs(resumed, 1, 2) == losses
    frozen = frozen_names(detector)
    assert frozen
    for name, value in alone_detector.named_parameters():
        assert torch.equal(dict(detector.named_parameters())[name], value), name
        assert torch.equal(start[name], value) == (name in frozen), name
    if ema:
        for name, value in alone.average.module.state_dict().items():
            assert torch.equal(resumed.average.module.state_dict()[name], value), name


@pytest.mark.parametrize("mode", ["full", *MODES])
def test_a_file_holds_what_is_trained_and_no_frozen_parameter(mode, tmp_path):
    step, detector = step_over("test_vit", model=MODES.get(mode, {}), ema=0.9)
    epochs(step, 0, 1)
    path = tmp_path / "state.pt"
    save_state(path, detector, step.optimizer, {}, average=step.average.module)
    state = torch.load(path, weights_only=True)
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    assert state["detector"].keys() == state["average"].keys() == trained  # a ViT has no buffers
    count = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    assert path.stat().st_size < 4 * 4 * count + 120_000  # weights, average, two moments; names


def test_frozen_weights_of_another_start_are_refused(tmp_path):
    step, detector = tuned_step("lora")
    save_state(tmp_path / "state.pt", detector, step.optimizer, {})
    other, other_detector = tuned_step("lora", seed=1)
    with pytest.raises(ModelFileError, match="frozen weights are others.*model.weights"):
        load_state(tmp_path / "state.pt", other_detector, other.optimizer)


def test_a_file_of_an_earlier_dfray_with_all_parameters_resumes(tmp_path):
    step, detector = tuned_step("norm_layers")
    losses = epochs(step, 0, 1)
    save_state(tmp_path / "state.pt", detector, step.optimizer, {"losses": losses})
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["frozen"]
    torch.save(state | {"detector": detector.state_dict()}, tmp_path / "state.pt")
    resumed, again = tuned_step("norm_layers")
    assert load_state(tmp_path / "state.pt", again, resumed.optimizer) == {"losses": losses}
    assert epochs(resumed, 1, 2) == epochs(step, 1, 2)


def test_a_file_without_a_trained_parameter_is_refused(tmp_path):
    step, detector = tuned_step("lora")
    save_state(tmp_path / "state.pt", detector, step.optimizer, {})
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["detector"]["backbone.head.weight"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(ModelFileError, match=r"missing \['backbone.head.weight'\]"):
        load_state(tmp_path / "state.pt", detector, step.optimizer)


OWN_STATE = ObjectiveSection(
    triplet=TripletSection(weight="balance", balance_steps=STEPS + 1),
    metric=MetricSection(name="ProxyAnchorLoss", options={"alpha": 8}, weight=0.1),
)


@pytest.mark.parametrize("cut_after", [1, 2])
def test_an_objective_with_a_state_of_its_own_resumes_exactly(cut_after, tmp_path):
    alone, _ = step_over(objective=OWN_STATE)
    losses = epochs(alone, 0, 3)

    cut, cut_detector = step_over(objective=OWN_STATE)
    first = epochs(cut, 0, cut_after)
    path = tmp_path / "state.pt"
    save_state(path, cut_detector, cut.optimizer, {}, cut.objective)

    resumed, detector = step_over(objective=OWN_STATE)
    with torch.no_grad():
        resumed.objective.metric.loss.proxies.zero_()  # what the file holds must come back
    load_state(path, detector, resumed.optimizer, resumed.objective)
    assert first + epochs(resumed, cut_after, 3) == losses
    assert resumed.objective.end_epoch() == alone.objective.end_epoch()
    for ours, theirs in zip(
        resumed.objective.parameters(), alone.objective.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_the_state_of_another_objective_is_refused(tmp_path):
    step, detector = step_over(objective=OWN_STATE)
    save_state(tmp_path / "state.pt", detector, step.optimizer, {}, step.objective)
    other, other_detector = step_over()
    with pytest.raises(ModelFileError, match="the recipe the run was started with"):
        load_state(tmp_path / "state.pt", other_detector, other.optimizer, other.objective)


def draws():
    return torch.rand(1).item(), np.random.rand(), random.random()


def test_a_seed_fixes_every_generator():
    seed_epoch(1, 2, 0)
    first = draws()
    seed_epoch(1, 2, 0)
    assert draws() == first


def test_seeds_epochs_and_workers_differ():
    drawn = set()
    for arguments in [(1, 2, 0), (2, 1, 0), (1, 2, 1), (1, 3, 0), (0, 0, 0)]:
        seed_epoch(*arguments)
        drawn.update(draws())
    assert len(drawn) == 5 * 3


def test_progress_that_is_not_plain_is_refused_when_saved_not_when_resumed(tmp_path):
    step, detector = step_over()
    with pytest.raises(TypeError):
        save_state(tmp_path / "state.pt", detector, step.optimizer, {"epoch": torch.tensor(1)})
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_state_is_refused(tmp_path, share):
    step, detector = step_over()
    path = tmp_path / "state.pt"
    save_state(path, detector, step.optimizer, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelFileError, match=r"cannot resume from .*state\.pt"):
        load_state(path, detector, step.optimizer)


def test_a_missing_state_is_refused(tmp_path):
    step, detector = step_over()
    with pytest.raises(ModelFileError, match="FileNotFoundError"):
        load_state(tmp_path / "state.pt", detector, step.optimizer)


def test_the_state_of_another_network_is_refused(tmp_path):
    step, detector = step_over("test_resnet")
    save_state(tmp_path / "state.pt", detector, step.optimizer, {})
    other, other_detector = step_over("test_vit")
    with pytest.raises(ModelFileError, match="the recipe the run was started with"):
        load_state(tmp_path / "state.pt", other_detector, other.optimizer)


def test_a_state_that_would_run_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"detector": Harmful()}, tmp_path / "state.pt")
    step, detector = step_over()
    with pytest.raises(ModelFileError, match="UnpicklingError"):
        load_state(tmp_path / "state.pt", detector, step.optimizer)
