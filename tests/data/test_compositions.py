"""Any variations together: the colour that fills a box is found where the box is said to be, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig
from sanderling.data.drawing import EpochWindows
from sanderling.data.planning import WindowSettings
from sanderling.data.transforms.auto_augment import AutoAugmentConfig
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.window import Window, draw_pictures
from sanderling.datasets.dataset import Dataset
from sanderling.structures.artefact import PictureRule
from tests.support.painted_sets import painted_boxes, painted_labels, painted_set

Image = NDArray[np.uint8]
Box = NDArray[np.float64]

PICTURES_HW = [(61, 83), (120, 47), (200, 333), (97, 161), (48, 80), (301, 299), (64, 64), (33, 250), (75, 75)]
UPRIGHT_PX, TURNED_PX, WEDGE_PX = 1.0, 4.0, 12.0
THIN_PX = 8.0
"""The point of a turned box that ends at a border, 48 by 5.5 pixels, is less than half a pixel thick for 4.4 pixels."""


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_set(tmp_path_factory.mktemp("painted"), PICTURES_HW, empty=[2])


@st.composite
def ranges(draw: st.DrawFn, low: float, high: float) -> tuple[float, float]:
    first, second = sorted((draw(st.floats(low, high)), draw(st.floats(low, high))))
    return first, second


PROBABILITY = st.sampled_from((0.5, 1.0))
UPRIGHT: dict[str, st.SearchStrategy[Any]] = {
    "scale": ranges(0.4, 2.0),
    "stretch": ranges(0.7, 1.4),
    "translate": st.floats(0, 0.5),
    "flip": PROBABILITY,
    "mosaic": PROBABILITY,
    "mosaic_tiles": st.sampled_from((4, 9)),
    "expand": st.builds(ExpandConfig, probability=PROBABILITY, ratio=ranges(1.0, 2.5)),
    "crop": st.builds(CropConfig, cover_all=st.booleans(), whole=st.booleans()),
    "mixup": st.builds(MixupConfig, probability=PROBABILITY),
    "detail": st.sampled_from((1.0, 2.0)),
}
TURNED: dict[str, st.SearchStrategy[Any]] = {
    "rotate": st.sampled_from((10.0, 45.0, 180.0)),
    "shear": st.sampled_from((5.0, 20.0)),
    "auto_augment": st.builds(AutoAugmentConfig, policy=st.sampled_from(("v0", "v1", "v2", "v3"))),
}
CUTMIX: dict[str, st.SearchStrategy[Any]] = {"cutmix": st.builds(CutMixConfig, probability=PROBABILITY)}


@st.composite
def some(draw: st.DrawFn, variations: dict[str, st.SearchStrategy[Any]]) -> AugmentConfig:
    """Every other one of them. Only what moves pixels and boxes; every box that is seen is told."""
    chosen = {name: draw(values) for name, values in variations.items() if draw(st.booleans())}
    return AugmentConfig(**{"min_visible": 0.0, "colour_probability": 0.0, **chosen})


@st.composite
def sizes(draw: st.DrawFn) -> NDArray[np.int64]:
    """Of every sample; two different ones in a window, or one."""
    side = st.sampled_from((96, 103, 128, 160, 187))
    sizes_hw = np.tile(np.array([draw(side), draw(side)], np.int64), (len(PICTURES_HW), 1))
    if draw(st.booleans()):
        sizes_hw[::2] = sizes_hw[::2] * 3 // 4
    return sizes_hw


RESIZE = st.sampled_from(("letterbox", "stretch"))
SEEDS = st.integers(0, 2**16)
FEW = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@given(augment=some(UPRIGHT), sizes_hw=sizes(), resize=RESIZE, seed=SEEDS)
@FEW
def test_upright_boxes_hold_their_colour(
    painted: Dataset, augment: AugmentConfig, sizes_hw: NDArray[np.int64], resize: str, seed: int
) -> None:
    compare(window_of(painted, augment, sizes_hw, resize=resize, seed=seed), augment, sizes_hw)


@given(augment=some({**UPRIGHT, **TURNED, **CUTMIX}), sizes_hw=sizes(), resize=RESIZE, seed=SEEDS)
@FEW
def test_turned_boxes_hold_their_colour(
    painted: Dataset, augment: AugmentConfig, sizes_hw: NDArray[np.int64], resize: str, seed: int
) -> None:
    compare(window_of(painted, augment, sizes_hw, resize=resize, seed=seed), augment, sizes_hw)


@given(augment=some({**UPRIGHT, **CUTMIX}), sizes_hw=sizes(), resize=RESIZE, seed=SEEDS)
@FEW
def test_boxes_that_are_pasted_over_hold_their_colour(
    painted: Dataset, augment: AugmentConfig, sizes_hw: NDArray[np.int64], resize: str, seed: int
) -> None:
    compare(window_of(painted, augment, sizes_hw, resize=resize, seed=seed), augment, sizes_hw)


def test_a_comparison_can_fail(painted: Dataset) -> None:
    augment = AugmentConfig(min_visible=0.0, colour_probability=0.0, rotate=20.0)
    sizes_hw = np.tile(np.array([128, 160], np.int64), (len(PICTURES_HW), 1))
    window = window_of(painted, augment, sizes_hw, resize="letterbox", seed=3)
    assert compare(window, augment, sizes_hw) > 5
    assert window.labels is not None
    window.labels.boxes_xyxy[0, 3] += 6
    with pytest.raises(AssertionError):
        compare(window, augment, sizes_hw)


def window_of(
    dataset: Dataset, augment: AugmentConfig, sizes_hw: NDArray[np.int64], *, resize: str, seed: int
) -> Window:
    height, width = sizes_hw.max(axis=0).tolist()
    rule = PictureRule(size_hw=(height, width), resize="stretch" if resize == "stretch" else "letterbox", pad_value=0)
    order = np.random.default_rng(seed).permutation(len(dataset))
    task = EpochWindows(dataset, order, sizes_hw, epoch=0, mosaic=True, progress=0.0).task(0)
    window = Window(task, WindowSettings(picture=rule, augment=augment, seed=seed))
    # Black around every picture: greys would be taken for colours.
    assert window.plan is not None
    window.plan.borders[:] = [None if border is None else 0 for border in window.plan.borders]
    return window


def compare(window: Window, augment: AugmentConfig, sizes_hw: NDArray[np.int64]) -> int:
    """Hold boxes against pixels; the number of boxes that were compared."""
    turned = augment.rotate + augment.shear > 0 or augment.auto_augment is not None
    labels, compared = window.labels, 0
    assert labels is not None
    for sample, size_hw in enumerate(sizes_hw.tolist()):
        where = slice(labels.first_box[sample], labels.first_box[sample + 1])
        told = dict(zip(labels.labels[where].tolist(), labels.boxes_xyxy[where].astype(float), strict=True))
        weights = dict(zip(labels.labels[where].tolist(), labels.weights[where].tolist(), strict=True))
        assert len(told) == where.stop - where.start, "a picture is in a sample twice"
        seen: set[int] = set()
        for images, share in layers(window, sample, size_hw):
            shown = [painted_boxes(image) for image in images]
            seen |= set(shown[0])
            for label in set(told) & set(shown[0]):
                assert weights[label] == pytest.approx(share)
                distances = [
                    np.abs(np.array(found[label]) - told[label])
                    - allowed(image, label, turned=turned, pasted=len(images) > 1)
                    for image, found in zip(images, shown, strict=True)
                    if label in found
                ]
                if turned and (told[label][2:] - told[label][:2]).min() < THIN_PX:
                    continue
                assert min(distance.max() for distance in distances) <= 0, (
                    f"box {label} of sample {sample}: seen at {shown[0][label]}, told {told[label]}"
                )
                compared += 1
            for label, (left, top, right, bottom) in shown[0].items():
                little = min(right - left, bottom - top) <= (THIN_PX if turned else 3)
                # A crop drops boxes whose middle it does not show.
                assert label in told or little or augment.crop is not None, f"{label} is seen in {sample}, not told"
        for label, box in told.items():
            thin = turned and (box[2:] - box[:2]).min() < THIN_PX
            assert label in seen or thin, f"box {label} of sample {sample} is not to be seen at {box}"
    return compared


def layers(window: Window, sample: int, size_hw: tuple[int, int]) -> list[tuple[list[Image], float]]:
    """What a sample shows, before any colour changes: pictures to find boxes in, and what their boxes weigh.

    Of two pictures that shine through each other each stands alone. Where a rectangle was pasted there is a second
    picture, without the pixels along its outside: what it leaves of a box and is thinner than a pixel may be seen or
    not.
    """
    plan = window.plan
    assert plan is not None
    image = np.full((*size_hw, 3), 77, np.uint8)
    draw_pictures(plan, sample, image)
    if (mixture := plan.mixtures.get(sample)) is None:
        return [([image], 1.0)]
    other = np.full_like(image, 77)
    draw_pictures(plan, mixture.other, other)
    if mixture.rectangle_xyxy is None:
        return [([image], mixture.share), ([other], 1 - mixture.share)]
    left, top, right, bottom = mixture.rectangle_xyxy
    bare = image.copy()
    if right > left and bottom > top:
        bare[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = 0
    for picture in (image, bare):
        mixture.apply(picture, other)
    return [([image, bare], 1.0)]


def allowed(image: Image, label: int, *, turned: bool, pasted: bool) -> Box:
    """How far the told box may be from the seen one, pixels of each side.

    A turned box may end in a point so flat that its tip is thinner than a pixel: as far as its edges, prolonged, need
    to meet. A rectangle that is pasted along one of its sides leaves a wedge of it, which is as flat.
    """
    if not turned or pasted:
        return np.full(4, WEDGE_PX if turned else UPRIGHT_PX)
    left, top, right, bottom = painted_boxes(image)[label]
    mask = painted_labels(image[top:bottom, left:right]) == label
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    found = []
    for counts in (columns, rows, columns[::-1], rows[::-1]):
        depth = min(8, len(counts) - 1)
        growth = (int(counts[depth]) - int(counts[0])) / max(1, depth)
        found.append(max(TURNED_PX, 2 / growth) if counts[0] <= 3 and growth > 0 else TURNED_PX)
    return np.array(found)
