"""Training: plain torch steps, their resumable state, and Ray Train around them."""
