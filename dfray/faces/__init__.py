"""From videos to face crops: sampling, decoding, detection, cropping, and the shards they lie in."""
