from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sanderling.data import source as module
from sanderling.data.augment import AugmentConfig
from sanderling.data.planning import WindowLabels, WindowSettings
from sanderling.data.transforms.auto_augment import AutoAugmentConfig
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.window import Window, draw_pictures
from sanderling.datasets.dataset import Dataset
from sanderling.pictures import decode, fit
from sanderling.structures.artefact import PictureRule
from tests.support.painted_sets import painted_boxes, painted_set
from tests.support.small_sets import encoded, pixels
from tests.support.windows import epoch_windows

RULE = PictureRule(size_hw=(96, 160), resize="letterbox", pad_value=0)
ODD_SIZES = [(61, 83), (120, 47), (200, 333), (97, 161), (48, 80), (301, 299), (64, 64), (33, 250), (75, 75)]


def _colourless(**changed: Any) -> AugmentConfig:
    """Geometry only, so that colours tell which box it is; every box that is seen is told."""
    return AugmentConfig(**{"min_visible": 0.0, "colour_probability": 0.0} | changed)


def _window(
    dataset: Dataset,
    augment: AugmentConfig,
    *,
    rule: PictureRule = RULE,
    seed: int = 0,
    epoch: int = 0,
    mosaic: bool = True,
    progress: float = 0.0,
) -> Window:
    task = epoch_windows(dataset, rule.size_hw, epoch=epoch, mosaic=mosaic, progress=progress).task(0)
    assert len(task.paths) == len(dataset)
    return Window(task, WindowSettings(picture=rule, augment=augment, seed=seed))


def _drawn(window: Window, rule: PictureRule = RULE) -> tuple[NDArray[np.uint8], WindowLabels]:
    assert window.labels is not None
    images = np.full((len(window.labels.indices), *rule.size_hw, 3), 77, np.uint8)
    for sample, image in enumerate(images):
        window.draw(sample, image)
    return images, window.labels


