"""Brightness, contrast, saturation and hue as one affine map of RGB. Axes: N samples."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import Draws

# Luma of BT.601 and the plane of colour differences perpendicular to it (YIQ).
_LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = np.array([_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def colour_matrices(draws: Draws) -> NDArray[np.float32]:
    """The affine maps float32 Nx3x4 that brighten, then raise contrast, then saturate, then turn the hue.

    Applied to RGB pixels 0..255; what leaves 0..255 is clipped once, at the end.
    """
    angle = -draws.hue * math.tau  # red, green and blue follow each other clockwise in this plane
    differences = np.zeros((len(angle), 3, 3))
    differences[:, 0, 0] = 1
    differences[:, 1, 1] = differences[:, 2, 2] = draws.saturation * np.cos(angle)
    differences[:, 1, 2] = -draws.saturation * np.sin(angle)
    differences[:, 2, 1] = -differences[:, 1, 2]
    matrices = np.empty((len(angle), 3, 4), np.float32)
    matrices[:, :, :3] = _FROM_YIQ @ differences @ _TO_YIQ * draws.contrast[:, None, None]
    # Grey stays grey in the other steps, so the added brightness only meets the contrast.
    matrices[:, :, 3] = (255 * draws.brightness * draws.contrast)[:, None]
    return matrices


def changes_colour(draws: Draws) -> NDArray[np.bool_]:
    """Which of the N samples change colour at all."""
    return (draws.brightness != 0) | (draws.contrast != 1) | (draws.saturation != 1) | (draws.hue != 0)


def recolour(image: NDArray[np.uint8], matrix: NDArray[np.float32]) -> None:
    """Apply one map (3x4) to a uint8 HxWx3 RGB picture, in place."""
    cv2.transform(image, matrix, dst=image)
