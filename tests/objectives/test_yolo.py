from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from sanderling import config
from sanderling.errors import ModelError
from sanderling.objectives import yolo as module
from sanderling.objectives.assigners.best_anchor import assign_best_anchor
from sanderling.objectives.losses.hard_negatives import HardNegatives
from sanderling.objectives.losses.iou_family import iou_family_loss
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.ops.tensor.coding import DistanceCoding, YoloCoding
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.points import anchor_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.objectives import Losses, gradients, leaves, require_full_precision_under_autocast, total
from tests.support.targets import random_targets, targets_of

SIZE_HW, CLASSES = (64, 96), 5
ANCHORS = (((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)), ((30.0, 61.0), (62.0, 45.0), (90.0, 70.0)))
FORMS = {
    "paddle": YoloObjectiveConfig.paddle(),
    "smoothed": YoloObjectiveConfig.paddle(label_smoothing=True),
    "darknet": YoloObjectiveConfig.darknet(ignore_iou=0.5),
    "yolov4": YoloObjectiveConfig.yolov4(),
    "ppyolo": YoloObjectiveConfig.ppyolo(),
    "ppyolo, several anchors": YoloObjectiveConfig.ppyolo(ignore_iou=0.5, match_iou=0.25),
    "yoloret": YoloObjectiveConfig.yoloret(),
}
GRID_SENSITIVE = ("ppyolo", "ppyolo, several anchors", "yolov4")
SCALES = {16: 1.05, 32: 1.2}
"""Of the grid sensitive ones, by stride."""


