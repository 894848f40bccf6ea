"""An object store that fails for good, and what is then told."""

import pytest

from tests.helpers.proxy import BUSY, FULL

fails_for_good = pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(FULL, "The bucket is full", id="full"),
        pytest.param(BUSY, "was tried again and again", id="503 for ever", marks=pytest.mark.slow),
    ],
)
