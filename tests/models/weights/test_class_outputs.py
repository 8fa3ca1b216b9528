from __future__ import annotations

import torch

from sanderling.models.heads.class_rows import ClassRows
from sanderling.models.weights.class_outputs import count_classes, differ_in_classes, keep_boxes, rows_of
from tests.support.networks import trained_like


def test_classes_are_counted_from_the_rows() -> None:
    network = trained_like(("a", "b", "c"))
    outputs = network.class_rows()
    assert count_classes(network.state_dict(), outputs) == 3
    assert count_classes({"backbone.conv1.0.weight": torch.zeros(4, 3, 3, 3)}, outputs) is None
    assert count_classes({"head.gfl_cls.0.bias": torch.zeros(32)}, outputs) is None


def test_outputs_are_named_by_module_or_by_parameter() -> None:
    outputs = {"head.out.0": ClassRows(after=4), "head.scale": ClassRows(after=1)}
    assert rows_of("head.out.0.weight", outputs) == rows_of("head.out.0.bias", outputs) == ClassRows(after=4)
    assert rows_of("head.scale", outputs) == ClassRows(after=1)
    assert rows_of("head.out.1.weight", outputs) is None


def test_only_the_output_convolutions_depend_on_the_classes() -> None:
    few, many = (trained_like(names) for names in (("a",), ("a", "b", "c")))
    differing = {name for name, tensor in few.state_dict().items() if tensor.shape != many.state_dict()[name].shape}
    assert differing == {name for name in few.state_dict() if rows_of(name, few.class_rows()) is not None}
    assert len(differing) == 6


def test_boxes_are_the_last_rows() -> None:
    ours, theirs = torch.zeros(2 + 4, 3), torch.ones(5 + 4, 3, dtype=torch.float64)
    found = keep_boxes(ours, theirs, ClassRows(after=4))
    assert found.dtype == torch.float32
    assert found.sum(1).tolist() == [0, 0, 3, 3, 3, 3]


def test_only_rows_of_classes_may_differ() -> None:
    ours, rows = torch.zeros(3 + 8, 5, 1, 1), ClassRows(after=8)
    assert differ_in_classes(ours, torch.zeros(1 + 8, 5, 1, 1), rows)
    for shape in ((1 + 8, 4, 1, 1), (8, 5, 1, 1), (9, 5), ()):
        assert not differ_in_classes(ours, torch.zeros(shape), rows)
    assert not differ_in_classes(torch.zeros(11), torch.tensor(1.0), rows)
