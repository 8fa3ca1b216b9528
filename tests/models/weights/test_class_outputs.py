from __future__ import annotations

import torch

from sanderling.models.weights.class_outputs import count_classes, differ_in_classes, is_class_output, keep_boxes
from tests.support.networks import trained_like


def test_classes_are_counted_from_the_rows() -> None:
    assert count_classes(trained_like(("a", "b", "c")).state_dict(), box_numbers=32) == 3
    assert count_classes({"backbone.conv1.0.weight": torch.zeros(4, 3, 3, 3)}, box_numbers=32) is None
    assert count_classes({"head.gfl_cls.0.bias": torch.zeros(32)}, box_numbers=32) is None


def test_only_the_output_convolutions_depend_on_the_classes() -> None:
    few, many = (trained_like(names).state_dict() for names in (("a",), ("a", "b", "c")))
    differing = {name for name in few if few[name].shape != many[name].shape}
    assert differing == {name for name in few if is_class_output(name)}
    assert len(differing) == 6


def test_boxes_are_the_last_rows() -> None:
    ours, theirs = torch.zeros(2 + 4, 3), torch.ones(5 + 4, 3, dtype=torch.float64)
    found = keep_boxes(ours, theirs, box_numbers=4)
    assert found.dtype == torch.float32
    assert found.sum(1).tolist() == [0, 0, 3, 3, 3, 3]


def test_only_rows_of_classes_may_differ() -> None:
    ours = torch.zeros(3 + 8, 5, 1, 1)
    assert differ_in_classes(ours, torch.zeros(1 + 8, 5, 1, 1), box_numbers=8)
    for shape in ((1 + 8, 4, 1, 1), (8, 5, 1, 1), (9, 5), ()):
        assert not differ_in_classes(ours, torch.zeros(shape), box_numbers=8)
    assert not differ_in_classes(torch.zeros(11), torch.tensor(1.0), box_numbers=8)
