"""The recipe: everything an experiment depends on, typed and validated, one section per stage.

Each section is the frozen settings of one component and is handed to it whole; no component sees
the recipe of another. `dfray.recipe` reads one from YAML; `Recipe.fingerprint()` names its content.
Sections import nothing but pydantic, so that reading a recipe costs milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Quality = Annotated[int, Field(ge=1, le=100)]  # of JPEG
Alpha = Annotated[float, Field(ge=0)]  # of a Beta(alpha, alpha)
Identities = Annotated[int, Field(ge=2)]  # a face swap takes two
Levels = tuple[Fraction, Fraction, Fraction]  # of RGB; mobilevit and others have a mean of 0
Deviations = tuple[Positive, Positive, Positive]
_RANDAUGMENT_PART = r"m(\d|10)|mstd\d{1,2}(\.\d+)?|n\d|p(0?\.\d+|[01])|inc1"


class Section(BaseModel):
    """A frozen part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def content(self) -> dict[str, Any]:
        """What a result depends on."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the content."""
        canonical = json.dumps(self.content(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class ClusterSection(Section):
    """Where Ray runs. Nothing here changes a result, so it is not part of the fingerprint."""

    address: str | None = Field(None, description="a running cluster; none starts a local one")
    num_cpus: Count | None = Field(
        None, description="logical CPUs that a local cluster declares; default: the machine's cores"
    )
    extract_workers: Count | None = Field(
        None, description="extraction actors; default: the CPUs that the trainers leave, less one"
    )
    object_store_mb: Count | None = Field(None, description="shared memory of a local cluster, MiB")


class CorpusSection(Section):
    """One corpus to read into the manifest."""

    reader: str = Field(description="a name in dfray.datasets.readers, such as ffpp or csv")
    root: str = Field(description="local path or s3:// of the corpus")
    dataset: str | None = Field(None, description="name in the manifest; default: the reader's")
    compression: Literal["raw", "c23", "c40"] = Field(
        "c23", description="ffpp and dfd: which encoding"
    )
    kind: Literal["video", "frames", "faces"] | None = Field(
        None,
        description="df40: read its videos, its pictures through the detector, or its pictures as "
        "face crops; default: the reader's",
    )
    split: Literal["train", "val", "test"] | None = Field(
        None, description="put every video here, whatever the corpus's lists say"
    )
    licence: str | None = Field(None, description="licence or terms, kept with every row")


class DemoSection(Section):
    """Generated talking heads; see dfray.datasets.demo."""

    train_identities: Identities = 20
    val_identities: Identities = 5
    test_identities: Identities = 16
    real_clips: Count = Field(
        2, description="real clips per identity; as many fakes are made, by turns FS and RE"
    )
    datasets: Count = Field(
        1, description="datasets that the people are dealt out to: demo, or demo-1, demo-2, ..."
    )
    duration_s: Positive = 2.5
    fps: Count = 12
    size_px: Annotated[int, Field(ge=64, multiple_of=2)] = Field(
        256, description="side of the square picture"
    )


class FacesSection(Section):
    """How frames are sampled and faces found, cut out and kept (arXiv 2508.19730 section 4.1)."""

    rate_fps: Positive = Field(1.0, description="sampled frames per second of video")
    detector: Literal["full", "short", "cascade"] = Field(
        "full",
        description="MediaPipe full range, short range, or short and then full if none found",
    )
    detector_model: str | None = Field(
        None, description="path or URI of the detector's .tflite, instead of the one set up"
    )
    min_score: Fraction = Field(0.5, description="detections below this confidence are not faces")
    margin_ratio: Positive = Field(1.3, description="crop side over the larger side of the box")
    size_px: Count = Field(224, description="side of the stored crop")
    landmarks: bool = Field(
        False,
        description="keep MediaPipe's 468 landmarks of each face (batches.self_blend needs them)",
    )
    storage: Literal["lz4", "zstd", "jpeg"] = Field(
        "lz4", description="lossless bytes under lz4 or zstd, or JPEG"
    )
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    shard_mb: Count = Field(256, description="a shard is closed at this size, MiB")
    stall_limit_s: Positive = Field(
        60.0, description="a video from which no frame comes for so long has hung, seconds"
    )
    attempts: Count = Field(2, description="tries of a video that kills or hangs its worker")

    def shaping(self) -> dict:
        """The settings that shape a face row; shard size, time limit and attempts do not."""
        return self.model_dump(exclude={"shard_mb", "stall_limit_s", "attempts"}, mode="json")


class SelfBlendSection(Section):
    """Self-blended images (arXiv 2204.08376 section 3); ranges that the paper does not name are ours."""

    rgb: Fraction = Field(0.05, description="largest shift of red, green and blue")
    hue: Fraction = Field(0.02, description="largest shift of the hue, turns")
    saturation: Fraction = Field(0.08, description="largest shift of the saturation")
    value: Fraction = Field(0.06, description="largest shift of the value")
    brightness: Fraction = Field(0.1, description="brightness of one view: 1 +- this")
    contrast: Fraction = Field(0.1, description="contrast of one view: 1 +- this")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="width and height of the source: 1 +- this"
    )
    shift: Fraction = Field(
        0.03, description="largest shift of the source, in sides of the picture"
    )
    deform: Fraction = Field(
        0.06, description="largest move of 4 x 4 points of the mask, over the face's extent"
    )
    elastic: Fraction = Field(0.03, description="the same of 8 x 8 points: elastic deformation")
    ratios: Annotated[tuple[Fraction, ...], Field(min_length=1)] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.0, 1.0), description="the mask's strength, each as likely"
    )


