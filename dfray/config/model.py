"""The network, and what training minimises."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dfray.config.section import Count, Fraction, NotNegative, Positive, Section

Levels = tuple[Fraction, Fraction, Fraction]  # of RGB; mobilevit and others have a mean of 0
Deviations = tuple[Positive, Positive, Positive]


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
    margin: NotNegative = Field(1.0, description="m, in embedding units")

    @field_validator("weight", mode="before")
    @classmethod
    def _number_or_balance(cls, value: Any) -> Any:
        """One message for both, where a union would give one for each."""
        if value != "balance" and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"it is a number of 0 or more, or balance (got {value!r})")
        return value


class HypersphereSection(Section):
    """Terms on L2-normalised embeddings (arXiv 2503.19683, after arXiv 2005.10242)."""

    alignment: NotNegative = Field(
        0.0, description="weight of the mean squared distance within classes; 0 leaves it out"
    )
    uniformity: NotNegative = Field(
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
