"""Every rule that a data set can break, and the judgement of boxes: what readers skip and what `check` reports.

Readers, `check` and `convert` all come here, so that training never skips something that the check calls good.
Axes: T boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.finding import Finding, Severity

BoxForm = Literal["xywh", "xyxy", "fractions"]
"""How a file writes a box: COCO's corner and size, VOC's two corners (both pixels), YOLO's centre and size in 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How grave a breach is, what to do about it, and whether a reader leaves the thing out."""

    severity: Severity
    remedy: str
    skips: bool = False


def _error(remedy: str) -> Rule:
    return Rule(severity="error", remedy=remedy, skips=True)


def _kept_error(remedy: str) -> Rule:
    return Rule(severity="error", remedy=remedy)


def _warning(remedy: str) -> Rule:
    return Rule(severity="warning", remedy=remedy)


def _info(remedy: str) -> Rule:
    return Rule(severity="info", remedy=remedy)


_RESTORE = "restore the picture, or remove it and its labels"
_REDRAW = "draw the box again or delete it"

RULES: dict[str, Rule] = {
    "picture-missing": _error(_RESTORE),
    "picture-empty": _error(_RESTORE),
    "picture-truncated": _error(_RESTORE),
    "picture-unreadable": _error(_RESTORE),
    "picture-in-two-splits": _kept_error("keep the picture in one split only; a score on seen pictures means nothing"),
    "box-malformed": _error("write four numbers for the box"),
    "box-not-finite": _error(_REDRAW),
    "box-negative-size": _error("swap the corners or draw the box again"),
    "box-zero-area": _error(_REDRAW),
    "box-outside": _error(_REDRAW),
    "box-normalised": _error("multiply by the picture's width and height: this format counts pixels"),
    "box-in-pixels": _error("divide by the picture's width and height: this format counts fractions 0..1"),
    "box-corners": _error("write width and height instead of the second corner"),
    "class-out-of-range": _error("add the class to the list of classes, or mend the annotation"),
    "class-fractional": _error("write the whole number of a class"),
    "duplicate-id": _kept_error("give each entry its own id"),
    "duplicate-picture-id": _error("give each picture its own id"),
    "label-without-picture": _error("restore the picture, mend the reference, or delete the label"),
    "label-unreadable": _error("write the label file again"),
    "label-malformed": _error("write the entry again as the format asks"),
    "path-outside": _error("move the file into the data set's folder and write its path relative to it"),
    "no-split": _error("make at least one split's folder or list exist where the label file says"),
    "split-missing": _warning("create the folder or list, or remove the split from the file"),
    "picture-wrong-suffix": _warning("rename the file after what it holds"),
    "picture-exif-rotated": _warning(
        "rotate the pixels themselves; check that the boxes belong to the upright picture"
    ),
    "picture-cmyk": _warning("convert the picture to RGB"),
    "picture-palette": _warning("convert the picture to RGB"),
    "picture-alpha": _warning("flatten the picture onto a background; transparency is dropped"),
    "picture-16-bit": _warning("convert the picture to 8 bits per channel; the lower bits are dropped"),
    "picture-animated": _warning("store the wanted frame alone; only the first one is used"),
    "picture-size-differs": _warning("write the picture's true width and height; boxes may be off"),
    "box-partly-outside": _warning("move the edge to the picture's border; readers clip it"),
    "duplicate-box": _warning("delete one of the two"),
    "duplicate-picture": _warning("keep one of the two"),
    "class-count-differs": _warning("make nc equal to the number of names"),
    "category-id-gaps": _info("nothing to do: ids are mapped to 0..n-1 and back"),
    "box-crowd": _info("nothing to do: crowds are left out of training and scored by COCO's rule"),
    "picture-without-labels": _info("nothing to do if it shows no object: it is used as background"),
    "label-bom": _info("nothing to do: the byte order mark is ignored"),
    "label-crlf": _info("nothing to do: Windows line ends are accepted"),
}

# A box gets the first that applies.
_BOX_RULES = (
    "box-not-finite",
    "box-negative-size",
    "box-zero-area",
    "box-in-pixels",
    "box-normalised",
    "box-corners",
    "box-outside",
    "box-partly-outside",
)

OVERHANG_PX = 0.5
"""A box may reach this far over the border before it counts as partly outside: half a pixel is rounding."""

_SMALLEST_PICTURE = 8
_LARGEST_FRACTION = 2.0
_FEWEST_BOXES = 5


def found(rule: str, *, file: str, item: str, field: str, value: str | int | float | None) -> Finding:
    """A finding with the severity and remedy of its rule."""
    entry = RULES[rule]
    if isinstance(value, float) and not np.isfinite(value):
        value = str(value)
    return Finding(
        file=file, item=item, field=field, value=value, rule=rule, severity=entry.severity, remedy=entry.remedy
    )


def class_rule(written: Any) -> str:
    """Which rule a class number breaks that is not in the list of classes."""
    fractional = isinstance(written, float) and np.isfinite(written) and written != int(written)
    return "class-fractional" if fractional else "class-out-of-range"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judgement:
    """Boxes after judgement.

    Attributes:
        boxes_xyxy: float64 Tx4, pixels, clipped to the picture; meaningless where not kept.
        rules: T, the broken rule of each box, empty text for a good one.
        kept: bool T, whether a reader uses the box.
    """

    boxes_xyxy: NDArray[np.float64]
    rules: NDArray[np.str_]
    kept: NDArray[np.bool_]


