"""The outputs whose size depends on the number of classes, in files and in networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sanderling.models.heads.class_rows import ClassRows


def rows_of(name: str, outputs: Mapping[str, ClassRows]) -> ClassRows | None:
    """Where the classes stand in a tensor of the network; None where it does not depend on them."""
    return outputs.get(name) or outputs.get(name.rpartition(".")[0])


def count_classes(tensors: Mapping[str, Tensor], outputs: Mapping[str, ClassRows]) -> int | None:
    """Classes that the tensors of a file were trained for; None where the file has no such outputs."""
    for name, tensor in tensors.items():
        rows = rows_of(name, outputs)
        if rows is not None and tensor.ndim:
            return rows.classes(len(tensor))
    return None


def differ_in_classes(ours: Tensor, theirs: Tensor, rows: ClassRows) -> bool:
    """Whether two outputs of one name differ in their number of classes and in nothing else."""
    same = theirs.ndim == ours.ndim and theirs.ndim > 0 and theirs.shape[1:] == ours.shape[1:]
    return same and rows.classes(len(theirs)) is not None


def keep_boxes(ours: Tensor, theirs: Tensor, rows: ClassRows) -> Tensor:
    """Class rows of a fresh output, and all other rows from a file."""
    joined = ours.clone()
    joined[rows.kept(len(ours)).to(ours.device)] = theirs[rows.kept(len(theirs)).to(theirs.device)].to(ours)
    return joined
