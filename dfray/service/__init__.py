"""The champion behind HTTP, on Ray Serve: replicas that score, and one front that clients talk to."""
