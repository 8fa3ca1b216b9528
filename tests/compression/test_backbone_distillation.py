from __future__ import annotations

import math

import pytest
import torch

from sanderling.compression.backbone_distillation import BackboneDistillation, jensen_shannon
from sanderling.models import zoo
from tests.support.teachers import tiny_teacher
from tests.support.training import random_batch


def _task(name: str = "nanodet-debug", classes: int = 7) -> BackboneDistillation:
    torch.manual_seed(1)
    return BackboneDistillation(zoo.config(name, ("a", "b")).build(), tiny_teacher(classes))


def _slow_divergence(first: list[float], second: list[float]) -> float:
    """By the book, from probabilities, in Python's numbers."""
    p, q = ([math.exp(value) / sum(map(math.exp, row)) for value in row] for row in (first, second))
    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]

    def kullback_leibler(of: list[float]) -> float:
        return sum(a * math.log(a / m) for a, m in zip(of, mean, strict=True))

    return (kullback_leibler(p) + kullback_leibler(q)) / 2


def test_the_divergence_is_that_of_the_book() -> None:
    draw = torch.Generator().manual_seed(0)
    first, second = 3 * torch.randn(5, 11, generator=draw), 3 * torch.randn(5, 11, generator=draw)
    rows = zip(first.double().tolist(), second.double().tolist(), strict=True)
    expected = sum(_slow_divergence(one, other) for one, other in rows) / 5
    assert float(jensen_shannon(first, second)) == pytest.approx(expected, abs=1e-6)
    assert float(jensen_shannon(second, first)) == pytest.approx(expected, abs=1e-6)


def test_the_divergence_stays_within_its_bounds_and_finite() -> None:
    sure = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    assert float(jensen_shannon(sure.detach(), sure.detach())) == 0
    opposite = jensen_shannon(sure, -sure.detach())
    opposite.backward()
    assert float(opposite.detach()) == pytest.approx(math.log(2), abs=1e-6)
    assert sure.grad is not None
    assert bool(sure.grad.isfinite().all())
    assert jensen_shannon(torch.zeros(1, 2, dtype=torch.bfloat16), torch.zeros(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("name", ["nanodet-debug", "ppyolo-debug", "yolov4-tiny"])
def test_all_of_the_backbone_learns_and_nothing_else_of_the_network(name: str) -> None:
    task = _task(name).train()
    losses = task(random_batch(size_hw=(64, 96)))
    assert set(losses) == {"divergence"}
    losses["divergence"].backward()
    without = [key for key, parameter in task.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not without
    learning = {key for key, parameter in task.named_parameters() if parameter.requires_grad}
    assert learning == {f"network.backbone.{key}" for key, _ in task.network.backbone.named_parameters()} | {
        "output.weight",
        "output.bias",
    }


def test_the_teacher_neither_learns_nor_changes_nor_is_stored() -> None:
    task = _task()
    teacher = task._teacher.network
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    task.train()
    assert not teacher.training
    optimizer = torch.optim.SGD([parameter for parameter in task.parameters() if parameter.requires_grad], lr=0.1)
    task(random_batch())["divergence"].backward()
    optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert {name.partition(".")[0] for name in task.state_dict()} == {"network", "output"}


def test_both_see_the_same_pixels_each_in_its_own_normalisation() -> None:
    task, images = _task().eval(), random_batch(3, size_hw=(32, 64)).images
    with torch.no_grad():
        student, teacher = task.answers(images)
        coarsest = task.network.features(images).backbone[-1]
        by_hand = task._teacher.network(
            (images - torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1))
            / (torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1))
        )
    torch.testing.assert_close(student, task.output(coarsest.mean((2, 3))), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(teacher, by_hand, rtol=1e-4, atol=1e-4)
    assert student.shape == teacher.shape == (3, 7)


def test_pictures_without_boxes_teach_as_well() -> None:
    task = _task().train()
    assert float(task(random_batch(1, boxes=0))["divergence"].detach()) > 0


def test_the_student_learns_to_answer_as_the_teacher() -> None:
    task, batch = _task().train(), random_batch(4, size_hw=(32, 64))
    # Noise looks alike; colours that differ do not.
    batch.images.copy_((batch.images.float() * torch.rand(4, 3, 1, 1)).to(torch.uint8))
    optimizer = torch.optim.AdamW([parameter for parameter in task.parameters() if parameter.requires_grad], lr=3e-3)
    course = []
    for _ in range(12):
        loss = task(batch)["divergence"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        course.append(float(loss.detach()))
    assert course[-1] < course[0] / 2
