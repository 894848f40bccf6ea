"""Network and training objective."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dfray.config.section import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Section,
    Side,
    Unit,
    Younger,
)

Levels = tuple[Fraction, Fraction, Fraction]  # of RGB; mobilevit and others have a mean of 0
Deviations = tuple[Positive, Positive, Positive]


MERGED = ("lora", "svd")
"""Modes of tuning whose parameters are merged into plain layers when a network is saved."""

_REDUCTION = 4  # of FS-Adapter's public code
_TUNING_KEYS: dict[str, tuple[str, ...]] = {
    "tuning_rank": MERGED,
    "tuning_targets": MERGED,
    "lora_alpha": ("lora",),
}
"""Key -> the modes of tuning that it is for."""


class ModelSection(Section):
    """Network: a timm backbone with its initial weights, and a linear head on its embedding."""

    backbone: str = Field("vit_base_patch16_224", description="name of a timm model")
    weights: str | None = Field(
        None,
        description="initial weights; null: random; timm: those that timm publishes; else a file: a local "
        "path, s3:// or hf://owner/repo[@revision][/path]",
    )
    weights_layout: Literal["timm", "fsfm"] = Field(
        "timm",
        description="layout of the file of weights; fsfm: the checkpoints of arXiv 2412.12032",
    )
    size_px: Annotated[Side, Unit("px")] = Field(
        224, description="side of the backbone's input; crops are resized to it"
    )
    num_heads: Annotated[Count | None, Younger()] = Field(
        None,
        description="attention heads of each block of a ViT, which no file's shapes tell; null: those that "
        "the publisher of the weights states (FSFM's and FS-VFM's ViT-S: 12), else timm's",
    )
    pool: Literal["avg", "token", "map"] | None = Field(
        None,
        description="pooling of tokens: mean of the patches, class token, or attention; null: the one that "
        "the weights were trained with; avg for weights_layout fsfm, and for a plain ViT from random weights",
    )
    embedding: Literal["pre_logits", "pooled"] = Field(
        "pre_logits",
        description="embedding of the losses: after fc_norm (timm's forward_head pre_logits), or before",
    )
    normalise_embedding: bool = Field(
        False, description="L2-normalise the embedding, also for the head (arXiv 2503.19683)"
    )
    head_init_std: Positive | None = Field(
        None,
        description="standard deviation of the head's truncated normal initial weights; null: timm's own",
    )
    fixed_padding_px: Annotated[Side | None, Younger(), Unit("px")] = Field(
        None,
        description="side of the picture that strided layers of TensorFlow's EfficientNets are padded for, "
        "the stem unpadded, as DeepfakeBench's EfficientNet-B4 has it (380); null: padded by the input",
    )
    fs_adapter: Annotated[Count | None, Younger()] = Field(
        None,
        description="width of the embedding over that of FS-Adapter's bottleneck (arXiv 2510.10663), whose "
        "output the head reads beside the embedding; trained with the head; null: 4 with tuning adapter, "
        "else no adapter",
    )
    tuning: Literal["full", "head", "norm_layers", "last_blocks", "lora", "svd", "adapter"] = Field(
        "full",
        description="parameters to train; the head always is; lora: low-rank products beside frozen layers "
        "(peft); svd: smallest singular components (arXiv 2411.15633); adapter: fs_adapter above a frozen "
        "backbone, whose projection is the embedding of the losses",
    )
    tuned_blocks: Count | None = Field(
        None, description="number of blocks to train with tuning last_blocks"
    )
    tuning_rank: Annotated[Count | None, Younger()] = Field(
        None,
        description="size of what is trained: lora: rank of a product, null: 8; svd: components of a matrix, "
        "null: 1",
    )
    tuning_targets: Annotated[tuple[str, ...] | None, Younger()] = Field(
        None,
        description="ends of the names of the linear layers that lora and svd change, such as attn.qkv; "
        "null: the projections of all attention layers",
    )
    lora_alpha: Annotated[Positive | None, Younger()] = Field(
        None, description="scale of lora: its product counts alpha / rank; null: the rank"
    )
    mean: Levels | None = Field(
        None,
        description="mean of red, green and blue in 0..1 to normalise by; null: the weights' own",
    )
    std: Deviations | None = Field(
        None,
        description="standard deviation of red, green and blue in 0..1; null: the weights' own",
    )
    drop_path: Fraction = Field(0.0, description="largest rate of stochastic depth")

    @model_validator(mode="after")
    def _keys_agree(self) -> ModelSection:
        if self.weights_layout == "fsfm" and self.weights in (None, "timm"):
            raise ValueError(
                "weights_layout fsfm needs weights: hf://Wolowolo/fsfm-3c, or a copy of it"
            )
        if (self.tuning == "last_blocks") != (self.tuned_blocks is not None):
            raise ValueError("tuning last_blocks and tuned_blocks go together")
        self._tuning_keys_agree()
        if self.normalise_embedding and self.embedding == "pooled":
            raise ValueError(
                "normalise_embedding goes with embedding pre_logits, which the head reads"
            )
        if self.adapter_reduction is not None and self.embedding == "pooled":
            raise ValueError("fs_adapter goes with embedding pre_logits, which the head reads")
        return self

    def _tuning_keys_agree(self) -> None:
        for key, modes in _TUNING_KEYS.items():
            if getattr(self, key) is not None and self.tuning not in modes:
                raise ValueError(f"{key} goes with tuning {' or '.join(modes)}, not {self.tuning}")
        if self.tuning_targets == ():
            raise ValueError("tuning_targets is empty: name a layer, or leave it out")

    @property
    def adapter_reduction(self) -> int | None:
        """Width of the embedding over that of FS-Adapter's bottleneck; None: there is no adapter."""
        return self.fs_adapter or (_REDUCTION if self.tuning == "adapter" else None)

    def as_saved(self) -> ModelSection:
        """Return the network that a bundle holds: lora and svd are merged into its layers."""
        if self.tuning not in MERGED:
            return self
        plain = {"tuning": "full", **dict.fromkeys(_TUNING_KEYS)}
        return self.model_copy(update=plain)

    def without_weights(self) -> ModelSection:
        """Return the same network with random initial weights, for counting or for loading its own."""
        return self.model_copy(update={"weights": None, "weights_layout": "timm"})


