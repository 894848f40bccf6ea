"""The demo's corpus: talking heads drawn from a seed, with face swaps and reenactments of them.

identity  who a person is        draw       the person, painted once in layers
expression  eyes and mouth       animate    the layers moved, lit and filmed
forge     the two fakes          encode     grain and the one encoder
generate  the plan and the pool
"""

from dfray.demo.generate import clip_rows, generate_clips

__all__ = ["clip_rows", "generate_clips"]