class BatchesSection(Section):
    """How faces become batches."""

    batch_size: Count = Field(64, description="faces per optimizer step over all workers together")
    sampling: Literal["balanced", "all"] = Field(
        "balanced", description="balanced: arXiv 2508.19730 section 4.1; all: every face"
    )
    labels: Literal["binary", "category", "dataset"] = Field(
        "binary",
        description="classes to learn: real and fake; real, FS and RE; or real and the fakes of "
        "each dataset (arXiv 2508.19730 section 3.4)",
    )
    stream_first_epoch: bool = Field(
        False, description="feed the first epoch from the running extraction"
    )
    shuffle_faces: Count = Field(2048, description="faces in the shuffle buffer of each worker")
    self_blend: SelfBlendSection | None = Field(
        None,
        description="train on real faces and their self-blended fakes alone, half a batch each; "
        "needs faces.landmarks",
    )

    @property
    def faces_per_step(self) -> int:
        """Faces to read for an optimizer step: half a batch if each brings its own fake."""
        return self.batch_size // 2 if self.self_blend else self.batch_size


class AffineSection(Section):
    """A random turn, shift and scale (torchvision's RandomAffine)."""

    degrees: Annotated[float, Field(ge=0, le=180)] = Field(10.0, description="turn, either way")
    shift: Fraction = Field(0.1, description="each way, in fractions of the side")
    scale: tuple[Positive, Positive] = (0.9, 1.1)


class AugmentSection(Section):
    """Random changes to training batches, drawn for each image, on the training device.

    In the order of their application; FSFM's and the CLIP paper's settings are in jobs/recipes.
    """

    crop_scale: tuple[Positive, Positive] | None = Field(
        (0.8, 1.0), description="random resized crop: area range; none: no random crop"
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="of crops (antialiased) and of affine changes"
    )
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    affine: AffineSection | None = Field(None, description="turn, shift and scale; none: off")
    randaugment: str | None = Field(
        None, description="timm's notation, such as rand-m9-mstd0.5-inc1; none: off"
    )
    blur: Fraction = Field(0.0, description="probability of a Gaussian blur, sigma 0.1 to 2 px")
    brightness: Fraction = 0.1
    contrast: Fraction = 0.1
    jpeg: Fraction = Field(0.0, description="probability of JPEG compression")
    jpeg_quality: tuple[Quality, Quality] = Field((40, 100), description="range, libjpeg's scale")
    erasing: Fraction = Field(0.0, description="probability of random erasing with noise")
    mixup: Alpha = Field(0.0, description="alpha of mixup (FSFM's code: 0.8); 0: off")
    cutmix: Alpha = Field(0.0, description="alpha of cutmix (FSFM's code: 1.0); 0: off")

    @property
    def mixes(self) -> bool:
        """Whether labels become soft."""
        return self.mixup > 0 or self.cutmix > 0

    @field_validator("randaugment")
    @classmethod
    def _is_known(cls, text: str | None) -> str | None:
        if text is None:
            return None
        head, *parts = text.split("-")
        known = all(re.fullmatch(_RANDAUGMENT_PART, part) for part in parts)
        if head != "rand" or not known or "inc1" not in parts:
            raise ValueError(
                f"{text!r} is not of the form rand-m9-mstd0.5-inc1: m (magnitude, 0-10), mstd (its "
                "deviation), n (layers), p (probability of each) and inc1 are understood"
            )
        return text

    @model_validator(mode="after")
    def _ranges_ascend(self) -> AugmentSection:
        for name in ("crop_scale", "jpeg_quality"):
            found = getattr(self, name)
            if found and found[0] > found[1]:
                raise ValueError(f"{name} {list(found)}: the first is the larger")
        if self.crop_scale and self.crop_scale[1] > 1:
            raise ValueError(
                f"crop_scale {list(self.crop_scale)}: a crop is at most the picture, 1"
            )
        return self


