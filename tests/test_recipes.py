"""The recipes that come with dfray: every row of Table 3, the CLIP paper's model, a small twin of each.

Each is read from the corpora's layouts in miniature, so that what it trains and tests on is held.
A twin is trained here for two steps, over drawn heads in the place of the demo's faces, by the very parts
that a training worker puts together; `dfray run twin-NAME` runs its whole pipeline.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from dfray.batches.labels import LabelScheme
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import ModelSection, Recipe
from dfray.datasets.manifest import Manifest
from dfray.evaluation.protocol import load_protocol
from dfray.faces.shards import FacesStore
from dfray.models.backbone import Detector, build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.preprocess import Preprocess
from dfray.nested import flatten
from dfray.recipe import load_recipe, named_recipes
from dfray.run_context import RunContext
from dfray.run_manifest import check_manifest
from dfray.tables import FAKE, REAL
from dfray.training.learner import Learner
from dfray.training.optim import Schedule
from tests.helpers.corpora import LAYOUTS, in_the_wild
from tests.helpers.heads import HEAD_OVAL, head_pictures
from tests.helpers.mesh import oval_landmarks
from tests.helpers.rows import write_store

ROWS = [
    "sbi",
    "imagenet",
    "fsfm",
    "fsfm-ba",
    "fsfm-hphn",
    "fsfm-ephn",
    "fsfm-category",
    "fsfm-category-ba",
    "fsfm-dataset",
    "fsfm-dataset-ba",
]
"""Of Table 3 in arXiv 2508.19730."""
MIXED = [f"{name}-mixup" for name in ("imagenet", "fsfm", "fsfm-category", "fsfm-dataset")]
"""Variants of the rows without triplets."""
SMALLER = ["training.num_workers=1", "batches.batch_size=8", "model.size_px=64"]
PROBES = ["probe-fsfm", "probe-clip"]
"""Baselines: a linear head on a frozen backbone."""
ENCODERS = ["pe-l", "dinov3-l", "siglip2-l", "fsvfm-l"]
"""Encoders that are tuned as GenD tunes its own (arXiv 2508.06248)."""
ADAPTED = ["clip-effort", "fsvfm-adapter", "fsfm-lora"]
"""A pretrained network with trained parameters added, one for each mode that adds some."""
TWINS = [f"twin-{name}" for name in (*ROWS, *MIXED, "clip", *PROBES, *ENCODERS, *ADAPTED)]
COMBINED = {
    "twin-fsfm-category-ba",
    "twin-fsfm-dataset-ba",
    "twin-imagenet-mixup",
    "twin-fsfm-mixup",
}
"""Twins whose classes and triplets others have one by one."""
FIVE = {"ff++", "celeb-df-v2", "dfdc", "fakeavceleb", "forgerynet"}
"""What arXiv 2508.19730 trains on (section 4.1); Celeb-DF has no validation split."""
COLUMNS = FIVE | {"df40", "wilddeepfake", "itw", "deepfake-eval-2024"}
"""The test sets of Table 3."""
CLIP_TESTS = {"ff++", "celeb-df-v2", "dfdc", "dfdc-preview", "dfd", "ffiw"}
GEND_TESTS = CLIP_TESTS - {"dfdc-preview"} | {
    *("celeb-df++", "fakeavceleb", "deepspeak-v2", "kodf", "idforge")
}
CLASSES = {"binary": 2, "category": 3, "dataset": 6}


def test_there_is_one_for_every_row_and_a_twin_of_each() -> None:
    assert {*ROWS, *MIXED, "clip", *PROBES, *ENCODERS, *ADAPTED, *TWINS, "demo"} == set(
        named_recipes()
    )


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where each reader finds its corpus in miniature."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, layout in LAYOUTS.items():
        layout(folder / name)
    in_the_wild(folder / "itw")
    return {name: str(folder / name) for name in LAYOUTS} | {"csv": str(folder / "itw/videos.csv")}


def manifest(name: str, roots: dict[str, str]) -> Manifest:
    """What the recipe makes of the miniatures."""
    moved = [
        f"corpora.{place}.root={roots[corpus.reader]}"
        for place, corpus in enumerate(load_recipe(name).corpora)
    ]
    return check_manifest(RunContext.of(load_recipe(name, moved)), opened=0)


@pytest.mark.parametrize("name", [*ROWS, "clip"])
def test_it_trains_validates_and_tests_on_the_papers_corpora(
    name: str, roots: dict[str, str]
) -> None:
    found = manifest(name, roots)
    assert found.missing == []
    datasets: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    tested: dict[str, set[int]] = {}
    for row in found.videos.to_pylist():
        datasets[row["split"]].add(row["dataset"])
        if row["split"] == "test":
            tested.setdefault(row["dataset"], set()).add(row["label"])
    trained = {"ff++"} if name in ("sbi", "clip") else FIVE
    assert datasets["train"] == trained
    assert datasets["val"] == trained - {"celeb-df-v2"}
    test_sets = CLIP_TESTS if name == "clip" else COLUMNS
    assert tested == {dataset: {REAL, FAKE} for dataset in test_sets}
    if trained != FIVE:  # others' official test splits alone, and counted as such
        for dataset in FIVE - trained & tested.keys():
            assert [row.subset for row in found.comparisons() if row.dataset == dataset] == ["test"]
    labels = load_recipe(name).batches.labels
    assert len(LabelScheme.of(labels, found.videos).class_names) == CLASSES[labels]


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_trains_and_selects_as_gend_does_and_tests_on_its_sets(
    name: str, roots: dict[str, str]
) -> None:
    found = manifest(name, roots)
    assert found.missing == []
    datasets: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for row in found.videos.to_pylist():
        datasets[row["split"]].add(row["dataset"])
    assert datasets == {"train": {"ff++"}, "val": {"ff++", "ffiw"}, "test": GEND_TESTS}
    recipe = load_recipe(name)
    assert recipe.training.selection == "average_precision"
    assert (recipe.objective.hypersphere.alignment, recipe.objective.hypersphere.uniformity) == (
        0.1,
        0.5,
    )
    assert not recipe.objective.hypersphere.slerp


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_trains_its_layernorms_and_the_head_on_normalised_features(name: str) -> None:
    """GenD's code trains every parameter with `norm` in its name."""
    detector = built(load_recipe(name).model.without_weights().model_dump_json())
    trained = {key for key, value in detector.named_parameters() if value.requires_grad}
    norms = {key for key, _ in detector.named_parameters() if "norm" in key}
    assert trained == norms | {"backbone.head.weight", "backbone.head.bias"}
    assert detector.normalise
    assert detector.embedding_dim == 1024