def judge(
    values: NDArray[np.float64], form: BoxForm, sizes_hw: NDArray[np.int32], areas: NDArray[np.float64]
) -> Judgement:
    """Judge the boxes of one label file or split together, because some faults show only in the whole.

    Args:
        values: Tx4, as the file writes them.
        form: what the four numbers mean.
        sizes_hw: Tx2, size of each box's picture, (0, 0) where unknown: then nothing is outside.
        areas: T, area that the file states, NaN where it states none; tells corners from sizes.
    """
    finite = _all(np.isfinite(values))
    values = np.where(finite[:, None], values, 0.0)
    known = _all(sizes_hw > 0)
    pixels = np.where(known[:, None], sizes_hw[:, ::-1], np.inf).astype(np.float64)
    limits = np.ones_like(pixels) if form == "fractions" else pixels
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = _corners(values, form)
        finite &= _all(np.isfinite(low) & np.isfinite(high))
        overhang = np.maximum(np.maximum(-low, high - limits), 0.0) / np.where(np.isfinite(limits), limits, 1.0)
        tolerance = np.where(known[:, None], OVERHANG_PX / np.where(known[:, None], pixels, 1.0), np.inf)
        boxes = np.concatenate([np.clip(low, 0, limits), np.clip(high, 0, limits)], axis=1)
        if form == "fractions":
            boxes = boxes * np.tile(np.where(known[:, None], pixels, 1.0), 2)
        broken = {
            "box-not-finite": ~finite,
            "box-negative-size": _any(values[:, 2:] < (values[:, :2] if form == "xyxy" else 0)),
            "box-zero-area": _any(high <= low),
            "box-in-pixels": _any(np.abs(values) > _LARGEST_FRACTION) & (form == "fractions"),
            "box-normalised": _normalised(values, form, sizes_hw),
            "box-corners": _corners_for_size(values, form, limits, overhang, areas),
            "box-outside": _any(high <= 0) | _any(low >= limits),
            "box-partly-outside": _any(overhang > tolerance),
        }
    rules = np.select([broken[name] for name in _BOX_RULES], _BOX_RULES, default="")
    kept = ~np.isin(rules, [name for name in _BOX_RULES if RULES[name].skips])
    return Judgement(boxes_xyxy=boxes, rules=rules, kept=kept)


def duplicate_boxes(
    picture_index: NDArray[np.int64], labels: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which boxes (T, bool) repeat an earlier one of the same picture and class number for number."""
    repeated = np.zeros(len(values), np.bool_)
    if len(values):
        keys = np.concatenate([picture_index[:, None], labels[:, None], np.nan_to_num(values)], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        repeated[:] = True
        repeated[first] = False
    return repeated


def _all(conditions: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(conditions.all(axis=1), np.bool_)


def _any(conditions: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(conditions.any(axis=1), np.bool_)


def _corners(values: NDArray[np.float64], form: BoxForm) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = values[:, :2], values[:, 2:]
    if form == "xyxy":
        return first, second
    if form == "xywh":
        return first, first + second
    return first - second / 2, first + second / 2


def _normalised(values: NDArray[np.float64], form: BoxForm, sizes_hw: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Fractions where pixels are meant. A box of whole numbers 0 and 1 counts only among others that give it away."""
    if form == "fractions":
        return np.zeros(len(values), np.bool_)
    small = _all((values >= 0) & (values <= 1)) & _all(values[:, 2:] > 0)
    small &= _all(sizes_hw > _SMALLEST_PICTURE) | _all(sizes_hw == 0)
    fractional = small & _any(values != np.round(values))
    return small if len(values) and fractional.mean() >= 0.5 else fractional


def _corners_for_size(
    values: NDArray[np.float64],
    form: BoxForm,
    limits: NDArray[np.float64],
    overhang: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Two corners where corner (or centre) and size are meant.

    The whole file is taken to be wrong when all boxes could be corners and a tenth of them leaves the picture
    otherwise. A single box needs evidence of its own: the stated area fits the corners and not the sizes, or read as a
    size it reaches far out of a picture in which it fits as a corner.
    """
    if form == "xyxy":
        return np.zeros(len(values), np.bool_)
    first, second = values[:, :2], values[:, 2:]
    possible = _all((second > first) & (first >= 0) & (second <= limits))
    leaves = possible & _any(overhang > 0.002)
    if len(values) >= _FEWEST_BOXES and possible.all() and leaves.mean() >= 0.1:
        return possible
    far = _any(overhang > 0.2) | _all(overhang > 0.02)
    evidence = far & _all(np.isfinite(limits))
    if form == "xywh":
        as_corners, as_size = (second - first).prod(axis=1), second.prod(axis=1)
        close = np.abs(areas - as_corners) <= 1e-6 * as_corners
        evidence |= close & (np.abs(areas - as_size) > 1e-3 * as_size)
    return possible & evidence
