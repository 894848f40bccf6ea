"""Networks: a timm backbone with a linear head, how it starts, is tuned, is fed and is kept."""
