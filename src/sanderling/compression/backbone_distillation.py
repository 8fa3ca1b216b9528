"""SSLD, the pretraining of a backbone: it learns to answer as a stronger classifier does, on pictures without labels.

Simple Semi-supervised Label Distillation, https://arxiv.org/abs/2103.05959, whose loss is the Jensen-Shannon divergence
between the two answers. There are no labels, so none is smoothed. Axes: B pictures, C classes of the teacher.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sanderling.compression.teacher import Teacher
from sanderling.models.network import DetectorNetwork
from sanderling.structures.batch import Batch
from sanderling.training.task import Task


class BackboneDistillation(Task):
    """Teaches the backbone of a detector to answer as the teacher does; neck and head stay as they are.

    The backbone's coarsest map, its mean over the picture and a linear layer give the answer. The layer belongs to the
    task and does not ship. The teacher is no part of the module: it neither learns nor goes into checkpoints.

    Args:
        network: the detector whose backbone learns.
        teacher: on the device of the batches.
    """

    means_over_pictures = True

    def __init__(self, network: DetectorNetwork, teacher: Teacher) -> None:
        super().__init__(network)
        network.requires_grad_(False)
        network.backbone.requires_grad_(True)
        self.output = nn.Linear(network.backbone.features.channels[-1], teacher.classes)
        self._teacher = teacher

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        """The divergence from the teacher, which sees the same pixels; boxes play no part."""
        student, teacher = self.answers(batch.images)
        return {"divergence": jensen_shannon(student, teacher)}

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W), uint8 RGB, to the student's and the teacher's class logits, both (B, C)."""
        coarsest = self.network.backbone(images * self.network.scale + self.network.shift)[-1]
        return self.output(coarsest.mean((2, 3))), self._teacher(images)


def jensen_shannon(first: Tensor, second: Tensor) -> Tensor:
    """The Jensen-Shannon divergence between two answers, the mean over pictures, a scalar from 0 to log 2.

    The same whichever stands first: half of what each softmax diverges (Kullback-Leibler) from the mean of both.

    >>> logits = torch.tensor([[0.0, 100.0]])
    >>> float(jensen_shannon(logits, logits)), round(float(jensen_shannon(logits, -logits)), 4)
    (0.0, 0.6931)

    Args:
        first: class logits (B, C).
        second: class logits (B, C).
    """
    one, other = first.float().log_softmax(1), second.float().log_softmax(1)
    mean = torch.logaddexp(one, other) - math.log(2)
    return (one.exp() * (one - mean) + other.exp() * (other - mean)).sum(1).mean() / 2