def test_the_clip_papers_model_learns_no_faceshifter(roots: dict[str, str]) -> None:
    """Its code lists Deepfakes, Face2Face, FaceSwap and NeuralTextures."""
    rows = [row for row in manifest("clip", roots).videos.to_pylist() if row["dataset"] == "ff++"]
    fakes = {"Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"}
    for split in ("train", "val", "test"):
        assert {row["method"] for row in rows if row["split"] == split} == {*fakes, "youtube"}


@pytest.mark.parametrize("name", [*ROWS, "clip"])
def test_its_network_can_be_built(name: str) -> None:
    detector = built(load_recipe(name).model.without_weights().model_dump_json())
    assert detector.before_norm == name.startswith("fsfm")  # arXiv 2508.19730 section 4.3


@cache
def built(model: str) -> Detector:
    """The network of a model section, the same for most rows; without values."""
    with torch.device("meta"), SkipDraws():
        return build_detector(ModelSection.model_validate_json(model), 2)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_trains_the_head_alone_on_the_corpora_of_the_tuned_model(name: str) -> None:
    recipe, tuned = load_recipe(name), load_recipe(name.removeprefix("probe-"))
    assert (recipe.corpora, recipe.faces, recipe.evaluation) == (
        tuned.corpora,
        tuned.faces,
        tuned.evaluation,
    )
    detector = built(recipe.model.without_weights().model_dump_json())
    trained = [key for key, value in detector.named_parameters() if value.requires_grad]
    assert trained == ["backbone.head.weight", "backbone.head.bias"]
    assert not recipe.objective.groups_by_label
    assert recipe.registry.model_name != tuned.registry.model_name


@pytest.mark.parametrize(
    ("name", "share", "parts"),
    [
        ("clip-effort", 196_704, {"original0", "original1", "original2"}),
        ("fsvfm-adapter", 2 * 1024 * 256 + 256 * 257, {"linear1", "linear2", "projector"}),
        ("fsfm-lora", 12 * 8 * (768 + 3 * 768 + 768 + 768), {"lora_A", "lora_B"}),
    ],
)
def test_an_adapted_network_trains_what_its_mode_adds(
    name: str, share: int, parts: set[str]
) -> None:
    detector = built(load_recipe(name).model.without_weights().model_dump_json())
    trained = {key: value for key, value in detector.named_parameters() if value.requires_grad}
    added = {key: value for key, value in trained.items() if ".head." not in key}
    assert sum(value.numel() for value in added.values()) == share
    assert all(parts & set(key.split(".")) for key in added)


@pytest.mark.parametrize("name", [*ENCODERS, "fsfm", "clip"])
def test_any_recipe_with_attention_takes_lora_by_an_override(name: str) -> None:
    section = load_recipe(name, ["model.tuning=lora"]).model
    detector = built(section.without_weights().model_dump_json())
    trained = [key for key, value in detector.named_parameters() if value.requires_grad]
    assert sum("lora_" in key for key in trained) == len(trained) - 2  # and the head


