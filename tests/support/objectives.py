"""What is asked of objectives: the values and gradients of their slow form, full precision under autocast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Losses = Mapping[str, Tensor]


def leaves(predictions: Predictions) -> list[Tensor]:
    """All that a network says: class and box logits, then those of objectness and IoU where it has them."""
    said = (
        predictions.class_logits,
        predictions.box_logits,
        predictions.objectness_logits,
        predictions.iou_logits,
    )
    return [logits for logits in said if logits is not None]


def total(losses: Losses) -> Tensor:
    """What a training descends."""
    return torch.stack(list(losses.values())).sum()


def gradients(losses: Losses, *predictions: Predictions) -> tuple[Tensor, ...]:
    """Of the total by each of the leaves; a leaf that no loss is connected to is an error."""
    return torch.autograd.grad(total(losses), [leaf for said in predictions for leaf in leaves(said)])


def require_same_losses(found: Losses, expected: Losses, *predictions: Predictions) -> None:
    """The same names, values and gradients, whatever precision the expected ones were computed in."""
    torch.testing.assert_close(dict(found), dict(expected), rtol=1e-4, atol=0, check_dtype=False)
    torch.testing.assert_close(gradients(found, *predictions), gradients(expected, *predictions), rtol=1e-3, atol=1e-6)


def require_full_precision_under_autocast(
    objective: Callable[[Predictions, Targets], Losses], predictions: Predictions, targets: Targets
) -> None:
    """The same bits as without autocast, in float32."""
    expected = objective(predictions, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = objective(predictions, targets)
    torch.testing.assert_close(dict(found), dict(expected), rtol=0, atol=0)
    assert {loss.dtype for loss in found.values()} == {torch.float32}
