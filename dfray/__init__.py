"""dfray: distributed training of deepfake detectors on Ray."""

__version__ = "0.1.0"
