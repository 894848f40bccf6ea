"""A recipe is read, overridden and refused with the place of the mistake."""

import pytest

from dfray import recipe, storage
from dfray.errors import RecipeError
from dfray.recipe import dump_recipe, load_recipe, named_recipes

MINIMAL = "name: mine\ncorpora:\n  - reader: folder\n    root: /videos\n"


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return str(path)

    return _write


@pytest.mark.parametrize("name", named_recipes())
def test_every_recipe_that_comes_with_dfray_is_valid(name):
    assert load_recipe(name).name == name


def test_what_is_printed_is_read_back_to_the_same(write):
    recipe = load_recipe(write(MINIMAL), ["training.epochs=3"])
    assert load_recipe(write(dump_recipe(recipe))) == recipe


def test_overrides_reach_sections_lists_and_optional_values(write):
    changes = ["objective.triplet.margin=0.3", "corpora.0.root=/other", "training.layer_decay=0.75"]
    recipe = load_recipe(write(MINIMAL), changes)
    assert recipe.objective.triplet.margin == 0.3
    assert recipe.corpora[0].root == "/other"
    assert recipe.training.layer_decay == 0.75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "faces:\n  rate_fp: 2\n", r"recipe.yaml:6: unknown key faces.rate_fp.*rate_fps"),
        (MINIMAL + "training:\n  epochs: many\n", r"recipe.yaml:6: training.epochs: .*got 'many'"),
        (MINIMAL + "trainning: {}\n", r"recipe.yaml:5: unknown key trainning. Did you mean train"),
        ("name: x\n", r"corpora is missing"),
        (MINIMAL + "  - reader: csv\n", r"recipe.yaml:5: corpora.1.root is missing"),
        (MINIMAL + "faces: {rate_fps: -1}\n", r"recipe.yaml:5: faces.rate_fps: .*greater than 0"),
        (
            MINIMAL + "objective:\n  triplet: {weight: balanced}\n",
            r"recipe.yaml:6: objective.triplet.weight: it is a number .* or balance \(got 'balanced'\)",
        ),
        (
            MINIMAL + "objective: {hypersphere: {slerp: true}}\nmodel: {embedding: pooled}\n",
            r"slerp .*use pre_logits",
        ),
        (MINIMAL + "a: [\n", r"not valid YAML"),
        (MINIMAL + "seed: 1\nname: other\n", r"recipe.yaml:6 has the key 'name' a second time"),
        (MINIMAL + "seed: 2026-13-45\n", r"recipe.yaml is not valid YAML: month must be in"),
        (MINIMAL + "evaluation: {threshold: .nan}\n", r"recipe.yaml:5: evaluation.threshold"),
        (MINIMAL + "evaluation: {threshold: .inf}\n", r"recipe.yaml:5: evaluation.threshold"),
        (MINIMAL + "evaluation: {threshold: 1.01}\n", r"recipe.yaml:5: evaluation.threshold"),
        (MINIMAL + "training: {lr: .inf}\n", r"recipe.yaml:5: training.lr: .*a finite number"),
        ("", r"holds no keys"),
    ],
)
def test_a_mistake_is_told_with_its_path_and_line(write, text, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text))


