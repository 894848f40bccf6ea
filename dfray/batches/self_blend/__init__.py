"""Self-blended images (arXiv 2204.08376): a real face blended with itself makes a fake to learn from.

    views   the source and the target, two views of one face that differ a little
    mask    where the source goes: the hull of the face's landmarks, deformed and softened
    blend   both together: pairs of a real view and its fake

Written from the paper, which names the steps and few numbers: ranges without a source are ours.
"""

from dfray.batches.self_blend.blend import Blended, SelfBlend
from dfray.batches.self_blend.draws import Draws

__all__ = ["Blended", "Draws", "SelfBlend"]
