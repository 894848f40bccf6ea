"""Scores that are made, not measured, and a process that keeps them: `python -m … FILE PAUSE_S`."""

from __future__ import annotations

import sys
import time

from dfray.faces.properties import StreamProperties
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_store import ScoreStore
from dfray.serving.score_table import FileScore, ScoringModel

MODEL = ScoringModel("packaged", "1", "0" * 64, 0.5, "set by the recipe")
NAMES = [f"/clips/{k:02d}{mark}.mp4" for k in range(20) for mark in ("", "=")]


def made_score(name: str, model: ScoringModel = MODEL) -> FileScore:
    """A score that depends on the name alone; every fourth has none."""
    number = sum(name.encode())
    stream = StreamProperties(codec="h264", width=320, height=240, fps=25.0, duration_s=2.0)
    if number % 4 == 0:
        return FileScore.of(name, MediaScore(Findings("no_face", "no face", 4, [], stream)), model)
    probability = number % 97 / 96
    verdict = "fake" if probability >= model.threshold else "real"
    findings = Findings("ok", None, 4, [], stream)
    return FileScore.of(name, MediaScore(findings, probability, verdict, work_s=0.1), model)


def keep(uri: str, pause_s: float) -> None:
    """Keep the scores of the NAMES that are missing in `uri`; print each."""
    store = ScoreStore(uri, MODEL, commit_s=0)
    with store.opened():
        for name in NAMES:
            if store.find(name) is None:
                store.add_score(made_score(name))
                print(name, flush=True)
                time.sleep(pause_s)


if __name__ == "__main__":
    keep(sys.argv[1], float(sys.argv[2]))
