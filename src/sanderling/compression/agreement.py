"""How far a distilled backbone answers as its teacher does, on pictures that it did not learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from sanderling.compression.backbone_distillation import BackboneDistillation, jensen_shannon
from sanderling.structures.batch import Batch
from sanderling.training.runtime import Runtime


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Student against teacher.

    Attributes:
        pictures: on which both were asked.
        divergence: Jensen-Shannon, the mean over pictures, 0 to log 2.
        top1: share of the pictures to which both give the same class.
        commonest: share of the pictures to which the teacher gives its commonest class; a student that always says
            that one reaches it.
    """

    pictures: int
    divergence: float
    top1: float
    commonest: float


@torch.no_grad()
def measure_agreement(task: BackboneDistillation, batches: Iterable[Batch], runtime: Runtime) -> Agreement | None:
    """Ask both for every picture, the student in eval mode; None where there is no picture."""
    divergence, same, said = 0.0, 0, Counter[int]()
    was_training = task.training
    task.eval()
    try:
        for batch in batches:
            with runtime.autocast():
                student, teacher = task.answers(runtime.bring(batch).images)
            divergence += float(jensen_shannon(student, teacher)) * len(student)
            same += int((student.argmax(1) == teacher.argmax(1)).sum())
            said.update(teacher.argmax(1).tolist())
    finally:
        task.train(was_training)
    pictures = said.total()
    if not pictures:
        return None
    return Agreement(
        pictures=pictures,
        divergence=divergence / pictures,
        top1=same / pictures,
        commonest=said.most_common(1)[0][1] / pictures,
    )
