"""Self-blended images (arXiv 2204.08376): a real face blended with itself is a fake for training.

    views   the source and the target, two slightly different views of one face
    mask    the blending mask: the hull of the face's landmarks, deformed and softened
    blend   pairs of a real view and its fake
    draws   the random numbers of a batch
    sheet   a contact sheet for inspection

Written from the paper, which names the steps and few numbers: ranges without a source are ours.
"""

from dfray.batches.self_blend.blend import Blended, SelfBlend
from dfray.batches.self_blend.draws import Draws

__all__ = ["Blended", "Draws", "SelfBlend"]
