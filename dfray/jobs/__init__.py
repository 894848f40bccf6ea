"""A stage as a job of a cluster: packed here, started there by jobs/<stage>.py, followed to its end."""
