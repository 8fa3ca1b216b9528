"""AutoAugment for detection: one of a list of learned sub-policies is drawn for every picture.

https://arxiv.org/abs/1906.11172; tables, order and magnitudes as the authors published them in tensorflow/tpu,
models/official/detection/utils/autoaugment_utils.py. A sub-policy is a few operations, each with a probability and a
level 0..10. Here it is split in two: all moves of the whole picture become one matrix, so that a sample is still
drawn by a single warp, and everything that changes colours or acts inside boxes follows, in its order, on the finished
sample. That is nearly the published result: changing each value on its own commutes with moving pixels but for
interpolation and the grey that moves in at the edges; holes (Cutout) are not moved by what was to come after them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.transforms import tone
from sanderling.data.transforms.fill import Image, flood, region_of

Boxes = NDArray[np.floating]
Matrix = NDArray[np.float64]

GREY = 128
"""The colour of holes and of what moves in from outside."""

Name = Literal[
    "AutoContrast",
    "BBox_Cutout",
    "Brightness",
    "Color",
    "Contrast",
    "Cutout",
    "Cutout_Only_BBoxes",
    "Equalize",
    "Equalize_Only_BBoxes",
    "Flip_Only_BBoxes",
    "Posterize",
    "Rotate_BBox",
    "Rotate_Only_BBoxes",
    "Sharpness",
    "ShearX_BBox",
    "ShearX_Only_BBoxes",
    "ShearY_BBox",
    "ShearY_Only_BBoxes",
    "Solarize",
    "SolarizeAdd",
    "Solarize_Only_BBoxes",
    "TranslateX_BBox",
    "TranslateX_Only_BBoxes",
    "TranslateY_BBox",
    "TranslateY_Only_BBoxes",
]
"""Published names: `_BBox` moves the picture and its boxes, `_Only_BBoxes` acts inside boxes, which stay."""
Version = Literal["v0", "v1", "v2", "v3"]


class Step(NamedTuple):
    """An operation of a sub-policy."""

    name: Name
    probability: float
    level: int


SubPolicy = tuple[Step, ...]

_V1: tuple[SubPolicy, ...] = (
    (Step("TranslateX_BBox", 0.6, 4), Step("Equalize", 0.8, 10)),
    (Step("TranslateY_Only_BBoxes", 0.2, 2), Step("Cutout", 0.8, 8)),
    (Step("Sharpness", 0.0, 8), Step("ShearX_BBox", 0.4, 0)),
    (Step("ShearY_BBox", 1.0, 2), Step("TranslateY_Only_BBoxes", 0.6, 6)),
    (Step("Rotate_BBox", 0.6, 10), Step("Color", 1.0, 6)),
    (Step("Color", 0.0, 0), Step("ShearX_Only_BBoxes", 0.8, 4)),
    (Step("ShearY_Only_BBoxes", 0.8, 2), Step("Flip_Only_BBoxes", 0.0, 10)),
    (Step("Equalize", 0.6, 10), Step("TranslateX_BBox", 0.2, 2)),
    (Step("Color", 1.0, 10), Step("TranslateY_Only_BBoxes", 0.4, 6)),
    (Step("Rotate_BBox", 0.8, 10), Step("Contrast", 0.0, 10)),
    (Step("Cutout", 0.2, 2), Step("Brightness", 0.8, 10)),
    (Step("Color", 1.0, 6), Step("Equalize", 1.0, 2)),
    (Step("Cutout_Only_BBoxes", 0.4, 6), Step("TranslateY_Only_BBoxes", 0.8, 2)),
    (Step("Color", 0.2, 8), Step("Rotate_BBox", 0.8, 10)),
    (Step("Sharpness", 0.4, 4), Step("TranslateY_Only_BBoxes", 0.0, 4)),
    (Step("Sharpness", 1.0, 4), Step("SolarizeAdd", 0.4, 4)),
    (Step("Rotate_BBox", 1.0, 8), Step("Sharpness", 0.2, 8)),
    (Step("ShearY_BBox", 0.6, 10), Step("Equalize_Only_BBoxes", 0.6, 8)),
    (Step("ShearX_BBox", 0.2, 6), Step("TranslateY_Only_BBoxes", 0.2, 10)),
    (Step("SolarizeAdd", 0.6, 8), Step("Brightness", 0.8, 10)),
)

POLICIES: dict[Version, tuple[SubPolicy, ...]] = {
    "v0": _V1[:5],
    "v1": _V1,
    "v2": (
        (Step("Color", 0.0, 6), Step("Cutout", 0.6, 8), Step("Sharpness", 0.4, 8)),
        (Step("Rotate_BBox", 0.4, 8), Step("Sharpness", 0.4, 2), Step("Rotate_BBox", 0.8, 10)),
        (Step("TranslateY_BBox", 1.0, 8), Step("AutoContrast", 0.8, 2)),
        (Step("AutoContrast", 0.4, 6), Step("ShearX_BBox", 0.8, 8), Step("Brightness", 0.0, 10)),
        (Step("SolarizeAdd", 0.2, 6), Step("Contrast", 0.0, 10), Step("AutoContrast", 0.6, 0)),
        (Step("Cutout", 0.2, 0), Step("Solarize", 0.8, 8), Step("Color", 1.0, 4)),
        (Step("TranslateY_BBox", 0.0, 4), Step("Equalize", 0.6, 8), Step("Solarize", 0.0, 10)),
        (Step("TranslateY_BBox", 0.2, 2), Step("ShearY_BBox", 0.8, 8), Step("Rotate_BBox", 0.8, 8)),
        (Step("Cutout", 0.8, 8), Step("Brightness", 0.8, 8), Step("Cutout", 0.2, 2)),
        (Step("Color", 0.8, 4), Step("TranslateY_BBox", 1.0, 6), Step("Rotate_BBox", 0.6, 6)),
        (Step("Rotate_BBox", 0.6, 10), Step("BBox_Cutout", 1.0, 4), Step("Cutout", 0.2, 8)),
        (Step("Rotate_BBox", 0.0, 0), Step("Equalize", 0.6, 6), Step("ShearY_BBox", 0.6, 8)),
        (Step("Brightness", 0.8, 8), Step("AutoContrast", 0.4, 2), Step("Brightness", 0.2, 2)),
        (Step("TranslateY_BBox", 0.4, 8), Step("Solarize", 0.4, 6), Step("SolarizeAdd", 0.2, 10)),
        (Step("Contrast", 1.0, 10), Step("SolarizeAdd", 0.2, 8), Step("Equalize", 0.2, 4)),
    ),
    "v3": (
        (Step("Posterize", 0.8, 2), Step("TranslateX_BBox", 1.0, 8)),
        (Step("BBox_Cutout", 0.2, 10), Step("Sharpness", 1.0, 8)),
        (Step("Rotate_BBox", 0.6, 8), Step("Rotate_BBox", 0.8, 10)),
        (Step("Equalize", 0.8, 10), Step("AutoContrast", 0.2, 10)),
        (Step("SolarizeAdd", 0.2, 2), Step("TranslateY_BBox", 0.2, 8)),
        (Step("Sharpness", 0.0, 2), Step("Color", 0.4, 8)),
        (Step("Equalize", 1.0, 8), Step("TranslateY_BBox", 1.0, 8)),
        (Step("Posterize", 0.6, 2), Step("Rotate_BBox", 0.0, 10)),
        (Step("AutoContrast", 0.6, 0), Step("Rotate_BBox", 1.0, 6)),
        (Step("Equalize", 0.0, 4), Step("Cutout", 0.8, 10)),
        (Step("Brightness", 1.0, 2), Step("TranslateY_BBox", 1.0, 6)),
        (Step("Contrast", 0.0, 2), Step("ShearY_BBox", 0.8, 0)),
        (Step("AutoContrast", 0.8, 10), Step("Contrast", 0.2, 10)),
        (Step("Rotate_BBox", 1.0, 10), Step("Cutout", 1.0, 10)),
        (Step("SolarizeAdd", 0.8, 6), Step("Equalize", 0.8, 8)),
    ),
}
"""Sub-policies of every version, all equally likely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoAugmentConfig:
    """Which policy; v0 and v1 are the article's.

    >>> AutoAugmentConfig(policy="v2").reference_side
    640.0
    """

    policy: Version = "v1"
    """v1 is v0 and fifteen more; v2 has up to three operations in a row; v2 and v3 are further finds."""
    reference_side: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 640.0
    """Longer side of the pictures that the published pixels (shifts and holes) were found for: COCO's. They are scaled
    with the longer side of the sample."""


