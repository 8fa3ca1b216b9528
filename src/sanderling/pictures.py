"""The one path of a picture before the network: decode, then letterbox or stretch. NumPy and OpenCV only.

Boxes are in edge coordinates: the left edge of the first pixel is 0 and the right edge of the last one is the width.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule

if TYPE_CHECKING:
    from PIL import Image

Picture = NDArray[np.uint8]

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dng", ".gif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"}
)

MOST_PIXELS = 2**28
"""A picture that claims more (0.8 GB of memory as RGB) is refused before anything is decoded."""

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# OpenCV reads these as "decode to RGB at 1/1, 1/2, 1/4, 1/8 of the size": the colour flag plus the reduction flag.
_DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where a picture stands in the network input.

    Attributes:
        matrix: float64 2x3, original pixels to pixels of the network input.
        size_hw: height and width of the network input.
        original_hw: height and width of the original picture.
    """

    matrix: NDArray[np.float64]
    size_hw: tuple[int, int]
    original_hw: tuple[int, int]

    def to_network(self, boxes_xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Move boxes (N, 4) from the original picture into the network input, unclipped."""
        scale = self.matrix[[0, 1, 0, 1], [0, 1, 0, 1]]
        offset = self.matrix[[0, 1, 0, 1], 2]
        return (boxes_xyxy * scale + offset).astype(np.float32)

    def to_original(self, boxes_xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Move boxes (N, 4) from the network input back into the original picture and clip them to it."""
        scale = self.matrix[[0, 1, 0, 1], [0, 1, 0, 1]]
        offset = self.matrix[[0, 1, 0, 1], 2]
        height, width = self.original_hw
        limit = np.array([width, height, width, height], np.float64)
        return np.clip((boxes_xyxy - offset) / scale, 0, limit).astype(np.float32)


def decode(source: Path | bytes, *, smallest_hw: tuple[int, int] | None = None) -> Picture:
    """Decode a picture to uint8 HxWx3 RGB, upright: EXIF orientation is applied, other colour models are converted.

    Args:
        source: a file, or the bytes of one.
        smallest_hw: when given, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as neither side comes
            out smaller than this (half the time at 1/2; not the same pixels as a later resize).

    Raises:
        DataError: the file is missing, empty, cut off, not a picture or of more than `MOST_PIXELS`.
    """
    name = "picture in memory" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read(source)
    if not data:
        raise DataError(f"{name}: has zero bytes; restore the picture or remove it from the data set")
    jpeg = data.startswith(_JPEG)
    _refuse_huge(data, name)
    if jpeg and is_cut_off(data):
        raise DataError(f"{name}: the JPEG is cut off after {len(data)} bytes; restore the picture or remove it")
    size = jpeg_size(data) if jpeg and smallest_hw is not None else None
    reduction = 1 if size is None or smallest_hw is None else jpeg_reduction(size, smallest_hw)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), _DECODE_FLAGS[reduction])
    except cv2.error:
        picture = None
    return _decode_rare(data, name) if picture is None else np.asarray(picture, np.uint8)


def fit(image: Picture, rule: PictureRule, *, original_hw: tuple[int, int] | None = None) -> tuple[Picture, Placement]:
    """Bring a picture of any size to the network's input size.

    Args:
        image: uint8 HxWx3.
        rule: size, letterbox (centred) or stretch, and the grey of the border.
        original_hw: size that boxes refer to, when `image` was decoded at a reduced scale.

    Returns:
        The network input, uint8 HxWx3, and the placement that leads boxes back.
    """
    height, width = image.shape[:2]
    placement = place(original_hw or (height, width), rule)
    target_height, target_width = rule.size_hw
    new_height, new_width, top, left = _inner(placement.original_hw, rule)
    if (height, width) == (target_height, target_width) == (new_height, new_width):
        return image, placement
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    if (new_height, new_width) == (target_height, target_width):
        return np.asarray(resized, np.uint8), placement
    bottom, right = target_height - new_height - top, target_width - new_width - left
    border = (rule.pad_value,) * 3
    canvas = cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_CONSTANT, value=border)
    return np.asarray(canvas, np.uint8), placement


