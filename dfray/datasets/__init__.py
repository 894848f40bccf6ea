"""From corpora to a manifest: one reader a corpus, one row a video."""