@pytest.mark.parametrize(("place", "name"), [*enumerate(ROWS)])
def test_a_model_as_good_as_the_published_one_passes_its_gates(place: int, name: str) -> None:
    recipe, protocol = load_recipe(name), load_protocol("paper")
    assert recipe.evaluation.protocol == "paper"
    assert protocol.published is not None
    row, gates = protocol.published.rows[place], recipe.registry.gates
    average_of_df40 = ("Out-of-distribution", "Avg")
    deciding = [
        at
        for at, heading in enumerate(protocol.headings)
        if heading == average_of_df40 or heading[1] not in ("Avg", "FS avg", "RE avg")
    ]
    assert len(deciding) == 9
    for figures, least in (
        (row.auc, gates.min_auc),
        (row.balanced_accuracy, gates.min_balanced_accuracy),
    ):
        published = sum(figures[at] for at in deciding) / 9 / 100
        assert published - 0.2 < least < published
    assert gates.min_column_auc < min(row.auc[at] for at in deciding) / 100


@pytest.mark.parametrize("name", ROWS)
def test_labels_stay_hard_in_every_row_of_table_3(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.augment.mixup, recipe.augment.cutmix) == (0, 0)
    assert recipe.objective.label_smoothing == 0


def test_every_row_without_triplets_has_a_variant_with_the_labels_of_fsfms_fine_tuning() -> None:
    plain = [name for name in ROWS if not load_recipe(name).objective.groups_by_label]
    assert {f"{name}-mixup" for name in plain if name != "sbi"} == set(MIXED)  # SBI is not FSFM's
    for name in MIXED:
        row, variant = (
            dict(flatten(load_recipe(each).model_dump(mode="json")))
            for each in (name.removesuffix("-mixup"), name)
        )
        changed = {key: value for key, value in variant.items() if value != row.get(key)}
        assert changed.keys() - {"name", "description"} == {
            *("augment.mixup", "augment.cutmix", "objective.label_smoothing")
        }
        assert (variant["augment.mixup"], variant["augment.cutmix"]) == (0.8, 1.0)
        assert variant["objective.label_smoothing"] == 0.1


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, FacesStore]:
    """Four faces with landmarks of each of the twins' clips, by the number of datasets."""
    crops = head_pictures(8, 128)
    points = oval_landmarks(1, **HEAD_OVAL)[0].numpy() * 128
    few = ["demo.train_identities=4", "demo.val_identities=2", "demo.test_identities=2"]
    stores = {}
    for count in (1, 2):
        recipe = load_recipe("twin-sbi", [*few, f"demo.datasets={count}"])
        videos = check_manifest(RunContext.of(recipe)).videos.to_pylist()
        stores[count] = write_store(
            tmp_path_factory.mktemp("faces"),
            [(video, list(crops[4 * (i % 2) :][:4])) for i, video in enumerate(videos)],
            recipe.faces,
            lambda video, frame: points,
        )
    return stores


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in COMBINED else n for n in TWINS],
)
def test_a_twin_trains(name: str, stores: dict[int, FacesStore]) -> None:
    recipe = load_recipe(name, SMALLER)
    assert recipe.demo is not None
    store = stores[recipe.demo.datasets]
    classes = LabelScheme.of(recipe.batches.labels, store.summaries())
    learner = Learner(recipe, classes)
    before = [parameter.clone() for parameter in learner.detector.parameters()]
    step = replace(learner.step(learner.detector), schedule=Schedule.of(recipe.training, 2))
    for number, batch in zip(range(2), reader(recipe, store, "train").epoch(0), strict=False):
        points = None if batch.landmarks is None else torch.from_numpy(batch.landmarks)
        terms = step(torch.from_numpy(batch.images), torch.from_numpy(batch.labels), number, points)
        assert torch.isfinite(terms["loss"])
    trained = [
        not torch.equal(old, new)
        for old, new in zip(before, learner.detector.parameters(), strict=True)
    ]
    assert trained == [parameter.requires_grad for parameter in learner.detector.parameters()]
    figures = learner.validate(reader(recipe, store, "val"))
    assert figures["selection_loss"] >= 0


@pytest.mark.parametrize("name", ["twin-clip", *(f"twin-{name}" for name in ENCODERS)])
def test_a_twin_whose_blocks_stay_random_tells_faces_apart_from_the_start(name: str) -> None:
    section = load_recipe(name, ["model.size_px=64"]).model
    torch.manual_seed(0)
    detector = build_detector(section, 2).eval()
    faces = torch.from_numpy(np.stack(head_pictures(4, 64)))
    with torch.inference_mode():
        _, embeddings = detector(Preprocess(section)(faces))
    likeness = torch.nn.functional.cosine_similarity(embeddings[:1], embeddings[1:])
    assert likeness.max() < 0.99


def reader(recipe: Recipe, store: FacesStore, split: str) -> FacesReader:
    summaries = store.summaries([split])
    classes = LabelScheme.of(recipe.batches.labels, store.summaries())
    sample = sample_faces(summaries, split, recipe.batches, classes)
    return FacesReader(store, sample, recipe.batches, rank=0, world_size=1, seed=recipe.seed)
