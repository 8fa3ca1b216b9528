from __future__ import annotations

import torch

from sanderling.models.weights.fit import compare, listed


def test_what_fits_exactly() -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(())}
    fit = compare(state, dict(state))
    assert fit.exact
    assert fit.complete
    assert str(fit) == "everything fits"


def test_every_difference_is_named() -> None:
    fit = compare({"a": torch.zeros(2, 3), "b": torch.zeros(())}, {"a": torch.zeros(2, 4), "c": torch.zeros(1)})
    assert fit.missing == ("b",)
    assert fit.unexpected == ("c",)
    assert fit.misshapen == ("a (2x4, 2x3 expected)",)
    assert not fit.complete
    assert str(fit) == "1 missing: b; 1 of another shape: a (2x4, 2x3 expected); 1 unexpected: c"


def test_left_over_tensors_make_it_complete_but_not_exact() -> None:
    fit = compare({"a": torch.zeros(1)}, {"a": torch.zeros(1), "b": torch.zeros(1)})
    assert fit.complete
    assert not fit.exact


def test_step_counters_may_be_missing() -> None:
    assert compare({"bn.num_batches_tracked": torch.zeros(())}, {}).exact


def test_long_lists_are_cut() -> None:
    text = listed([f"k{number}" for number in range(11)])
    assert text.startswith("k0, k1, ")
    assert text.endswith("k7 and 3 more")
