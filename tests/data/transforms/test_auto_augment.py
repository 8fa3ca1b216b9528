from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms import tone
from sanderling.data.transforms.auto_augment import (
    GREY,
    POLICIES,
    AutoAugmentConfig,
    DrawnPolicy,
    Name,
    Operation,
    draw_policy,
    magnitude_of,
)
from sanderling.errors import UsageError

Pixels = NDArray[np.uint8]
NO_BOXES = np.zeros((0, 4), np.float32)
BOXES = np.array([[5, 8, 45, 60], [70.3, 10.2, 120.4, 50.4]], np.float32)
SIZE = (83, 131)


def _moving(*moves: Operation, reference_side: float = 131.0) -> DrawnPolicy:
    return DrawnPolicy(moves=moves, changes=(), reference_side=reference_side)


def _picture(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def _changed(
    image: Pixels, boxes: NDArray[np.float32], *changes: Operation, seed: int = 0, reference_side: float = 131.0
) -> Pixels:
    after = image.copy()
    policy = DrawnPolicy(moves=(), changes=changes, reference_side=reference_side)
    policy.change(after, boxes, np.random.default_rng(seed))
    return after


def test_survives_being_written_and_read() -> None:
    augment = AutoAugmentConfig(policy="v3", reference_side=500)
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(AutoAugmentConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize("wrong", [{"policy": "v4"}, {"reference_side": 0}])
def test_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        config.parse(AutoAugmentConfig, wrong)


class TestTables:
    def test_sizes_and_values(self) -> None:
        assert {version: len(policy) for version, policy in POLICIES.items()} == {"v0": 5, "v1": 20, "v2": 15, "v3": 15}
        assert POLICIES["v0"] == POLICIES["v1"][:5]
        steps = [step for policy in POLICIES.values() for sub_policy in policy for step in sub_policy]
        assert {step.name for step in steps} <= set(get_args(Name))
        assert all(0 <= step.probability <= 1 and 0 <= step.level <= 10 for step in steps)

    # Sums over the published tables.
    @pytest.mark.parametrize(
        ("version", "steps", "probabilities", "levels"),
        [("v1", 40, 21.8, 250), ("v2", 44, 21.8, 272), ("v3", 30, 18.6, 198)],
    )
    def test_sums(self, version: Any, steps: int, probabilities: float, levels: int) -> None:
        rows = [step for sub_policy in POLICIES[version] for step in sub_policy]
        assert len(rows) == steps
        assert sum(step.probability for step in rows) == pytest.approx(probabilities)
        assert sum(step.level for step in rows) == levels

    def test_magnitudes(self) -> None:
        expected: dict[Name, list[float]] = {
            "Rotate_BBox": [0, 15, 30],
            "Rotate_Only_BBoxes": [0, 15, 30],
            "ShearX_BBox": [0, 0.15, 0.3],
            "ShearY_Only_BBoxes": [0, 0.15, 0.3],
            "TranslateX_BBox": [0, 125, 250],
            "TranslateY_Only_BBoxes": [0, 60, 120],
            "Color": [0.1, 1.0, 1.9],
            "Sharpness": [0.1, 1.0, 1.9],
            "Posterize": [1, 2, 4],
            "Solarize": [0, 128, 256],
            "SolarizeAdd": [0, 55, 110],
            "Cutout": [0, 50, 100],
            "Cutout_Only_BBoxes": [0, 25, 50],
            "BBox_Cutout": [0, 0.375, 0.75],
            "Equalize": [0, 0, 0],
            "Flip_Only_BBoxes": [0, 0, 0],
        }
        for name, values in expected.items():
            assert [magnitude_of(name, level) for level in (0, 5, 10)] == pytest.approx(values), name
        assert magnitude_of("Solarize", 8) == 204  # 204.8 without its fraction
        assert magnitude_of("Cutout_Only_BBoxes", 3) == 15


class TestDraw:
    @pytest.mark.parametrize("version", ["v0", "v1", "v2", "v3"])
    def test_operations_come_as_often_as_tabulated(self, version: Any) -> None:
        draws, rng = 2500, np.random.default_rng(0)
        found: Counter[str] = Counter()
        for _ in range(draws):
            policy = draw_policy(AutoAugmentConfig(policy=version), rng)
            found.update(operation.name for operation in (*policy.moves, *policy.changes))
        expected: dict[str, float] = defaultdict(float)
        for step in (step for sub_policy in POLICIES[version] for step in sub_policy):
            inside = step.name.endswith("_Only_BBoxes")  # decided for each box
            nothing = step.name.endswith("_BBox") and step.level == 0
            expected[step.name] += (
                0 if nothing else draws / len(POLICIES[version]) * (1 if inside else step.probability)
            )
        for name, count in expected.items():
            assert found[name] == pytest.approx(count, abs=5 * math.sqrt(count) + 1), name

    def test_boxes_have_a_third_of_the_probability_and_moves_both_signs(self) -> None:
        rng = np.random.default_rng(1)
        policies = [draw_policy(AutoAugmentConfig(policy="v1"), rng) for _ in range(1500)]
        operations = [operation for policy in policies for operation in (*policy.moves, *policy.changes)]
        tabulated = {(step.name, step.probability / 3) for sub in POLICIES["v1"] for step in sub}
        for operation in operations:
            inside = operation.name.endswith("_Only_BBoxes")
            assert (operation.name, operation.probability) in tabulated if inside else operation.probability == 1
        for name in ("Rotate_BBox", "ShearY_BBox", "TranslateX_BBox", "TranslateY_Only_BBoxes", "ShearX_Only_BBoxes"):
            signs = [operation.magnitude > 0 for operation in operations if operation.name == name]
            assert np.mean(signs) == pytest.approx(0.5, abs=0.15)
        for name in ("Cutout", "Color", "Cutout_Only_BBoxes", "SolarizeAdd"):
            assert all(operation.magnitude > 0 for operation in operations if operation.name == name)

    def test_the_order_of_a_sub_policy_is_kept_within_moves_and_within_changes(self) -> None:
        rng = np.random.default_rng(2)
        for _ in range(300):
            policy = draw_policy(AutoAugmentConfig(policy="v2"), rng)
            for part in (policy.moves, policy.changes):
                names = [operation.name for operation in part]
                assert any(_is_subsequence(names, [step.name for step in sub]) for sub in POLICIES["v2"])

    def test_the_same_state_draws_the_same(self) -> None:
        first, again, other = (draw_policy(AutoAugmentConfig(), np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert first == again
        assert first != other


def _is_subsequence(names: list[Any], of: list[Any]) -> bool:
    remaining = iter(of)
    return all(name in remaining for name in names)


class TestMoves:
    def test_none_is_the_identity(self) -> None:
        assert (_moving().matrix(SIZE) == np.eye(3)).all()

    def test_a_turn_keeps_the_middle_and_goes_clockwise(self) -> None:
        matrix = _moving(Operation("Rotate_BBox", 90.0)).matrix((60, 100))
        assert matrix @ (50, 30, 1) == pytest.approx((50, 30, 1))
        assert matrix @ (60, 30, 1) == pytest.approx((50, 40, 1))  # from the right of the middle to below it

    def test_shears(self) -> None:
        assert _moving(Operation("ShearX_BBox", 0.2)).matrix(SIZE) @ (10, 30, 1) == pytest.approx((16, 30, 1))
        assert _moving(Operation("ShearY_BBox", -0.1)).matrix(SIZE) @ (10, 30, 1) == pytest.approx((10, 29, 1))

    @pytest.mark.parametrize(("size", "shift"), [((640, 480), 250), ((240, 320), 125), ((83, 1280), 500)])
    def test_shifts_are_pixels_of_a_picture_of_the_reference_side(self, size: tuple[int, int], shift: float) -> None:
        right = _moving(Operation("TranslateX_BBox", 250.0), reference_side=640).matrix(size)
        down = _moving(Operation("TranslateY_BBox", -250.0), reference_side=640).matrix(size)
        assert right @ (3, 4, 1) == pytest.approx((3 + shift, 4, 1))
        assert down @ (3, 4, 1) == pytest.approx((3, 4 - shift, 1))

    def test_the_matrix_does_what_the_moves_do_one_after_the_other(self) -> None:
        moves = Operation("ShearX_BBox", 0.24), Operation("Rotate_BBox", -24.0), Operation("TranslateY_BBox", 9.0)
        point = np.array([17.0, 40.0, 1.0])
        for move in moves:
            point = _moving(move).matrix(SIZE) @ point
        assert _moving(*moves).matrix(SIZE) @ (17, 40, 1) == pytest.approx(point)
        assert not np.allclose(_moving(*moves).matrix(SIZE), _moving(*moves[::-1]).matrix(SIZE))

    def test_tones_commute_with_moves(self) -> None:
        image = cv2.GaussianBlur(_picture(), (0, 0), 4)
        matrix = _moving(Operation("Rotate_BBox", 20.0)).matrix(SIZE)[:2]
        matrix[:, 2] += (matrix[:, :2].sum(axis=1) - 1) / 2
        for change in (Operation("Color", 1.54), Operation("Brightness", 0.64), Operation("SolarizeAdd", 22)):

            def moved(pixels: Any) -> Any:
                return cv2.warpAffine(pixels, matrix, SIZE[::-1], borderMode=cv2.BORDER_REPLICATE)

            first, last = moved(_changed(image, NO_BOXES, change)), _changed(moved(image), NO_BOXES, change)
            # Not where values lie on both sides of a threshold.
            assert (np.abs(first.astype(int) - last) <= 2).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "magnitude"),
    [
        ("AutoContrast", 0.0),
        ("Equalize", 0.0),
        ("Posterize", 2.0),
        ("Solarize", 128.0),
        ("SolarizeAdd", 66.0),
        ("Color", 0.46),
        ("Contrast", 1.9),
        ("Brightness", 1.54),
        ("Sharpness", 1.54),
    ],
)
def test_tones_are_applied_to_the_whole_picture(name: Any, magnitude: float) -> None:
    image = (_picture() // 2 + 30).astype(np.uint8)
    expected = image.copy()
    {
        "AutoContrast": lambda: tone.autocontrast(expected),
        "Equalize": lambda: tone.equalize(expected),
        "Posterize": lambda: tone.posterize(expected, 2),
        "Solarize": lambda: tone.solarize(expected, 128),
        "SolarizeAdd": lambda: tone.solarize_add(expected, 66),
        "Color": lambda: tone.apply_matrix(expected, tone.colour_matrix(0.46)),
        "Contrast": lambda: tone.apply_matrix(expected, tone.contrast_matrix(expected, 1.9)),
        "Brightness": lambda: tone.apply_matrix(expected, tone.brightness_matrix(1.54)),
        "Sharpness": lambda: tone.sharpen(expected, 1.54),
    }[name]()
    found = _changed(image, BOXES, Operation(name, magnitude))
    assert (found == expected).all()
    assert (found != image).any()


ONLY: list[tuple[Any, float]] = [
    ("Flip_Only_BBoxes", 0.0), ("Equalize_Only_BBoxes", 0.0), ("Solarize_Only_BBoxes", 100.0),
    ("Rotate_Only_BBoxes", 20.0), ("ShearX_Only_BBoxes", -0.2), ("ShearY_Only_BBoxes", 0.3),
    ("TranslateX_Only_BBoxes", -9.0), ("TranslateY_Only_BBoxes", 12.0), ("Cutout_Only_BBoxes", 8.0),
]  # fmt: skip
WHOLE_BOXES = [(5, 8, 45, 60), (70, 10, 120, 50)]


class TestInsideBoxes:
    @pytest.mark.parametrize(("name", "magnitude"), ONLY)
    def test_nothing_outside_is_touched(self, name: Any, magnitude: float) -> None:
        image = _picture()
        found = _changed(image, BOXES, Operation(name, magnitude, 1.0))
        for left, top, right, bottom in WHOLE_BOXES:
            assert (found[top:bottom, left:right] != image[top:bottom, left:right]).any()
            found[top:bottom, left:right] = image[top:bottom, left:right]
        assert (found == image).all()

    @pytest.mark.parametrize(("name", "magnitude"), ONLY)
    def test_boxes_at_the_border_outside_and_without_area(self, name: Any, magnitude: float) -> None:
        boxes = np.array(
            [
                [-9, -9, 20, 20],
                [120, 70, 150, 99],
                [200, 5, 220, 9],
                [30, 30, 30, 40],
                [50, 50, 51, 51],
                [60, 60, 62, 63],
            ],
            np.float32,
        )
        image = _picture()
        for seed in range(4):
            found = _changed(image, boxes, Operation(name, magnitude, 1.0), seed=seed)
            assert (found[25:45, 25:110] == image[25:45, 25:110]).all()
        assert (_changed(image, NO_BOXES, Operation(name, magnitude, 1.0)) == image).all()

    def test_each_box_has_its_own_chance(self) -> None:
        image = _picture()
        fired = []
        for seed in range(400):
            found = _changed(image, BOXES, Operation("Flip_Only_BBoxes", 0.0, 0.3), seed=seed)
            fired.append([(found[t:b, x:r] != image[t:b, x:r]).any() for x, t, r, b in WHOLE_BOXES])
        assert np.mean(fired, axis=0) == pytest.approx([0.3, 0.3], abs=0.08)
        assert np.all(fired, axis=1).mean() == pytest.approx(0.09, abs=0.05)

    def test_flip_and_shift_and_turn_of_the_content(self) -> None:
        image = _picture()
        left, top, right, bottom = WHOLE_BOXES[0]
        inside, box = image[top:bottom, left:right], BOXES[:1]
        flipped = _changed(image, box, Operation("Flip_Only_BBoxes", 0.0, 1.0))
        assert (flipped[top:bottom, left:right] == inside[:, ::-1]).all()
        shifted = _changed(image, box, Operation("TranslateY_Only_BBoxes", 10.0, 1.0))[top:bottom, left:right]
        assert (shifted[10:] == inside[:-10]).all()
        assert (shifted[:10] == GREY).all()
        half = _changed(image, box, Operation("TranslateY_Only_BBoxes", 20.0, 1.0), reference_side=262.0)
        assert (half[top:bottom, left:right] == shifted).all()
        turned = _changed(image, box, Operation("Rotate_Only_BBoxes", 180.0, 1.0))[top:bottom, left:right]
        assert np.abs(turned.astype(int) - inside[::-1, ::-1]).max() <= 1

    def test_holes_inside_boxes(self) -> None:
        image = np.full((*SIZE, 3), 255, np.uint8)
        largest = 0
        for seed in range(60):
            hole = _changed(image, BOXES[:1], Operation("Cutout_Only_BBoxes", 8.0, 1.0), seed=seed)[..., 0] == GREY
            assert hole.any()
            assert hole[8:60, 5:45].sum() == hole.sum() == hole.any(0).sum() * hole.any(1).sum()
            largest = max(largest, int(hole.sum()))
        assert largest == 16 * 16

    def test_bbox_cutout_holes_one_box_in_proportion(self) -> None:
        image = np.full((*SIZE, 3), 255, np.uint8)
        boxes = np.array([[0, 0, 40, 60], [90, 40, 130, 80]], np.float32)
        hit = [0, 0]
        for seed in range(120):
            hole = _changed(image, boxes, Operation("BBox_Cutout", 0.5), seed=seed)[..., 0] == GREY
            rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
            assert hole.sum() == len(rows) * len(columns)
            second = int(columns[0] > 60)
            hit[second] += 1
            assert len(rows) <= (20 if second else 30)
            assert len(columns) <= 20
        assert min(hit) > 35
        assert (_changed(image, NO_BOXES, Operation("BBox_Cutout", 0.5)) == 255).all()


def test_cutout_is_anywhere_and_scales_with_the_picture() -> None:
    image = np.full((*SIZE, 3), 255, np.uint8)
    seen, largest = np.zeros(SIZE, bool), 0
    for seed in range(150):
        hole = _changed(image, NO_BOXES, Operation("Cutout", 40.0), seed=seed, reference_side=262.0)[..., 0] == GREY
        assert hole.any()
        seen |= hole
        largest = max(largest, int(hole.sum()))
    assert seen.mean() > 0.98
    assert largest == 40 * 40


def test_changes_happen_in_their_order() -> None:
    image = _picture()
    brighten, invert = Operation("Brightness", 1.9), Operation("Solarize", 128.0)
    one_way, other_way = _changed(image, NO_BOXES, brighten, invert), _changed(image, NO_BOXES, invert, brighten)
    assert (one_way == _changed(_changed(image, NO_BOXES, brighten), NO_BOXES, invert)).all()
    assert (one_way != other_way).any()


@pytest.mark.parametrize("version", ["v0", "v1", "v2", "v3"])
def test_every_sub_policy_runs_and_the_same_state_gives_the_same(version: Any) -> None:
    for seed in range(40):
        policy = draw_policy(AutoAugmentConfig(policy=version), np.random.default_rng(seed))
        first, again = (_picture(), _picture())
        for image in (first, again):
            policy.change(image, BOXES, np.random.default_rng(seed))
        assert (first == again).all()
        assert np.isfinite(policy.matrix(SIZE)).all()