class ModelSection(Section):
    """The network: a timm backbone, how it starts, and a linear head on its embedding."""

    backbone: str = Field("vit_base_patch16_224", description="any timm model name")
    weights: str | None = Field(
        None,
        description="none: random; timm: those timm publishes; else a file: a local path, s3://, or "
        "hf://owner/repo[@revision][/path]",
    )
    weights_layout: Literal["timm", "fsfm"] = Field(
        "timm", description="what the file of `weights` holds; fsfm: arXiv 2412.12032's checkpoints"
    )
    size_px: Count = Field(224, description="side of the input the backbone sees")
    pool: Literal["avg", "token", "map"] | None = Field(
        None,
        description="how tokens become one vector: mean of the patches, class token, attention; none: "
        "avg for a plain ViT, what timm has for all others (CLIP's: the class token)",
    )
    embedding: Literal["pre_logits", "pooled"] = Field(
        "pre_logits", description="after fc_norm (timm's forward_head pre_logits), or before it"
    )
    normalise_embedding: bool = Field(
        False, description="L2-normalise the embedding, for the head too (arXiv 2503.19683)"
    )
    head_init_std: Positive | None = Field(
        None, description="truncated normal of the head's weight; none: timm's own start"
    )
    tuning: Literal["full", "head", "norm_layers", "last_blocks"] = Field(
        "full", description="what is trained; the head always is"
    )
    tuned_blocks: Count | None = Field(None, description="how many, with tuning last_blocks")
    mean: Levels | None = Field(None, description="of RGB in 0..1; none: that of the weights")
    std: Deviations | None = Field(None, description="of RGB in 0..1; none: that of the weights")
    drop_path: Fraction = 0.0

    @model_validator(mode="after")
    def _keys_agree(self) -> ModelSection:
        if self.weights_layout == "fsfm" and self.weights in (None, "timm"):
            raise ValueError(
                "weights_layout fsfm needs weights: hf://Wolowolo/fsfm-3c, or a copy of it"
            )
        if (self.tuning == "last_blocks") != (self.tuned_blocks is not None):
            raise ValueError("tuning last_blocks and tuned_blocks go together")
        if self.normalise_embedding and self.embedding == "pooled":
            raise ValueError(
                "normalise_embedding goes with embedding pre_logits, which the head reads"
            )
        return self

    def without_weights(self) -> ModelSection:
        """The same network from a random start: to count it, or where its weights are at hand."""
        return self.model_copy(update={"weights": None, "weights_layout": "timm"})


class TripletSection(Section):
    """Triplet loss on raw Euclidean distances (arXiv 2508.19730 section 3.3).

    The paper tuned w and m and publishes neither.
    """

    strategy: Literal["batch_all", "batch_hard", "easy_positive"] = Field(
        "batch_all",
        description="BA: all active triplets; HP-HN: hardest positive and negative of each anchor; "
        "EP-HN: easiest positive, hardest negative",
    )
    weight: float | Literal["balance"] = Field(
        0.0,
        description="w; 0 leaves the term out; balance: cross-entropy over triplet loss, measured "
        "over the first steps and then constant",
    )
    balance_steps: Count = Field(
        50, description="steps over which balance measures; the first epoch's at most"
    )
    margin: Annotated[float, Field(ge=0)] = Field(1.0, description="m, in embedding units")

    @field_validator("weight", mode="before")
    @classmethod
    def _number_or_balance(cls, value: Any) -> Any:
        """One message for both, where a union would give one for each."""
        if value != "balance" and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"it is a number of 0 or more, or balance (got {value!r})")
        return value


class HypersphereSection(Section):
    """Terms on L2-normalised embeddings (arXiv 2503.19683, after arXiv 2005.10242)."""

    alignment: Annotated[float, Field(ge=0)] = Field(
        0.0, description="weight of the mean squared distance within classes; 0 leaves it out"
    )
    uniformity: Annotated[float, Field(ge=0)] = Field(
        0.0, description="weight of the log mean Gaussian potential of all pairs; 0 leaves it out"
    )
    slerp: bool = Field(
        False,
        description="in training replace each embedding by a random point on the arc to another "
        "of its class",
    )


