from __future__ import annotations

import math

import pytest
import torch

from sanderling.compression.agreement import measure_agreement
from sanderling.compression.backbone_distillation import BackboneDistillation
from sanderling.models import zoo
from tests.support.teachers import tiny_teacher
from tests.support.training import cpu_runtime, random_batch


def _task() -> BackboneDistillation:
    torch.manual_seed(0)
    return BackboneDistillation(zoo.config("nanodet-debug", ("a",)).build(), tiny_teacher())


def test_every_picture_counts_once_whatever_its_batch() -> None:
    task, runtime = _task(), cpu_runtime()
    batches = [random_batch(3, seed=0), random_batch(1, seed=1)]
    found = measure_agreement(task, batches, runtime)
    assert found is not None
    task.eval()
    divergences, same, said = [], 0, []
    for batch in batches:
        for image in batch.images:
            with torch.no_grad():
                student, teacher = (logits[0].double() for logits in task.answers(image[None]))
            p, q = student.softmax(0), teacher.softmax(0)
            mean = (p + q) / 2
            divergences.append(float((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum()) / 2)
            same += int(student.argmax() == teacher.argmax())
            said.append(int(teacher.argmax()))
    assert found.pictures == 4
    assert found.divergence == pytest.approx(sum(divergences) / 4, abs=1e-5)
    assert found.top1 == same / 4
    assert found.commonest == max(map(said.count, said)) / 4
    assert 0 < found.divergence < math.log(2)


def test_it_changes_neither_mode_nor_statistics() -> None:
    task = _task().train()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    measure_agreement(task, [random_batch()], cpu_runtime())
    assert task.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.state_dict().items())


def test_without_pictures_there_is_nothing_to_say() -> None:
    assert measure_agreement(_task(), [], cpu_runtime()) is None
