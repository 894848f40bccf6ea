"""Corpus of the demo: talking heads drawn from a seed, with face swaps and reenactments of them.

identity    a person's appearance    draw       the person, painted once in layers
expression  eyes and mouth           animate    the layers moved, lit and filmed
forge       the two fakes            encode     grain and the encoder of all clips
generate    plan and process pool    shapes     drawing tools
"""

from dfray.demo.generate import clip_rows, generate_clips

__all__ = ["clip_rows", "generate_clips"]