def _sample_labels(labels: WindowLabels, sample: int) -> dict[int, NDArray[np.float32]]:
    where = slice(labels.first_box[sample], labels.first_box[sample + 1])
    return dict(zip(labels.labels[where].tolist(), labels.boxes_xyxy[where], strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "augment",
    [
        _colourless(),
        _colourless(mosaic=1.0, stretch=(0.8, 1.2), scale=(0.5, 1.5)),
        _colourless(mosaic=0.5, scale=(0.3, 2.5), translate=0.5, detail=2.5),
        AugmentConfig.none(),
        _colourless(mosaic=1.0, mosaic_tiles=9),
        _colourless(rotate=30.0, shear=10.0),
        _colourless(mosaic=0.7, rotate=10.0, shear=2.0),
        _colourless(expand=ExpandConfig()),
        _colourless(crop=CropConfig()),
        _colourless(expand=ExpandConfig(), crop=CropConfig(), rotate=10.0),
        _colourless(cutmix=CutMixConfig()),
    ],
    ids=["alone", "mosaic", "wild", "none", "nine", "turned", "turned-mosaic", "expand", "crop", "all", "cutmix"],
)
def test_pixels_and_boxes_move_together(tmp_path: Path, augment: AugmentConfig, seed: int) -> None:
    dataset = painted_set(tmp_path, ODD_SIZES, empty=[2])
    rule = RULE if seed % 2 else PictureRule(size_hw=(128, 96), resize="stretch", pad_value=0)
    images, labels = _drawn(_window(dataset, augment, rule=rule, seed=seed), rule)
    found_at_all = 0
    turned = augment.rotate + augment.shear > 0
    allowed = 4 if turned else 1
    for sample, image in enumerate(images):
        told, shown = _sample_labels(labels, sample), painted_boxes(image)
        for label, box in told.items():
            if turned and (box[2:] - box[:2]).min() < 5:
                continue  # the point of a turned box at a border is thinner than a pixel
            assert label in shown, f"box {label} of sample {sample} is not to be seen at {box}"
            assert np.abs(np.array(shown[label]) - box).max() <= allowed, (
                f"{label} of {sample}: {shown[label]}, told {box}"
            )
        for label, (left, top, right, bottom) in shown.items():
            little = min(right - left, bottom - top) <= 3
            # A crop drops boxes whose middle it does not show.
            assert label in told or little or augment.crop is not None, f"{label} is seen in {sample} but not told"
        found_at_all += len(told)
    assert found_at_all >= len(images)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size_hw", [(96, 160), (61, 83), (47, 120), (95, 159), (20, 15)])
def test_no_variation_is_what_prediction_sees(tmp_path: Path, resize: str, size_hw: tuple[int, int]) -> None:
    rule = PictureRule(size_hw=(96, 160), resize="stretch" if resize == "stretch" else "letterbox", pad_value=114)
    dataset = painted_set(tmp_path, [size_hw])
    path = Path(dataset.picture_paths[0])
    cv2.imwrite(str(path), pixels(3, size_hw))
    images, labels = _drawn(_window(dataset, AugmentConfig.none(), rule=rule), rule)
    expected, placement = fit(decode(path), rule)
    assert (images[0] == expected).all()
    assert labels.boxes_xyxy == pytest.approx(placement.to_network(dataset.boxes_xyxy), abs=1e-3)


@pytest.mark.parametrize("size_hw", [(480, 640), (401, 655), (766, 1333)])
def test_a_jpeg_decoded_small_still_lies_where_its_boxes_say(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    image = np.zeros((height, width, 3), np.uint8)
    dataset = painted_set(tmp_path, [size_hw], suffix=".jpg")
    left, top, right, bottom = dataset.boxes_xyxy[0].astype(int).tolist()
    image[top:bottom, left:right] = 255
    cv2.imwrite(str(dataset.picture_paths[0]), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    images, labels = _drawn(_window(dataset, _colourless(translate=0.0)))
    rows, columns = np.nonzero(images[0, :, :, 0] >= 128)
    shown = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(labels.boxes_xyxy[0] - shown).max() <= 1


def test_jpegs_are_decoded_no_larger_than_needed_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []

    def counting(path: Path, *, smallest_hw: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        picture = decode(path, smallest_hw=smallest_hw)
        decoded.append((picture.shape[0], picture.shape[1]))
        return picture

    monkeypatch.setattr(module, "decode", counting)
    dataset = painted_set(tmp_path, [(384, 640)] * 6, suffix=".jpg")
    _drawn(_window(dataset, AugmentConfig(mosaic=1.0)))
    assert decoded == [(96, 160)] * 6
    decoded.clear()
    _drawn(_window(dataset, AugmentConfig(mosaic=1.0, detail=2.0)))
    assert decoded == [(192, 320)] * 6


def test_a_large_png_is_not_kept_large(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(700, 1101)])
    window = _window(dataset, AugmentConfig.none())
    images, labels = _drawn(window)
    assert window.plan is not None
    assert window.plan.pastes[0][0].picture.shape[0] < 2 * 96
    for label, box in _sample_labels(labels, 0).items():
        assert np.abs(np.array(painted_boxes(images[0])[label]) - box).max() <= 1


def test_an_exif_rotated_picture_stands_upright_with_its_boxes(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(90, 141)])
    upright = decode(Path(dataset.picture_paths[0]))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter, clockwise
    data = encoded(np.ascontiguousarray(np.rot90(upright)), quality=100, subsampling=0, exif=exif)
    Path(dataset.picture_paths[0]).write_bytes(data)
    images, labels = _drawn(_window(dataset, AugmentConfig.none()))
    shown = painted_boxes(cv2.medianBlur(images[0], 3))
    for label, box in _sample_labels(labels, 0).items():
        assert np.abs(np.array(shown[label]) - box).max() <= 1.5


@pytest.mark.parametrize("stated_hw", [(0, 0), (500, 100), (48, 81)])
def test_where_the_stated_size_is_unknown_or_wrong_the_picture_tells(
    tmp_path: Path, stated_hw: tuple[int, int]
) -> None:
    right = painted_set(tmp_path, [(200, 333)])
    expected, expected_labels = _drawn(_window(right, AugmentConfig()))
    right.sizes_hw[0] = stated_hw
    images, labels = _drawn(_window(right, AugmentConfig()))
    assert (images == expected).all()
    assert (labels.boxes_xyxy == expected_labels.boxes_xyxy).all()


def test_the_border_has_its_grey(tmp_path: Path) -> None:
    rule = PictureRule(size_hw=(96, 160), resize="letterbox", pad_value=114)
    images, _ = _drawn(_window(painted_set(tmp_path, [(64, 64)]), AugmentConfig.none(), rule=rule), rule)
    assert (images[0, :, :32] == 114).all()
    assert (images[0, :, -32:] == 114).all()
    assert not (images[0, :, 32:-32] == 114).any()


def test_a_picture_without_boxes_gives_none(tmp_path: Path) -> None:
    _, labels = _drawn(_window(painted_set(tmp_path, [(64, 64)], empty=[0]), AugmentConfig()))
    assert labels.boxes_xyxy.shape == (0, 4)
    assert labels.first_box.tolist() == [0, 0]


def test_colour_changes_after_everything_else(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, ODD_SIZES)
    plain, plain_labels = _drawn(_window(dataset, AugmentConfig(mosaic=0.5, colour_probability=0.0)))
    bright, labels = _drawn(
        _window(
            dataset,
            AugmentConfig(
                mosaic=0.5, brightness=0.0, saturation=(1.0, 1.0), contrast=(0.5, 0.5), colour_probability=1.0
            ),
        )
    )
    assert (labels.boxes_xyxy == plain_labels.boxes_xyxy).all()
    assert np.abs(bright.astype(int) - plain // 2).max() <= 1


def test_a_picture_that_cannot_be_read_is_stood_in_for_by_the_next(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(96, 160)] * 5)
    for index in (1, 4):
        Path(dataset.picture_paths[index]).write_bytes(b"no picture")
    window = _window(dataset, AugmentConfig.none())
    images, labels = _drawn(window)
    assert labels.indices.tolist() == [0, 2, 2, 3, 0]
    assert sorted(window.unreadable) == dataset.picture_paths[[1, 4]].tolist()
    assert "not a picture" in window.unreadable[str(dataset.picture_paths[1])]
    assert (images[1] == images[2]).all()
    assert sorted(painted_boxes(images[4])) == sorted(_sample_labels(labels, 4)) == [0, 1]


@pytest.mark.parametrize("pictures", [(0, 1, 2), (0, 0, 1)], ids=["each-once", "one-twice"])
def test_a_window_without_any_readable_picture_says_so(tmp_path: Path, pictures: tuple[int, ...]) -> None:
    dataset = painted_set(tmp_path, [(64, 64)] * 3).subset(np.array(pictures))
    for path in set(dataset.picture_paths.tolist()):
        Path(path).unlink()
    window = _window(dataset, AugmentConfig())
    assert window.labels is None
    assert len(window.unreadable) == len(set(pictures))
    with pytest.raises(ValueError, match="none of its samples can be drawn"):
        window.draw(0, np.zeros((*RULE.size_hw, 3), np.uint8))


def test_seed_and_epoch_decide(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, ODD_SIZES)
    augment = AugmentConfig(mosaic=0.5)
    first, _ = _drawn(_window(dataset, augment, seed=3, epoch=2))
    assert (first == _drawn(_window(dataset, augment, seed=3, epoch=2))[0]).all()
    assert (first != _drawn(_window(dataset, augment, seed=4, epoch=2))[0]).any()
    assert (first != _drawn(_window(dataset, augment, seed=3, epoch=3))[0]).any()


def test_a_mixed_sample_shows_both_pictures(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, ODD_SIZES)
    window = _window(dataset, _colourless(mixup=MixupConfig(), scale=(1.0, 1.0), translate=0.0, flip=0.0))
    images, _ = _drawn(window)
    alone, _ = _drawn(_window(dataset, AugmentConfig.none()))
    assert window.plan is not None
    for sample, mixture in window.plan.mixtures.items():
        expected = mixture.share * alone[sample] + (1 - mixture.share) * alone[mixture.partner]
        assert np.abs(images[sample] - expected).max() <= 1


@pytest.mark.parametrize("seed", range(6))
def test_automatic_moves_take_the_boxes_with_them(tmp_path: Path, seed: int) -> None:
    dataset = painted_set(tmp_path, ODD_SIZES)
    augment = _colourless(auto_augment=AutoAugmentConfig(policy="v2"))
    window = _window(dataset, augment, seed=seed)
    images = np.zeros((len(ODD_SIZES), *RULE.size_hw, 3), np.uint8)
    assert window.plan is not None
    labels, compared = window.plan.labels, 0
    for sample, image in enumerate(images):
        policy = window.plan.effects[sample].policy
        assert policy is not None
        if not policy.moves:
            continue
        draw_pictures(window.plan, sample, image)  # without the changes of colour, which would repaint the boxes
        image[image.max(axis=2) == 128] = 0
        told, shown = _sample_labels(labels, sample), painted_boxes(image)
        for label, box in told.items():
            if (box[2:] - box[:2]).min() >= 5:
                assert np.abs(np.array(shown[label]) - box).max() <= 4
                compared += 1
    assert compared > 0