class TestExtending:
    """`extends` lays a file's own keys on top of other recipes."""

    @pytest.fixture
    @staticmethod
    def folder(tmp_path):
        (tmp_path / "base.yaml").write_text(MINIMAL + "training: {epochs: 5, lr: 0.1}\n")
        (tmp_path / "_quick.yaml").write_text("training:\n  epochs: 1\nfaces: {size_px: 64}\n")
        return tmp_path

    def read(self, folder, text):
        (folder / "own.yaml").write_text(text)
        return load_recipe(str(folder / "own.yaml"))

    def test_sections_are_merged_key_by_key_the_later_on_top(self, folder):
        own = "name: own\nextends: [base.yaml, _quick.yaml]\nfaces: {size_px: 32}\n"
        recipe = self.read(folder, own)
        assert (recipe.name, recipe.training.epochs, recipe.training.lr) == ("own", 1, 0.1)
        assert recipe.faces.size_px == 32
        assert recipe.corpora[0].root == "/videos"

    def test_lists_are_replaced(self, folder):
        own = "extends: base.yaml\nname: own\ncorpora: [{reader: csv, root: list.csv}]\n"
        assert [corpus.reader for corpus in self.read(folder, own).corpora] == ["csv"]

    def test_a_mistake_is_told_in_the_file_that_makes_it(self, folder):
        (folder / "_quick.yaml").write_text("# a part\ntraining:\n  epochs: none\n")
        with pytest.raises(RecipeError, match=r"_quick.yaml:3: training.epochs"):
            self.read(folder, "extends: [base.yaml, _quick.yaml]\nname: own\n")

    def test_a_recipe_that_comes_with_dfray_can_be_extended_by_name(self, folder):
        assert self.read(folder, "extends: demo\nname: own\n").model.backbone == "resnet10t"

    def test_one_that_is_not_there_or_extends_itself_is_refused(self, folder):
        with pytest.raises(RecipeError, match="No recipe is called 'dem'"):
            self.read(folder, "extends: dem\nname: own\n")
        with pytest.raises(RecipeError, match="extends itself"):
            self.read(folder, "extends: own.yaml\nname: own\n")

    def test_a_path_is_looked_for_beside_the_file_that_names_it(
        self, folder, tmp_path_factory, monkeypatch
    ):
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "base.yaml").write_text(MINIMAL + "training: {epochs: 99}\n")
        (folder / "parts").mkdir()
        (folder / "parts/middle.yaml").write_text("extends: [../base.yaml, more.yaml]\n")
        (folder / "parts/more.yaml").write_text("training: {lr: 0.5}\n")
        monkeypatch.chdir(elsewhere)
        recipe = self.read(folder, "extends: parts/middle.yaml\nname: own\n")
        assert (recipe.training.epochs, recipe.training.lr) == (5, 0.5)
        (folder / "base.yaml").unlink()
        with pytest.raises(
            RecipeError, match=r"No recipe is called '../base.yaml'.* beside the file"
        ):
            load_recipe(str(folder / "own.yaml"))

    def test_a_recipe_in_a_bucket_extends_those_beside_it(self, bucket):
        storage.write_bytes(MINIMAL.encode(), f"{bucket}/base.yaml")
        storage.write_bytes(b"extends: ../base.yaml\nname: own\n", f"{bucket}/mine/own.yaml")
        assert load_recipe(f"{bucket}/mine/own.yaml").corpora[0].root == "/videos"
        storage.write_bytes(b"extends: demo\nname: own\n", f"{bucket}/mine/own.yaml")
        assert load_recipe(f"{bucket}/mine/own.yaml").model.backbone == "resnet10t"

    def test_a_circle_is_refused_with_its_files_by_whatever_names_they_have(self, folder):
        (folder / "here").symlink_to(folder)
        (folder / "a.yaml").write_text("extends: here/b.yaml\n")
        (folder / "b.yaml").write_text("extends: here/a.yaml\n")
        with pytest.raises(RecipeError, match=r"own.yaml -> .*a.yaml -> .*b.yaml -> .*a.yaml\."):
            self.read(folder, "extends: a.yaml\nname: own\n")

    def test_files_that_double_with_every_level_are_refused(self, folder, monkeypatch):
        monkeypatch.setattr(recipe, "MOST_FILES", 6)
        (folder / "1.yaml").write_text("extends: [base.yaml, base.yaml]\n")
        (folder / "2.yaml").write_text("extends: [1.yaml, 1.yaml]\n")
        with pytest.raises(RecipeError, match=r"2.yaml extends more than 6 files"):
            self.read(folder, "extends: [2.yaml, 2.yaml]\nname: own\n")

    @pytest.mark.parametrize("extended", ["3", "", "{a: b}", "[base.yaml, 3]", "[[base.yaml]]"])
    def test_anything_but_names_is_refused(self, folder, extended):
        with pytest.raises(RecipeError, match=r"own.yaml: extends is .*, not the name of a recipe"):
            self.read(folder, f"extends: {extended}\nname: own\n")

    def test_parts_are_no_recipes(self):
        assert not any(name.startswith("_") for name in named_recipes())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"override 'training.epoch=3': unknown key .*Did you mean epochs"),
        ("training.epochs", r"not of the form"),
        ("corpora.5.root=x", r"there is no corpora.5"),
        ("name.first=x", r"there is no name"),
        ("corpora.²=x", r"there is no corpora.²"),
        ("seed=2026-13-45", r"override 'seed=2026-13-45': the value is not valid YAML"),
        ("search={trials: 3, trials: 4}", r"has the key 'trials' a second time"),
        (
            "evaluation.threshold=.nan",
            r"override 'evaluation.threshold=.nan': evaluation.threshold",
        ),
        ("evaluation.threshold=1.5", r"override 'evaluation.threshold=1.5': evaluation.threshold"),
        ("batches.batch_size=33", r"multiple of training.num_workers 2"),
        ("training.min_workers=3", r"min_workers 3 is more than num_workers 2"),
        ("cluster.train_on={role: -gpu}", r"cluster.train_on.role: .*"),
        ("batches.self_blend={}", r"batches.self_blend needs faces.landmarks: true"),
        ("batches.self_blend={ratios: []}", r"batches.self_blend.ratios: .*at least 1"),
    ],
)
def test_a_wrong_override_is_named(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("demo", [override])


def test_a_batch_divides_by_every_number_of_workers_that_may_be_left(write):
    changes = ["training.num_workers=4", "training.min_workers=2"]
    with pytest.raises(RecipeError, match=r"multiple of the 3 workers that training.min_workers"):
        load_recipe(write(MINIMAL), [*changes, "batches.batch_size=32"])
    recipe = load_recipe(write(MINIMAL), [*changes, "batches.batch_size=48"])
    assert list(recipe.training.worker_counts) == [2, 3, 4]
    fixed = load_recipe(write(MINIMAL), ["training.num_workers=4", "batches.batch_size=48"])
    assert list(fixed.training.worker_counts) == [4]
    assert fixed.fingerprint() == recipe.fingerprint(), "the batches are the same"


SELF_BLEND = "faces: {landmarks: true}\nbatches: {batch_size: 12, self_blend: {}}\n"


def test_self_blending_needs_a_section_and_landmarks(write):
    recipe = load_recipe(write(MINIMAL + SELF_BLEND))
    assert recipe.batches.self_blend.ratios == (0.25, 0.5, 0.75, 1, 1, 1)
    assert recipe.batches.faces_per_step == 6
    assert load_recipe(write(MINIMAL)).batches.faces_per_step == 64


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batches.batch_size=6", r"multiple of 2 x training.num_workers 2"),
        ("batches.stream_first_epoch=true", r"self_blend reads written faces"),
        ("batches.labels=category", r"one kind, and batches.labels: category"),
    ],
)
def test_a_recipe_that_self_blending_cannot_follow_is_refused(write, override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(MINIMAL + SELF_BLEND), ["training.num_workers=2", override])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["batches.batch_size=6"],
            r"batches.pairing and must be a multiple of 2 x training.num_workers 2",
        ),
        (["batches.batch_size=12", "training.accumulate=2"], r"batches.pairing take pairs"),
        (["faces.landmarks=true", "batches.self_blend={}"], r"set batches.pairing: null"),
    ],
)
def test_a_recipe_that_pairs_cannot_follow_is_refused(write, overrides, message):
    fixed = ["training.num_workers=2", "batches.pairing=source", *overrides]
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(MINIMAL), fixed)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(RecipeError, match="Did you mean demo"):
        load_recipe("dmeo")


