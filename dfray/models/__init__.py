"""Networks: a timm backbone with a linear head; its weights, tuning, input and storage."""