def place(original_hw: tuple[int, int], rule: PictureRule) -> Placement:
    """Where a picture of that height and width stands in the network input; `fit` brings the pixels there."""
    height, width = original_hw
    new_height, new_width, top, left = _inner(original_hw, rule)
    matrix = np.array([[new_width / width, 0, left], [0, new_height / height, top]], np.float64)
    return Placement(matrix=matrix, size_hw=rule.size_hw, original_hw=original_hw)


def round_up_size(size_hw: tuple[int, int], stride: int) -> tuple[int, int]:
    """The smallest size that is not smaller than `size_hw` and a multiple of `stride` on both sides."""
    height, width = size_hw
    return -(-height // stride) * stride, -(-width // stride) * stride


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width from a JPEG's frame header (before EXIF orientation), None when there is none."""
    position = 2
    while position + 9 < len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[position + 5 : position + 7]), int.from_bytes(data[position + 7 : position + 9])
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None


def jpeg_reduction(size_hw: tuple[int, int], smallest_hw: tuple[int, int]) -> int:
    """By how much a JPEG of this size may be reduced (1, 2, 4, 8) to come out no smaller than `smallest_hw`.

    Its orientation is not looked at, so the shorter side has to satisfy both wishes.
    """
    room = min(min(size_hw) / max(1, min(smallest_hw)), max(size_hw) / max(1, *smallest_hw))
    return next((factor for factor in (8, 4, 2) if room >= factor), 1)


def is_cut_off(data: bytes) -> bool:
    """Whether the bytes of a JPEG lack the end of its picture; a preview before it or a film after it do not count."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _START_OF_SCAN[1]:
            break
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4])
    return data.rfind(_END_OF_IMAGE) < position


def _inner(original_hw: tuple[int, int], rule: PictureRule) -> tuple[int, int, int, int]:
    """Height, width, top and left of the picture inside the network input, in whole pixels."""
    height, width = original_hw
    target_height, target_width = rule.size_hw
    if rule.resize == "stretch":
        return target_height, target_width, 0, 0
    scale = min(target_height / height, target_width / width)
    new_height = min(target_height, max(1, round(height * scale)))
    new_width = min(target_width, max(1, round(width * scale)))
    return new_height, new_width, (target_height - new_height) // 2, (target_width - new_width) // 2


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture; restore it or remove it from the data set") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _refuse_huge(data: bytes, name: str) -> None:
    """A few bytes may claim any size, and decoders believe them."""
    if data.startswith(_JPEG):
        size = jpeg_size(data)
    elif data.startswith(_PNG):
        size = int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
    else:
        size = _size_by_pillow(data, name)
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            f"{name}: claims {size[1]} x {size[0]} pixels (width x height); at most {MOST_PIXELS:,} are decoded; "
            "restore the picture, cut it into parts or remove it"
        )


def _size_by_pillow(data: bytes, name: str) -> tuple[int, int] | None:
    """Height and width from any other header, None where Pillow does not know it either."""
    from PIL.Image import DecompressionBombError

    try:
        with _open_quietly(data) as opened:
            return opened.height, opened.width
    except DecompressionBombError as error:
        raise DataError(f"{name}: claims too many pixels ({error}); cut the picture into parts or remove it") from None
    except Exception:
        return None


@contextlib.contextmanager
def _open_quietly(data: bytes) -> Iterator[Image.Image]:
    """A picture opened by Pillow, whose warnings about odd files help nobody here."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as opened:
            yield opened


def _decode_rare(data: bytes, name: str) -> Picture:
    """Decode what OpenCV does not, through Pillow."""
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with _open_quietly(data) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"), np.uint8)
    except UnidentifiedImageError:
        raise DataError(f"{name}: is not a picture of a known format; restore it or remove it") from None
    # Pillow's readers raise whatever comes up on broken files.
    except Exception as error:
        raise DataError(f"{name}: cannot be decoded as a picture ({error}); restore it or remove it") from None