def _predictions(
    pictures: int,
    *,
    seed: int = 0,
    size_hw: tuple[int, int] = SIZE_HW,
    coding: YoloCoding | None = None,
    iou_aware: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Predictions:
    priors, strides = anchor_priors(size_hw, (16, 32), ANCHORS, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, spread: float = 1.0, mean: float = 0.0) -> Tensor:
        return (mean + spread * torch.randn(pictures, len(strides), *shape, generator=generator)).to(dtype)

    return Predictions(
        class_logits=drawn(CLASSES, mean=-1).requires_grad_(),
        box_logits=drawn(4, spread=0.5).requires_grad_(),
        objectness_logits=drawn(mean=-2).requires_grad_(),
        iou_logits=drawn().requires_grad_() if iou_aware else None,
        priors_cxcywh=priors,
        strides=strides,
        coding=coding or YoloCoding(),
        size_hw=size_hw,
    )


def _entropy(logit: Tensor, wanted: float) -> Tensor:
    probability = logit.sigmoid()
    return -wanted * probability.log() - (1 - wanted) * (1 - probability).log()


def _slow_losses(form: YoloObjectiveConfig, predictions: Predictions, targets: Targets) -> Losses:
    """The sheet's table written out point by point, in double precision and in shares of picture and cell."""
    scales = {16: 1.0, 32: 1.0} if predictions.coding == YoloCoding() else SCALES
    height, width = predictions.size_hw
    assert predictions.objectness_logits is not None
    zero = predictions.box_logits.double().sum() * 0
    sums = dict.fromkeys(("centre", "size", "iou", "iou_aware", "objectness", "class"), zero)
    for picture in range(targets.pictures):
        mine = targets.of(picture)
        assigned = assign_best_anchor(
            mine, predictions.priors_cxcywh, predictions.strides, predictions.size_hw, iou_threshold=form.match_iou
        )
        owner = dict(zip(assigned.points.tolist(), assigned.boxes.tolist(), strict=True))
        for point, stride in enumerate(predictions.strides.tolist()):
            scale = scales[stride]
            x, y, w, h = predictions.box_logits[picture, point].double()
            objectness = predictions.objectness_logits[picture, point].double()
            column, row, anchor_w, anchor_h = predictions.priors_cxcywh[point].tolist()
            column, row = math.floor(column / stride), math.floor(row / stride)
            said_x = scale * x.sigmoid() - (scale - 1) / 2
            said_y = scale * y.sigmoid() - (scale - 1) / 2
            half_w, half_h = w.exp() * anchor_w / 2, h.exp() * anchor_h / 2
            centre_x, centre_y = (column + said_x) * stride, (row + said_y) * stride
            box = torch.stack((centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h))
            if point not in owner:
                overlaps = [
                    float(iou_family_loss(box.detach(), other.double(), "giou")[1]) for other in mine.boxes_xyxy
                ]
                if max(overlaps, default=0.0) <= form.ignore_iou:
                    sums["objectness"] = sums["objectness"] + _entropy(objectness, 0)
                continue
            wanted = mine.boxes_xyxy[owner[point]].double()
            weight = float(mine.weights[owner[point]])
            x1, y1, x2, y2 = wanted.tolist()
            in_x, in_y = (x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - row
            raw_w, raw_h = math.log((x2 - x1) / anchor_w), math.log((y2 - y1) / anchor_h)
            factor = weight * (2 - (x2 - x1) * (y2 - y1) / (height * width) if form.small_box_factor else 1)
            if form.centre == "bce":
                assert scale == 1
                sums["centre"] = sums["centre"] + factor * (_entropy(x, in_x) + _entropy(y, in_y))
            elif form.centre == "l1":
                sums["centre"] = sums["centre"] + factor * ((said_x - in_x).abs() + (said_y - in_y).abs())
            if form.size == "l1":
                sums["size"] = sums["size"] + factor * ((w - raw_w).abs() + (h - raw_h).abs())
            elif form.size == "l2":
                sums["size"] = sums["size"] + factor * ((w - raw_w) ** 2 + (h - raw_h) ** 2) / 2
            if form.iou != "none":
                sums["iou"] = sums["iou"] + form.iou_weight * factor * iou_family_loss(box, wanted, form.iou)[0]
            if predictions.iou_logits is not None:
                iou = float(iou_family_loss(box.detach(), wanted, "giou")[1])
                said = predictions.iou_logits[picture, point].double()
                sums["iou_aware"] = sums["iou_aware"] + weight * _entropy(said, iou)
            sums["objectness"] = sums["objectness"] + weight * _entropy(objectness, 1)
            labels = {
                int(mine.labels[claimant])
                for claimed, claimant in zip(assigned.claimed.tolist(), assigned.claimants.tolist(), strict=True)
                if int(assigned.points[claimed]) == point
            }
            smooth = min(1 / CLASSES, 1 / 40) if form.label_smoothing else 0.0
            for label, logit in enumerate(predictions.class_logits[picture, point].double()):
                one = 1 - smooth if label in labels else smooth
                sums["class"] = sums["class"] + weight * _entropy(logit, one)
    return {name: value / targets.pictures for name, value in sums.items()}


@pytest.mark.parametrize("iou_aware", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_values_and_gradients_agree_with_the_slow_form(name: str, iou_aware: bool) -> None:
    form = FORMS[name]
    targets = random_targets(1, [4, 0, 9], size_hw=SIZE_HW, classes=CLASSES, least_weight=0.3)
    coding = YoloCoding(tuple(SCALES.items())) if name in GRID_SENSITIVE else YoloCoding()
    predictions = _predictions(3, coding=coding, iou_aware=iou_aware)
    ours, reference = form.build()(predictions, targets), _slow_losses(form, predictions, targets)
    for loss_name, loss in reference.items():
        found = ours[loss_name].item() if loss_name in ours else 0.0
        assert found == pytest.approx(loss.item(), rel=1e-4), loss_name
    expected = gradients(reference, predictions)
    for found_gradient, wanted in zip(gradients(ours, predictions), expected, strict=True):
        torch.testing.assert_close(found_gradient, wanted, rtol=1e-3, atol=1e-5)


def test_one_positive_worked_out_by_hand() -> None:
    # 60 x 50 at (63, 35): anchor 62 x 45 of stride 32, cell (1, 1); all logits are 0.
    size_hw = (64, 96)
    priors, strides = anchor_priors(size_hw, (16, 32), ANCHORS, device=torch.device("cpu"))
    points = len(strides)
    predictions = Predictions(
        class_logits=torch.zeros(1, points, 2),
        box_logits=torch.zeros(1, points, 4),
        objectness_logits=torch.zeros(1, points),
        priors_cxcywh=priors,
        strides=strides,
        coding=YoloCoding(),
        size_hw=size_hw,
    )
    losses = YoloObjectiveConfig.paddle().build()(predictions, targets_of([[33.0, 10.0, 93.0, 60.0]]))
    factor = 2 - 60 * 50 / (64 * 96)
    # Both sigmoids say one half, whatever they should say costs ln 2.
    assert losses["centre"].item() == pytest.approx(2 * math.log(2) * factor)
    assert losses["size"].item() == pytest.approx((math.log(62 / 60) + math.log(50 / 45)) * factor, rel=1e-5)
    assert losses["class"].item() == pytest.approx(2 * math.log(2))
    # Nearby anchors overlap it by less than 0.7, so that every other point is background.
    assert losses["objectness"].item() == pytest.approx(points * math.log(2), rel=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_what_says_the_objects_loses_almost_nothing(name: str) -> None:
    form, coding = FORMS[name], YoloCoding(scale_xy=1.05 if name in GRID_SENSITIVE else 1.0)
    targets = random_targets(2, [5, 3], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(2, coding=coding, iou_aware=True)
    priors, strides = predictions.priors_cxcywh, predictions.strides
    assigned = assign_best_anchor(targets, priors, strides, SIZE_HW, iou_threshold=form.match_iou)
    at = (assigned.pictures, assigned.points)
    wanted = coding.encode(targets.boxes_xyxy[assigned.boxes], priors[assigned.points], strides[assigned.points])
    box_logits = torch.zeros_like(predictions.box_logits)
    box_logits[at] = torch.cat((wanted[:, :2].logit(1e-6), wanted[:, 2:]), 1)
    sure = torch.full_like(predictions.class_logits, -20.0)
    sure[assigned.pictures[assigned.claimed], assigned.points[assigned.claimed], targets.labels[assigned.claimants]] = (
        20
    )
    objectness = torch.full(sure.shape[:2], -20.0)
    objectness[at] = 20
    perfect = dataclasses.replace(
        predictions,
        box_logits=box_logits,
        class_logits=sure,
        objectness_logits=objectness,
        iou_logits=torch.full(sure.shape[:2], 20.0),
    )
    losses = form.build()(perfect, targets)
    for loss_name, loss in losses.items():
        if loss_name == "centre" and form.centre == "bce":
            places = wanted[:, :2]
            least = torch.special.entr(places) + torch.special.entr(1 - places)
            assert loss.item() < least.sum().item()  # weighed by at most 2, over two pictures
        elif loss_name == "class" and form.label_smoothing:
            assert loss.item() < CLASSES * 20 * 0.025 * len(assigned.points)
        else:
            assert loss.item() == pytest.approx(0, abs=1e-3), loss_name


@pytest.mark.parametrize("name", FORMS)
def test_without_objects_only_the_background_is_taught(name: str) -> None:
    predictions = _predictions(2, iou_aware=True)
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES)
    losses = FORMS[name].build()(predictions, targets)
    assert losses.pop("objectness").item() > 0
    assert all(loss.item() == 0 for loss in losses.values())
    losses = FORMS[name].build()(predictions, targets)
    classes, boxes, objectness, ious = gradients(losses, predictions)
    assert classes.abs().sum() == boxes.abs().sum() == ious.abs().sum() == 0
    torch.testing.assert_close(objectness, leaves(predictions)[2].sigmoid().detach() / 2)


def test_a_negative_that_overlaps_an_object_of_its_own_picture_counts_for_nothing() -> None:
    box = [25.0, 10.0, 85.0, 60.0]
    predictions = _predictions(2)
    priors = predictions.priors_cxcywh
    # Every point of the finest level says the box itself.
    said = predictions.coding.encode(torch.tensor(box).expand(len(priors), 4), priors, predictions.strides)
    logits = torch.cat((said[:, :2].logit(1e-4), said[:, 2:]), 1)
    fine = predictions.strides == 16
    box_logits = torch.where(fine[:, None], logits, -5.0).expand(2, -1, -1)
    predictions = dataclasses.replace(predictions, box_logits=box_logits)
    targets = dataclasses.replace(targets_of([box]), pictures=2)
    losses = YoloObjectiveConfig.paddle().build()(predictions, targets)
    (gradient,) = torch.autograd.grad(total(losses), leaves(predictions)[2:])
    decoded, _ = decode(predictions)
    overlap = iou_family_loss(decoded, torch.tensor(box), "giou")[1]
    positive = torch.zeros_like(overlap, dtype=torch.bool)
    positive[0, assign_best_anchor(targets, priors, predictions.strides, SIZE_HW).points] = True
    ignored = (overlap > 0.7) & ~positive
    assert ignored[0].any()
    assert (gradient[0][ignored[0]] == 0).all()
    assert (gradient[0][~ignored[0] & ~positive[0]] > 0).all()
    assert (gradient[0][positive[0]] < 0).all()
    # The same boxes in a picture without the object are background.
    assert (gradient[1] > 0).all()


def test_a_batch_is_the_mean_of_its_pictures() -> None:
    targets = random_targets(2, [4, 7], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(2, iou_aware=True)
    objective = YoloObjectiveConfig.ppyolo().build()
    together = objective(predictions, targets)
    alone = []
    for picture in (0, 1):
        class_logits, box_logits, objectness, iou = (value[picture : picture + 1] for value in leaves(predictions))
        one = dataclasses.replace(
            predictions,
            class_logits=class_logits,
            box_logits=box_logits,
            objectness_logits=objectness,
            iou_logits=iou,
        )
        alone.append(objective(one, targets.of(picture)))
    for name, loss in together.items():
        assert loss.item() == pytest.approx((alone[0][name].item() + alone[1][name].item()) / 2, rel=1e-5)


def test_weights_of_targets_multiply_what_positives_say() -> None:
    targets = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(1, iou_aware=True)
    objective = YoloObjectiveConfig.ppyolo().build()
    full = objective(predictions, targets)
    half = objective(predictions, dataclasses.replace(targets, weights=targets.weights / 2))
    for name in ("centre", "size", "iou", "iou_aware", "class"):
        assert half[name].item() == pytest.approx(full[name].item() / 2)
    assert 0 < half["objectness"].item() < full["objectness"].item()


def test_weights_of_losses_come_from_the_config() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1, iou_aware=True)
    plain = YoloObjectiveConfig.ppyolo()
    names = ("centre", "size", "iou", "iou_aware", "objectness", "class")
    doubled = config.override(plain, [f"{name}_weight={2 * getattr(plain, name + '_weight')}" for name in names])
    expected, found = plain.build()(predictions, targets), doubled.build()(predictions, targets)
    assert set(found) == set(names)
    for name, loss in expected.items():
        assert found[name].item() == pytest.approx(2 * loss.item())


@pytest.mark.parametrize("name", FORMS)
def test_a_form_survives_yaml(name: str) -> None:
    read = config.parse(YoloObjectiveConfig, config.load_yaml(config.dump(FORMS[name]), source="test"))
    assert read == FORMS[name]


def test_forms_differ_from_one_another() -> None:
    assert len(set(FORMS.values())) == len(FORMS)


def test_full_precision_under_autocast_and_double_for_double() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    objective = YoloObjectiveConfig.ppyolo().build()
    predictions = _predictions(1, iou_aware=True)
    require_full_precision_under_autocast(objective, predictions, targets)
    double = objective(_predictions(1, iou_aware=True, dtype=torch.float64), targets)
    for name, loss in objective(predictions, targets).items():
        assert double[name].dtype == torch.float64
        assert double[name].item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["paddle", "darknet", "ppyolo", "yoloret"])
def test_gradients_are_right_in_double_precision(name: str) -> None:
    targets = random_targets(5, [3], size_hw=(32, 64), classes=CLASSES)
    predictions = _predictions(1, size_hw=(32, 64), dtype=torch.float64, seed=2)
    objective = FORMS[name].build()

    def summed(class_logits: Tensor, box_logits: Tensor, objectness_logits: Tensor) -> Tensor:
        return total(
            objective(
                dataclasses.replace(
                    predictions,
                    class_logits=class_logits,
                    box_logits=box_logits,
                    objectness_logits=objectness_logits,
                ),
                targets,
            )
        )

    assert torch.autograd.gradcheck(summed, tuple(leaves(predictions)), atol=1e-4, fast_mode=True)


def test_sizes_by_a_squared_sigmoid_are_taught_as_well() -> None:
    targets = random_targets(6, [6], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(1, coding=YoloCoding(scale_xy=2.0, size="sigmoid_squared"))
    losses = YoloObjectiveConfig.yolov4().build()(predictions, targets)
    (gradient,) = torch.autograd.grad(losses["iou"], [predictions.box_logits])
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_two_calls_give_the_same_bits() -> None:
    targets, predictions = random_targets(5, [20, 31], size_hw=SIZE_HW, classes=CLASSES), _predictions(2)
    objective = YoloObjectiveConfig.ppyolo(match_iou=0.25).build()
    first, second = (gradients(objective(predictions, targets), predictions) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_divisor_is_the_mean_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, predictions = random_targets(6, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    objective = YoloObjectiveConfig.paddle().build()
    alone = objective(predictions, targets)
    monkeypatch.setattr(module, "shared_divisor", lambda value: value * 4)
    among_others = objective(predictions, targets)
    for name, loss in alone.items():
        assert among_others[name].item() == pytest.approx(loss.item() / 4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectness_logits": None}, "YoloCoding and says no objectness"),
        ({"coding": DistanceCoding()}, "DistanceCoding and says objectness"),
    ],
)
def test_another_head_is_refused(changes: dict[str, object], words: str) -> None:
    predictions = dataclasses.replace(_predictions(1), **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=rf"task\.objective\.kind: yolo teaches heads of kind yolo.*{words}"):
        YoloObjectiveConfig().build()(predictions, targets_of([[1.0, 1.0, 9.0, 9.0]]))


def test_hard_negatives_leave_the_easy_ones_out_of_objectness_alone() -> None:
    mining = HardNegatives(ratio=3, floor=0.02)
    targets, predictions = random_targets(7, [5, 0], size_hw=SIZE_HW, classes=CLASSES), _predictions(2)
    plain = YoloObjectiveConfig.paddle().build()(predictions, targets)
    mined = YoloObjectiveConfig(hard_negatives=mining).build()(predictions, targets)
    assert {name for name in plain if not torch.equal(plain[name], mined[name])} == {"objectness"}
    (every,), (hardest,) = (
        torch.autograd.grad(losses["objectness"], leaves(predictions)[2:]) for losses in (plain, mined)
    )
    assigned = assign_best_anchor(targets, predictions.priors_cxcywh, predictions.strides, SIZE_HW)
    for picture in range(2):
        positive = set(assigned.points[assigned.pictures == picture].tolist())
        # What is ignored for its overlap has no gradient, so it can be no hard negative either.
        background = [p for p in every[picture].nonzero()[:, 0].tolist() if p not in positive]
        logits = leaves(predictions)[2][picture].tolist()
        most = math.ceil(max(3 * len(positive), 0.02 * every.shape[1]))
        wanted = positive | set(sorted(background, key=lambda p: -logits[p])[:most])
        assert set(hardest[picture].nonzero()[:, 0].tolist()) == wanted
