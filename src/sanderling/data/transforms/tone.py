"""Changes of colour that are not drawn as one affine map for a whole window: those of AutoAugment.

Each does what Pillow's function of that name does, to within one level, on a uint8 HxWx3 RGB picture in place; the
picture may be a view of a region. Those that are affine give their matrix, float32 3x4, as `colour_matrices` does, so
that several become one; `apply_matrix` applies it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.transforms.fill import Image

Matrix = NDArray[np.float32]

# Luma of BT.601.
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
# Values below it are dark.
_HALF = 128


def posterize(image: Image, bits: int) -> None:
    """Keep only the uppermost `bits` (1..8) of every value."""
    np.bitwise_and(image, np.uint8(0xFF & ~((1 << (8 - bits)) - 1)), out=image)


def solarize(image: Image, threshold: int) -> None:
    """Invert every value that is not below `threshold` (0..256)."""
    _, bright = cv2.threshold(image, threshold - 1, 255, cv2.THRESH_BINARY)
    cv2.bitwise_xor(image, bright, dst=image)


def solarize_add(image: Image, addition: int) -> None:
    """Add `addition` (0..255) to every value below 128, at most up to white."""
    _, added = cv2.threshold(image, _HALF - 1, addition, cv2.THRESH_BINARY_INV)
    cv2.add(image, added, dst=image)


def equalize(image: Image) -> None:
    """Spread the values of each channel so that all are about as frequent."""
    if not image.size:
        return
    planes = cv2.split(image)
    for plane in planes:
        counts = cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        step = (plane.size - counts[np.flatnonzero(counts)[-1]]) // 255
        if step:
            before = np.cumsum(counts) - counts
            cv2.LUT(plane, np.minimum((before + step // 2) // step, 255).astype(np.uint8), dst=plane)
    cv2.merge(planes, dst=image)


def autocontrast(image: Image) -> None:
    """Stretch each channel from its darkest value at 0 to its brightest at 255; a channel of one value stays."""
    if not image.size:
        return
    lowest, highest = image.min(axis=0).min(axis=0), image.max(axis=0).max(axis=0)
    low, span = lowest.astype(np.float32), (highest - lowest).astype(np.float32)
    flat = span == 0
    factor = np.where(flat, 1, 255 / np.where(flat, 1, span))
    matrix = np.zeros((3, 4), np.float32)
    matrix[:, :3] = np.diag(factor)
    matrix[:, 3] = np.where(flat, 0, -low * factor)
    apply_matrix(image, matrix)


def sharpen(image: Image, factor: float) -> None:
    """Blur (`factor` 0), leave (1) or sharpen (above 1); the outermost pixels stay.

    The blur is a mean over 3x3 pixels in which the middle one counts five times.
    """
    if min(image.shape[:2]) < 3:
        return
    inside = image[1:-1, 1:-1]
    mean = cv2.blur(image, (3, 3))[1:-1, 1:-1]
    share = (1 - factor) * 9 / 13
    # Half a level less, as Pillow cuts fractions off where OpenCV rounds.
    cv2.addWeighted(inside, 1 - share, mean, share, -0.5 if factor != 1 else 0, dst=inside)


def brightness_matrix(factor: float) -> Matrix:
    """Towards black (`factor` below 1) or away from it."""
    return _blend(np.zeros((3, 4), np.float32), factor)


def colour_matrix(factor: float) -> Matrix:
    """Towards each pixel's own grey (`factor` below 1) or away from it."""
    grey = np.zeros((3, 4), np.float32)
    grey[:, :3] = _LUMA
    return _blend(grey, factor)


def contrast_matrix(image: Image, factor: float) -> Matrix:
    """Towards the mean grey of this picture (`factor` below 1) or away from it."""
    grey = np.zeros((3, 4), np.float32)
    if image.size:
        grey[:, 3] = int(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0] + 0.5)
    return _blend(grey, factor)


def apply_matrix(image: Image, matrix: Matrix) -> None:
    """Apply an affine map of RGB; what leaves 0..255 is clipped."""
    if image.size:
        cv2.transform(image, matrix, dst=image)


def _blend(degenerate: Matrix, factor: float) -> Matrix:
    """`factor` of the picture itself and the rest of what the degenerate map gives."""
    return (factor * np.eye(3, 4) + (1 - factor) * degenerate).astype(np.float32)
