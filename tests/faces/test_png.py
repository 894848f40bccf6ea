"""Only the chunks of a PNG file that its pixels need are left, and a damaged file is left as it is."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, PngImagePlugin

from dfray.faces.png import needed_chunks


def picture_with_remarks() -> bytes:
    remarks = PngImagePlugin.PngInfo()
    remarks.add_text("parameters", "a prompt")
    file = io.BytesIO()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(file, "PNG", pnginfo=remarks, dpi=(72, 72), icc_profile=b"profile")
    return file.getvalue()


def test_remarks_and_profiles_are_left_out_and_pixels_are_not() -> None:
    file = picture_with_remarks()
    needed = needed_chunks(file)
    for name in (b"tEXt", b"pHYs", b"iCCP"):
        assert name in file
        assert name not in needed
    with Image.open(io.BytesIO(file)) as whole, Image.open(io.BytesIO(needed)) as short:
        assert np.array_equal(np.array(whole), np.array(short))


def test_a_file_that_is_cut_off_keeps_all_of_its_pixels() -> None:
    file = picture_with_remarks()
    pixels = file.index(b"IDAT") + 10
    assert needed_chunks(file[:pixels]).endswith(file[pixels - 14 : pixels])