class MetricSection(Section):
    """A loss of pytorch-metric-learning on the embeddings of the global batch."""

    name: str = Field(description="such as ArcFaceLoss, SupConLoss or ProxyAnchorLoss")
    options: dict[str, Any] = Field(
        {},
        description="the loss's own keywords; num_classes and embedding_size follow from the model",
    )
    weight: Positive = 1.0
    lr_scale: Positive = Field(
        1.0, description="learning rate of the loss's own parameters over training.lr"
    )


class ObjectiveSection(Section):
    """Softmax cross-entropy plus weighted terms on the embeddings."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the target spread over all classes, in training"
    )
    triplet: TripletSection = TripletSection()
    hypersphere: HypersphereSection = HypersphereSection()
    metric: MetricSection | None = None

    @property
    def groups_by_label(self) -> bool:
        """Whether a term asks which embeddings are of one class."""
        sphere = self.hypersphere
        return bool(self.triplet.weight or sphere.alignment or sphere.slerp or self.metric)


class TrainingSection(Section):
    """Ray Train workers, optimizer and schedule."""

    num_workers: Count = 1
    use_gpu: bool | None = Field(None, description="none: use GPUs if the cluster has any")
    cpus_per_worker: Count = 1
    epochs: Count = 30
    lr: Positive = 1e-4
    min_lr: Annotated[float, Field(ge=0)] = 1e-6
    warmup_epochs: Annotated[float, Field(ge=0)] = 5.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="layer-wise lr decay (0.75 in arXiv 2508.19730 section 4.3)"
    )
    clip_norm: Positive | None = Field(None, description="largest gradient norm")
    accumulate: Count = Field(
        1,
        description="parts that a worker's share of a batch is taken in; the terms on embeddings see a "
        "part of every worker, not the whole batch",
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of a moving average of the weights, which is then validated and kept",
    )
    precision: Literal["auto", "bf16", "float32"] = Field(
        "auto", description="of the network's arithmetic; auto: bf16 on a GPU that has it"
    )
    compile: bool = Field(False, description="compile the network for training (torch.compile)")
    selection: Literal["objective", "cross_entropy"] = Field(
        "objective", description="validation loss whose lowest epoch is kept"
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        2, description="restarts of the worker group after a lost worker"
    )


class WantedRate(Section):
    """A threshold that is fitted: at most so many real videos of validation are called fake."""

    fpr: Annotated[float, Field(gt=0, lt=1)] = Field(description="wanted false positive rate")


class EvaluationSection(Section):
    """Scoring, the decision, and metrics (arXiv 2508.19730 section 4.3)."""

    split: Literal["test", "val"] = Field("test", description="the split that is measured")
    threshold: Fraction | WantedRate = Field(
        0.5, description="fake at or above it; or {fpr: 0.05}, fitted on `fit_split`"
    )
    calibrate: bool = Field(
        False, description="fit a temperature on `fit_split`, so that scores are probabilities"
    )
    fit_split: Literal["val"] = Field(
        "val", description="what threshold and temperature are fitted on; never test"
    )
    video_rule: Literal["mean", "max_of_persons"] = Field(
        "mean", description="mean over all faces, or the highest mean of a person seen in the video"
    )
    post_processing: list[Literal["jpeg", "h264", "resize", "blur", "noise"]] = Field(
        [], description="measure the loss of AUC under these, at five strengths each"
    )
    bootstrap: Count = Field(1000, description="resamples of videos for the intervals")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    batch_size: Count = 128
    num_workers: Count = 1

    @property
    def is_fitted(self) -> bool:
        """Whether a threshold or a temperature is to be fitted."""
        return self.calibrate or isinstance(self.threshold, WantedRate)

    @property
    def fixed_threshold(self) -> float:
        """The threshold as given, or 0.5 until one is fitted."""
        return 0.5 if isinstance(self.threshold, WantedRate) else self.threshold

    @field_validator("fit_split", mode="before")
    @classmethod
    def _test_chooses_nothing(cls, value: Any) -> Any:
        if value == "test":
            raise ValueError(
                "the test split chooses no checkpoint, threshold or parameter: figures on data that "
                "made a choice are better than the detector is"
            )
        return value

    @model_validator(mode="after")
    def _fitted_on_other_videos_than_measured(self) -> EvaluationSection:
        if self.is_fitted and self.split == self.fit_split:
            raise ValueError(
                f"split {self.split} would be measured with a threshold or temperature fitted on it: "
                "measure test, or give a fixed threshold and no calibration"
            )
        return self


class GatesSection(Section):
    """What a candidate must reach before the alias `champion` moves to it."""

    min_auc: Fraction = 0.5
    min_balanced_accuracy: Fraction = 0.5
    min_coverage: Fraction = Field(0.9, description="videos with a score over videos in the split")
    min_videos: Count = Field(20, description="scored videos, or the figures mean too little")
    max_auc_drop: Fraction = Field(0.0, description="AUC it may lose against the champion")
    max_coverage_drop: Fraction = Field(
        0.02, description="coverage it may lose against the champion"
    )


class RegistrySection(Section):
    """MLflow: where runs and models are kept."""

    tracking_uri: str | None = Field(
        None, description="none: MLFLOW_TRACKING_URI of the environment, or sqlite beside the run"
    )
    experiment: str = "dfray"
    model_name: str = "deepfake-detector"
    gates: GatesSection = GatesSection()


class Recipe(Section):
    """One experiment, from videos to a promoted detector."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    work_dir: str = Field("runs", description="local path or s3:// under which everything is kept")
    cluster: ClusterSection = ClusterSection()
    demo: DemoSection | None = Field(None, description="generate the demo's clips first")
    corpora: Annotated[list[CorpusSection], Field(min_length=1)]
    faces: FacesSection = FacesSection()
    batches: BatchesSection = BatchesSection()
    augment: AugmentSection = AugmentSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    registry: RegistrySection = RegistrySection()

    @model_validator(mode="before")
    @classmethod
    def _demo_clips_lie_in_the_run(cls, values: Any) -> Any:
        corpora = values.get("corpora") if isinstance(values, dict) else None
        for corpus in corpora if isinstance(corpora, list) else []:
            if isinstance(corpus, dict) and corpus.get("reader") == "demo":
                work_dir = values.get("work_dir", cls.model_fields["work_dir"].default)
                corpus.setdefault("root", f"{work_dir}/{values.get('name')}/clips")
        return values

    @model_validator(mode="after")
    def _batch_divides(self) -> Recipe:
        batch, workers = self.batches.batch_size, self.training.num_workers
        accumulate = self.training.accumulate
        if batch % workers:
            raise ValueError(
                f"batches.batch_size {batch} is the global batch and must be a multiple of "
                f"training.num_workers {workers}"
            )
        if batch // workers % accumulate:
            raise ValueError(
                f"a worker's share of batches.batch_size {batch} is {batch // workers} faces, which "
                f"training.accumulate {accumulate} does not divide"
            )
        in_pairs = self.augment.mixes or (self.batches.self_blend and accumulate > 1)
        if in_pairs and batch // workers // accumulate % 2:
            raise ValueError(
                "augment.mixup, augment.cutmix and batches.self_blend take pairs, and the "
                f"{batch // workers // accumulate} faces that a worker takes at once are odd"
            )
        return self

    @model_validator(mode="after")
    def _soft_labels_are_not_mined(self) -> Recipe:
        if self.augment.mixes and self.objective.groups_by_label:
            raise ValueError(
                "augment.mixup and cutmix make soft labels, by which embeddings cannot be told alike "
                "or apart: set both to 0, or take objective.triplet, hypersphere and metric away"
            )
        return self

    @model_validator(mode="after")
    def _slerp_has_a_head(self) -> Recipe:
        if self.objective.hypersphere.slerp and self.model.embedding == "pooled":
            raise ValueError(
                "objective.hypersphere.slerp makes new features for the head, which does not take "
                "model.embedding pooled: use pre_logits"
            )
        return self

    @model_validator(mode="after")
    def _self_blend_fits(self) -> Recipe:
        if self.batches.self_blend is None:
            return self
        batch, workers = self.batches.batch_size, self.training.num_workers
        if batch % (2 * workers):
            raise ValueError(
                f"batches.batch_size {batch} holds pairs with batches.self_blend and must be a "
                f"multiple of 2 x training.num_workers {workers}"
            )
        if not self.faces.landmarks:
            raise ValueError("batches.self_blend needs faces.landmarks: true")
        if self.batches.labels != "binary":
            raise ValueError(
                f"batches.self_blend makes fakes of one kind, and batches.labels: "
                f"{self.batches.labels} tells several apart: use binary"
            )
        if self.batches.stream_first_epoch:
            raise ValueError(
                "batches.self_blend reads written faces; set batches.stream_first_epoch: false"
            )
        return self

    def content(self) -> dict[str, Any]:
        """What a result depends on; where the run lies, runs and is tracked is left out."""
        kept = self.model_dump(mode="json", exclude={"cluster", "work_dir", "description"})
        kept["registry"].pop("tracking_uri")
        for corpus in kept["corpora"]:
            if corpus["reader"] == "demo":  # generated from the recipe itself
                corpus.pop("root")
        return kept