class TripletSection(Section):
    """Triplet loss on raw Euclidean distances (arXiv 2508.19730 section 3.3).

    The paper tuned w and m and publishes neither.
    """

    strategy: Literal["batch_all", "batch_hard", "easy_positive"] = Field(
        "batch_all",
        description="mining; batch_all: all active triplets; batch_hard: hardest positive and negative of "
        "each anchor; easy_positive: easiest positive, hardest negative",
    )
    weight: float | Literal["balance"] = Field(
        0.0,
        description="weight w of the term; 0: off; balance: ratio of cross-entropy to triplet loss, "
        "measured over the first steps and then constant",
    )
    balance_steps: Annotated[Count, Unit("steps")] = Field(
        50, description="steps that weight balance measures over, within the first epoch"
    )
    margin: NotNegative = Field(1.0, description="margin m, as a Euclidean distance of embeddings")

    @field_validator("weight", mode="before")
    @classmethod
    def _number_or_balance(cls, value: Any) -> Any:
        """Return the weight, or raise one message where a union would raise one per type."""
        if value != "balance" and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"it is a number of 0 or more, or balance (got {value!r})")
        return value


class HypersphereSection(Section):
    """Terms on L2-normalised embeddings (arXiv 2503.19683, after arXiv 2005.10242)."""

    alignment: NotNegative = Field(
        0.0, description="weight of the mean squared distance within classes; 0: off"
    )
    uniformity: NotNegative = Field(
        0.0, description="weight of the log mean Gaussian potential of all pairs; 0: off"
    )
    slerp: bool = Field(
        False,
        description="replace each embedding in training by a random point on the arc to another of its "
        "class",
    )


class MetricSection(Section):
    """Loss of pytorch-metric-learning on the embeddings of the global batch."""

    name: str = Field(
        description="class name of the loss, such as ArcFaceLoss, SupConLoss or ProxyAnchorLoss"
    )
    options: dict[str, Any] = Field(
        {},
        description="keyword arguments of the loss; num_classes and embedding_size are set from the model",
    )
    weight: Positive = Field(1.0, description="weight of the term")
    lr_scale: Positive = Field(
        1.0, description="learning rate of the loss's own parameters, as a multiple of training.lr"
    )


class ComponentsSection(Section):
    """Terms on the singular components that model.tuning svd trains (arXiv 2411.15633 section 3)."""

    orthogonality: Annotated[NotNegative, Younger()] = Field(
        0.0,
        description="weight of the squared deviation of all singular vectors from an orthonormal basis",
    )
    singular_values: Annotated[NotNegative, Younger()] = Field(
        0.0,
        description="weight of the change of a matrix's sum of squared singular values",
    )

    @property
    def is_used(self) -> bool:
        return bool(self.orthogonality or self.singular_values)


class ObjectiveSection(Section):
    """Softmax cross-entropy plus weighted terms on the embeddings and on trained components."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the training target that is spread over all classes"
    )
    triplet: TripletSection = TripletSection()
    hypersphere: HypersphereSection = HypersphereSection()
    metric: MetricSection | None = Field(
        None, description="further loss on the embeddings; null: off"
    )
    components: ComponentsSection = ComponentsSection()

    @property
    def groups_by_label(self) -> bool:
        """True if a term groups embeddings by class."""
        sphere = self.hypersphere
        return bool(self.triplet.weight or sphere.alignment or sphere.slerp or self.metric)
