"""Networks: a timm backbone with a linear head, its preprocessing, and how both are kept."""
