"""Whole recipe, and the constraints between its sections."""

from __future__ import annotations

import hashlib
from functools import reduce
from operator import getitem
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from dfray.config.batches import AugmentSection, BatchesSection
from dfray.config.data import (
    BEFORE_KEYS,
    ClusterSection,
    CorpusSection,
    DemoSection,
    FacesSection,
)
from dfray.config.evaluation import EvaluationSection
from dfray.config.model import ModelSection, ObjectiveSection
from dfray.config.registry import RegistrySection
from dfray.config.search import SearchSection
from dfray.config.section import Section
from dfray.config.training import TrainingSection
from dfray.nested import flatten
from dfray.text import mask


def clips_key(demo: Any, seed: Any) -> str:
    """Return the name of the folder of the demo's clips: 12 hex digits of their settings and seed.

    Args:
        demo: a DemoSection, or its values, which need not be valid.
    """
    try:
        content = f"{DemoSection.model_validate(demo or {}).fingerprint()} {seed}"
    except ValidationError:  # told of with the section itself
        content = ""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


class Recipe(Section):
    """One experiment, from videos to a promoted detector."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="name of the run and of its folder in work_dir"
    )
    description: str = Field("", description="one line about the experiment")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="random seed of all stages")
    work_dir: str = Field(
        "runs", description="local path or s3:// URI that holds the folders of all runs"
    )
    cluster: ClusterSection = ClusterSection()
    demo: DemoSection | None = Field(
        None, description="clips to generate for reader demo; null: none"
    )
    corpora: Annotated[list[CorpusSection], Field(min_length=1)] = Field(
        description="corpora to read into the manifest"
    )
    faces: FacesSection = FacesSection()
    batches: BatchesSection = BatchesSection()
    augment: AugmentSection = AugmentSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    registry: RegistrySection = RegistrySection()
    search: SearchSection = SearchSection()

    @model_validator(mode="before")
    @classmethod
    def _demo_clips_lie_under_their_key(cls, values: Any) -> Any:
        corpora = values.get("corpora") if isinstance(values, dict) else None
        for corpus in corpora if isinstance(corpora, list) else []:
            if isinstance(corpus, dict) and corpus.get("reader") == "demo":
                work_dir = values.get("work_dir", cls.model_fields["work_dir"].default)
                key = clips_key(values.get("demo"), values.get("seed", 0))
                corpus["root"] = f"{work_dir}/clips/{key}"
        return values

    @model_validator(mode="after")
    def _holds_no_password(self) -> Recipe:
        for key, value in flatten(self.model_dump(mode="json")):
            if isinstance(value, str) and mask(value) != value:
                raise ValueError(
                    f"{key} {mask(value)} holds a user, a password or a token, and recipes are recorded: set "
                    "MLFLOW_TRACKING_URI, or what else its client reads, in the environment"
                )
        return self

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name in ("faces", "clips"):
            raise ValueError(
                f"work_dir keeps the {name} of all runs in a folder {name}: choose another"
            )
        return name

    @model_validator(mode="after")
    def _batch_divides(self) -> Recipe:
        for workers in self.training.worker_counts:
            self._batch_divides_by(workers)
        return self

    def _batch_divides_by(self, workers: int) -> None:
        batch, accumulate = self.batches.batch_size, self.training.accumulate
        if batch % workers:
            divisor = f"training.num_workers {workers}"
            if workers != self.training.num_workers:
                divisor = f"the {workers} workers that training.min_workers allows"
            raise ValueError(
                f"batches.batch_size {batch} is the global batch and must be a multiple of {divisor}"
            )
        if batch // workers % accumulate:
            raise ValueError(
                f"a worker's share of batches.batch_size {batch} is {batch // workers} faces, which "
                f"training.accumulate {accumulate} does not divide"
            )
        in_pairs = self.augment.mixes or (self.batches.in_pairs and accumulate > 1)
        if in_pairs and batch // workers // accumulate % 2:
            raise ValueError(
                "augment.mixup, augment.cutmix, batches.self_blend and batches.pairing take pairs, and the "
                f"{batch // workers // accumulate} faces that a worker takes at once are odd"
            )

    @model_validator(mode="after")
    def _soft_labels_are_not_mined(self) -> Recipe:
        if self.augment.mixes and self.objective.groups_by_label:
            raise ValueError(
                "augment.mixup and cutmix make soft labels, which do not group embeddings by class: set "
                "both to 0, or remove objective.triplet, hypersphere and metric"
            )
        return self

    @model_validator(mode="after")
    def _slerp_has_a_head(self) -> Recipe:
        if self.objective.hypersphere.slerp and self.model.embedding == "pooled":
            raise ValueError(
                "objective.hypersphere.slerp makes new features for the head, which does not read "
                "model.embedding pooled: use pre_logits"
            )
        if self.objective.hypersphere.slerp and self.model.tuning == "adapter":
            raise ValueError(
                "objective.hypersphere.slerp makes new features for the head, which does not read the "
                "projection that model.tuning adapter gives the losses: set slerp to false"
            )
        return self

    @model_validator(mode="after")
    def _sharded_weights_are_read_by_the_network(self) -> Recipe:
        terms = {
            "hypersphere.slerp": self.objective.hypersphere.slerp,
            "components": self.objective.components.is_used,
        }
        for name, is_used in terms.items():
            if is_used and self.training.parallelism == "fsdp":
                raise ValueError(
                    f"objective.{name} reads weights beside the network, which training.parallelism fsdp has "
                    "divided: use ddp"
                )
        return self

    @model_validator(mode="after")
    def _components_are_trained(self) -> Recipe:
        if self.objective.components.is_used and self.model.tuning != "svd":
            raise ValueError(
                "objective.components are terms on what model.tuning svd trains, and model.tuning is "
                f"{self.model.tuning}: set both weights to 0, or use svd"
            )
        return self

    @model_validator(mode="after")
    def _pairs_fit(self) -> Recipe:
        if not self.batches.in_pairs:
            return self
        key = "self_blend" if self.batches.self_blend else "pairing"
        batch = self.batches.batch_size
        for workers in self.training.worker_counts:
            if batch % (2 * workers):
                raise ValueError(
                    f"batches.batch_size {batch} holds pairs with batches.{key} and must be a "
                    f"multiple of 2 x training.num_workers {workers}"
                )
        return self

    @model_validator(mode="after")
    def _self_blend_fits(self) -> Recipe:
        if self.batches.self_blend is None:
            return self
        if self.batches.pairing is not None:
            raise ValueError(
                "batches.self_blend makes each fake of a real face of its batch: set batches.pairing: null"
            )
        if not self.faces.landmarks:
            raise ValueError("batches.self_blend needs faces.landmarks: true")
        if self.batches.labels != "binary":
            raise ValueError(
                f"batches.self_blend makes fakes of one kind, and batches.labels: "
                f"{self.batches.labels} needs several: use binary"
            )
        if self.batches.stream_first_epoch:
            raise ValueError(
                "batches.self_blend reads written faces; set batches.stream_first_epoch: false"
            )
        return self

    def content(self) -> dict[str, Any]:
        """Return the settings that a run's result depends on, as JSON.

        Left out: location, cluster and tracking server, what a search of the same recipe varies, and younger
        keys at their default, so that a run of an earlier date is still the same recipe's.
        """
        excluded = {"cluster", "work_dir", "description", "search"}
        content = self.model_dump(mode="json", exclude=excluded)
        content["registry"].pop("tracking_uri")
        content["training"].pop("min_workers")  # the batches are the same
        for key in self.unused_younger():
            *sections, last = key.split(".")
            reduce(getitem, sections, content).pop(last)
        for key in BEFORE_KEYS:
            if content["faces"][key] == FacesSection.model_fields[key].default:
                content["faces"].pop(key)
        for section, corpus in zip(self.corpora, content["corpora"], strict=True):
            for key in section.unused_younger():
                corpus.pop(key)
            if corpus["reader"] == "demo":  # generated from the recipe itself
                corpus.pop("root")
        return content
