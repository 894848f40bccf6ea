"""Encoding of face crops and landmarks in rows of FACES."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa

from dfray.config import FacesSection
from dfray.errors import SchemaError
from dfray.faces.landmarks import POINTS


def encode_image(image: np.ndarray, settings: FacesSection) -> tuple[str, bytes]:
    """Return the `encoding` and the bytes of a crop.

    Args:
        image: uint8 (S, S, 3), RGB.
    """
    if settings.storage != "jpeg":
        return "rgb8", image.tobytes()
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=settings.jpeg_quality, subsampling=0)
    return "jpeg", buffer.getvalue()


def decode_images(table: pa.Table) -> np.ndarray:
    """Return the crops of FACES rows (columns image, encoding, size_px) as uint8 (N, S, S, 3), RGB.

    Raises:
        SchemaError: sizes differ, or a crop has another number of bytes than its size requires.
    """
    if table.num_rows == 0:
        return np.zeros((0, 0, 0, 3), np.uint8)
    sizes = table.column("size_px").unique().to_pylist()
    encodings = table.column("encoding").unique().to_pylist()
    if len(sizes) != 1 or len(encodings) != 1:
        raise SchemaError(f"Crops of several sizes or encodings in one batch: {sizes} {encodings}.")
    size = sizes[0]
    column = table.column("image")
    images = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies
    if encodings[0] == "jpeg":
        return np.stack([_decode_jpeg(image.as_buffer(), size) for image in images])
    offsets = np.frombuffer(images.buffers()[1], np.int32)[
        images.offset : images.offset + len(images) + 1
    ]
    if np.any(np.diff(offsets) != size * size * 3):
        raise SchemaError(
            f"A crop does not have the {size * size * 3} bytes of {size} x {size} px."
        )
    data = np.frombuffer(images.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.reshape(len(images), size, size, 3)


def _decode_jpeg(data: pa.Buffer, size: int) -> np.ndarray:
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    if image.shape != (size, size, 3):
        raise SchemaError(f"A crop is {image.shape[1]} x {image.shape[0]} px, not {size} x {size}.")
    return image


def decode_landmarks(table: pa.Table) -> np.ndarray:
    """Return the landmarks of FACES rows (columns landmarks, size_px), in units of the crop's side.

    Returns:
        float32 (N, 468, 2); NaN for a face without landmarks.

    Raises:
        SchemaError: a face has another number of them.
    """
    column = table.column("landmarks").combine_chunks()
    is_given = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    if len(values) != np.count_nonzero(is_given) * POINTS * 2:
        raise SchemaError(f"The landmarks of a face are {POINTS} x 2 numbers, or none at all.")
    landmarks = np.full((len(is_given), POINTS, 2), np.nan, np.float32)
    landmarks[is_given] = values.reshape(-1, POINTS, 2)
    sides: np.ndarray = table.column("size_px").to_numpy().astype(np.float32)
    landmarks /= sides[:, None, None]
    return landmarks
