"""From faces to batches: the balanced sample, the reader over written faces, the live stream."""
