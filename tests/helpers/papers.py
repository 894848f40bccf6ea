"""A paper of twin recipes on the demo's clips, with a protocol and published figures of its own."""

from __future__ import annotations

from pathlib import Path

PROTOCOL = """
name: twins
title: Two columns
source: made for this test
scenarios:
  - name: Generated
    average: Avg
    columns:
      - {name: Demo, dataset: demo}
      - {name: Extra, dataset: extra}
published:
  source: made for this test
  rows:
    - {name: First, auc: [70.0, 60.0, 65.0], balanced_accuracy: [55.0, 50.0, 52.5]}
    - {name: Second, auc: [71.5, 61.5, 66.5]}
"""
PAPER = """
name: twins
title: Twins of two rows
protocol: protocol.yaml
rows:
  first.yaml: First
  second.yaml: Second
  third.yaml: null
deviations: ["Clips are drawn."]
"""
ROW = """
name: {name}
description: {description}
extends: {twin}
demo: {{train_identities: 4, val_identities: 2, test_identities: 2, real_clips: 1, duration_s: 1.0}}
corpora:
  - {{reader: demo}}
  - {{reader: folder, root: corpora/{corpus}, dataset: {corpus}{split}}}
cluster: {{num_cpus: 4, extract_workers: 1}}
batches: {{batch_size: 8}}
model: {{backbone: test_resnet, size_px: 32}}
training: {{num_workers: 1, epochs: {epochs}, warmup_epochs: 0, max_failures: 0}}
"""


def write_paper(folder: Path, epochs: int = 2) -> Path:
    """Write paper, protocol and recipes; return the paper.

    `first` and `second` are tested on the corpus `extra`, `third` also trains on `learned`.

    Args:
        epochs: of the first row.
    """
    (folder / "protocol.yaml").write_text(PROTOCOL)
    (folder / "paper.yaml").write_text(PAPER)
    tested = {"corpus": "extra", "split": ", split: test"}
    for name, twin, number, corpus in (
        ("first", "twin-fsfm", epochs, tested),
        ("second", "twin-fsfm-ba", 2, tested),
        ("third", "twin-fsfm", 2, {"corpus": "learned", "split": ""}),
    ):
        row = ROW.format(name=name, twin=twin, epochs=number, description=f"Twin {name}", **corpus)
        (folder / f"{name}.yaml").write_text(row)
    return folder / "paper.yaml"
