"""The outputs whose size depends on the number of classes: rows are classes first, the numbers of the box last."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_PREFIX = "head.gfl_cls."


def is_class_output(name: str) -> bool:
    """Whether a tensor of the network has one row per class and box number."""
    return name.startswith(_PREFIX)


def count_classes(tensors: Mapping[str, Tensor], *, box_numbers: int) -> int | None:
    """Classes that the tensors of a file were trained for; None where the file has no such outputs."""
    rows = [len(tensor) for name, tensor in tensors.items() if is_class_output(name) and tensor.ndim]
    return rows[0] - box_numbers if rows and rows[0] > box_numbers else None


def differ_in_classes(ours: Tensor, theirs: Tensor, *, box_numbers: int) -> bool:
    """Whether two outputs of one name differ in their number of classes and in nothing else."""
    return theirs.ndim == ours.ndim and theirs.shape[1:] == ours.shape[1:] and len(theirs) > box_numbers


def keep_boxes(ours: Tensor, theirs: Tensor, *, box_numbers: int) -> Tensor:
    """Class rows of a fresh output with the box rows of a file."""
    return torch.cat((ours[:-box_numbers], theirs[-box_numbers:].to(ours)))
