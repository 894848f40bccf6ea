"""A tiny detector with random weights, and pictures and clips with one drawn head."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from dfray.config import CorpusSection, FacesSection, ModelSection, Recipe, RegistrySection
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.registry.measurements import HeadlineMetrics
from tests.helpers.heads import background, draw_head, paste

FIGURES = HeadlineMetrics(
    auc=0.91, balanced_accuracy=0.82, coverage=1.0, n_videos=64, evaluation_set="demo"
)
SECTION = RegistrySection(experiment="package tests", model_name="packaged")
RECIPE = Recipe(
    name="tiny",
    corpora=[CorpusSection(reader="folder", root="clips")],
    faces=FacesSection(rate_fps=2.0),
    model=ModelSection(backbone="test_resnet", size_px=64),
    registry=SECTION,
)


def save_bundle(folder: Path, recipe: Recipe = RECIPE) -> Path:
    torch.manual_seed(0)
    bundle = Bundle(
        detector=build_detector(recipe.model, 2),
        preprocess=Preprocess(recipe.model),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=0.5,
        faces=recipe.faces.model_dump(mode="json"),
    )
    bundle.save(folder)
    return folder


def portrait(seed: int = 3) -> np.ndarray:
    """One drawn head before a background: uint8 (240, 320, 3)."""
    picture = background(320, 240, seed)
    paste(picture, draw_head(seed, 140), 90, 50)
    return picture


def write_clip(path: Path, picture: np.ndarray, seconds: int = 2) -> Path:
    """H.264 of a still, 10 pictures a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        for _ in range(10 * seconds):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
