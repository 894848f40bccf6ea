"""A child for DigestReader of which any file with `.stuck` in its name lies on a mount that hangs.

One with `.fatal` in it ends the child.
"""

from __future__ import annotations

import os
import sys
import time

from dfray.faces import sources
from dfray.faces.digest_child import main

STUCK = (sys.executable, "-P", "-m", "tests.helpers.stuck_digests")
_content_digest = sources.content_digest


def _look_at(uri: str, kind: str, n_samples: int) -> str | None:
    while ".stuck" in uri:
        time.sleep(1)
    if ".fatal" in uri:
        os.abort()
    return _content_digest(uri, kind, n_samples)


if __name__ == "__main__":
    sources.content_digest = _look_at
    main()