class Operation(NamedTuple):
    """A drawn operation."""

    name: Name
    magnitude: float
    """Degrees clockwise, shear, pixels at the reference side (of a hole half its side), factor, bits, threshold,
    addition, or a hole's share of its box; with its sign."""
    probability: float = 1.0
    """For each box on its own; what concerns the whole picture was decided when it was drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnPolicy:
    """What happens to one sample.

    Attributes:
        moves: of the whole picture with its boxes, in this order, all of them before the changes.
        changes: of colours, and inside boxes, in this order; boxes stay.
        reference_side: longer side of a picture for which pixels count as they are.
    """

    moves: tuple[Operation, ...]
    changes: tuple[Operation, ...]
    reference_side: float

    def matrix(self, size_hw: tuple[int, int]) -> Matrix:
        """All moves as one map (float64 3x3) of a sample of this size to itself, edge coordinates, x before y.

        Boxes become the boxes around their four moved corners; what moves in from outside is `GREY`.
        """
        scale = max(size_hw) / self.reference_side
        total = np.eye(3)
        for move in self.moves:
            total = _matrix(_action(move.name), move.magnitude, size_hw, scale) @ total
        return total

    def change(self, image: Image, boxes_xyxy: Boxes, rng: np.random.Generator) -> None:
        """Apply the changes to a finished sample, in place.

        Args:
            image: uint8 HxWx3 RGB.
            boxes_xyxy: Tx4, pixels of the sample, after the moves.
            rng: says which boxes are changed and where holes are.
        """
        scale = max(image.shape[:2]) / self.reference_side
        for name, magnitude, probability in self.changes:
            if name == "BBox_Cutout":
                _cut_one_box(image, boxes_xyxy, magnitude, rng)
            elif name.endswith("_Only_BBoxes"):
                for index in rng.permutation(len(boxes_xyxy)).tolist():
                    if rng.random() < probability:
                        region = region_of(image, boxes_xyxy[index].tolist())
                        if region.size:
                            _apply(_action(name), region, magnitude, scale, rng)
            else:
                _apply(name, image, magnitude, scale, rng)


def draw_policy(config: AutoAugmentConfig, rng: np.random.Generator) -> DrawnPolicy:
    """Draw a sub-policy, which of its operations happen, and to which side they go.

    The tabulated probabilities hold: for the whole picture as they are, for each box a third of them.
    """
    policy = POLICIES[config.policy]
    steps = policy[int(rng.integers(len(policy)))]
    chances, signs = rng.random(len(steps)), np.where(rng.random(len(steps)) < 0.5, -1.0, 1.0)
    moves: list[Operation] = []
    changes: list[Operation] = []
    for step, chance, sign in zip(steps, chances.tolist(), signs.tolist(), strict=True):
        magnitude = magnitude_of(step.name, step.level) * (sign if _action(step.name) in _TO_BOTH_SIDES else 1)
        if step.name.endswith("_Only_BBoxes"):
            changes.append(Operation(step.name, magnitude, step.probability / 3))
        elif chance >= step.probability:
            continue
        elif not step.name.endswith("_BBox"):
            changes.append(Operation(step.name, magnitude))
        elif magnitude:
            moves.append(Operation(step.name, magnitude))
    return DrawnPolicy(moves=tuple(moves), changes=tuple(changes), reference_side=config.reference_side)


def magnitude_of(name: Name, level: int) -> float:
    """What an operation does at a level 0..10, without its sign; 0 where there is nothing to choose.

    >>> magnitude_of("Rotate_BBox", 10), magnitude_of("TranslateY_Only_BBoxes", 2), magnitude_of("Cutout", 8)
    (30.0, 24.0, 80.0)
    """
    if name in _FACTORS:
        return (1 + 1.8 * level) / 10
    largest = _LARGEST.get(name, 0)
    if _action(name) in _WHOLE:
        # Posterize to no bits at all would be a black picture; the original's shift stops at one bit.
        return float(max(largest * level // 10, 1 if name == "Posterize" else 0))
    return largest * level / 10


_TO_BOTH_SIDES = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
_FACTORS = ("Brightness", "Color", "Contrast", "Sharpness")
_WHOLE = ("Cutout", "Posterize", "Solarize", "SolarizeAdd")

# What level 10 does.
_LARGEST: dict[Name, float] = {
    "BBox_Cutout": 0.75,
    "Cutout": 100,
    "Cutout_Only_BBoxes": 50,
    "Posterize": 4,
    "Rotate_BBox": 30,
    "Rotate_Only_BBoxes": 30,
    "ShearX_BBox": 0.3,
    "ShearX_Only_BBoxes": 0.3,
    "ShearY_BBox": 0.3,
    "ShearY_Only_BBoxes": 0.3,
    "Solarize": 256,
    "SolarizeAdd": 110,
    "Solarize_Only_BBoxes": 256,
    "TranslateX_BBox": 250,
    "TranslateX_Only_BBoxes": 120,
    "TranslateY_BBox": 250,
    "TranslateY_Only_BBoxes": 120,
}


def _action(name: Name) -> str:
    """The name without what it applies to."""
    return name.removesuffix("_Only_BBoxes").removesuffix("_BBox")


def _apply(action: str, image: Image, magnitude: float, scale: float, rng: np.random.Generator) -> None:
    """Apply one action to a picture or a region of it, in place."""
    match action:
        case "AutoContrast":
            tone.autocontrast(image)
        case "Brightness":
            tone.apply_matrix(image, tone.brightness_matrix(magnitude))
        case "Color":
            tone.apply_matrix(image, tone.colour_matrix(magnitude))
        case "Contrast":
            tone.apply_matrix(image, tone.contrast_matrix(image, magnitude))
        case "Cutout":
            half = int(magnitude * scale)
            height, width = image.shape[:2]
            _cut(image, int(rng.integers(height)), int(rng.integers(width)), half, half)
        case "Equalize":
            tone.equalize(image)
        case "Flip":
            cv2.flip(image, 1, dst=image)
        case "Posterize":
            tone.posterize(image, int(magnitude))
        case "Sharpness":
            tone.sharpen(image, magnitude)
        case "Solarize":
            tone.solarize(image, int(magnitude))
        case "SolarizeAdd":
            tone.solarize_add(image, int(magnitude))
        case _:
            height, width = image.shape[:2]
            _warp(image, _matrix(action, magnitude, (height, width), scale))


def _matrix(action: str, magnitude: float, size_hw: tuple[int, int], scale: float) -> Matrix:
    """A turn about the middle, or a shear from or a shift of the upper left corner, float64 3x3."""
    matrix = np.eye(3)
    if action == "Rotate":
        height, width = size_hw
        angle = math.radians(magnitude)
        matrix[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        middle = np.array([width / 2, height / 2])
        matrix[:2, 2] = middle - matrix[:2, :2] @ middle
    elif action.startswith("Shear"):
        matrix[(0, 1) if action == "ShearX" else (1, 0)] = magnitude
    else:
        matrix[0 if action == "TranslateX" else 1, 2] = magnitude * scale
    return matrix


def _warp(region: Image, matrix: Matrix) -> None:
    """Move the pixels of a region within it, in place; the map is in edge coordinates."""
    height, width = region.shape[:2]
    from_centres = matrix[:2].copy()
    from_centres[:, 2] += (from_centres[:, :2].sum(axis=1) - 1) / 2
    region[:] = cv2.warpAffine(region, from_centres, (width, height), borderValue=(GREY, GREY, GREY))


def _cut_one_box(image: Image, boxes_xyxy: Boxes, share: float, rng: np.random.Generator) -> None:
    """Cut a hole of a share of its sides into one box; the middle is any pixel of it, the hole may reach outside."""
    if not len(boxes_xyxy):
        return
    left, top, right, bottom = np.rint(boxes_xyxy[int(rng.integers(len(boxes_xyxy)))]).astype(int).tolist()
    wide, tall = max(1, right - left), max(1, bottom - top)
    row, column = top + int(rng.integers(tall)), left + int(rng.integers(wide))
    _cut(image, row, column, int(share * tall / 2), int(share * wide / 2))


def _cut(image: Image, row: int, column: int, half_height: int, half_width: int) -> None:
    """Grey over a rectangle about a pixel, cut off at the borders."""
    rows = slice(max(0, row - half_height), max(0, row + half_height))
    columns = slice(max(0, column - half_width), max(0, column + half_width))
    flood(image[rows, columns], GREY)