def test_the_fingerprint_names_content_and_not_place(write):
    recipe = load_recipe(write(MINIMAL))
    moved = load_recipe(write(MINIMAL), ["work_dir=/elsewhere", "cluster.num_cpus=64"])
    changed = load_recipe(write(MINIMAL), ["objective.triplet.weight=0.1"])
    assert recipe.fingerprint() == moved.fingerprint()
    assert recipe.fingerprint() != changed.fingerprint()


def test_a_younger_key_at_its_default_keeps_the_fingerprint_of_earlier_runs(write):
    recipe = load_recipe(write(MINIMAL))
    assert "doubt_score" not in recipe.content()["faces"]
    unconfirmed = load_recipe(write(MINIMAL), ["faces.doubt_score=0"])
    assert recipe.fingerprint() != unconfirmed.fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("augment.randaugment=rand-m9-mstd0.5", r"not of the form rand-m9-mstd0.5-inc1"),
        ("augment.randaugment=rand-m9-inc1-tweights", r"not of the form"),
        ("augment.randaugment=augmix-m5", r"not of the form"),
        ("augment.crop_scale=[1.0, 0.08]", r"the first is the larger"),
        ("augment.crop_scale=[0.5, 1.5]", r"at most the picture"),
        ("augment.jpeg_quality=[0, 100]", r"augment.jpeg_quality.0: .*greater than or equal to 1"),
    ],
)
def test_an_augmentation_that_is_not_understood_is_refused(write, change, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(MINIMAL), [change])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.accumulate=5"], r"is 32 faces, which training.accumulate 5 does not divide"),
        (["augment.mixup=0.8", "training.accumulate=32"], r"the 1 faces .* are odd"),
        (["training.precision=fp16"], r"training.precision: .*'auto', 'bf16' or 'float32'"),
        (["training.ema=1"], r"training.ema: .*less than 1"),
    ],
)
def test_a_step_that_cannot_be_taken_is_refused(write, changes, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(MINIMAL), ["batches.batch_size=64", "training.num_workers=2", *changes])


@pytest.mark.parametrize(
    "term",
    [
        "triplet: {weight: 0.1}",
        "triplet: {weight: balance}",
        "hypersphere: {alignment: 0.1}",
        "hypersphere: {slerp: true}",
        "metric: {name: SupConLoss}",
    ],
)
@pytest.mark.parametrize("mixing", ["mixup: 0.8", "cutmix: 1.0"])
def test_soft_labels_are_refused_beside_terms_that_group_by_label(write, mixing, term):
    text = f"{MINIMAL}augment: {{{mixing}}}\nobjective: {{{term}}}\n"
    with pytest.raises(RecipeError, match=r"mixup and cutmix make soft labels"):
        load_recipe(write(text))
    load_recipe(write(f"{MINIMAL}augment: {{{mixing}}}\n"))


def test_a_mistake_inside_the_value_of_an_override_is_told_as_the_override_s() -> None:
    space = "search.space={training.lr: {uniform: [1, 1]}}"
    with pytest.raises(RecipeError, match="^override 'search.space=.*training.lr: the range"):
        load_recipe("demo", ["search={trials: 3}", space])
