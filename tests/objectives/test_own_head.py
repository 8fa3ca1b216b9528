from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.objectives.own_head import expect_coding
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.ops.tensor.coding import SsdCoding, YoloCoding
from sanderling.structures.predictions import Predictions
from tests.support.zoo import CLASSES, boxes_of_many_sizes, noise

SIZE_HW = (64, 96)


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    found: Predictions = zoo.config("yolov4-tiny-debug", CLASSES).build()(noise(2, SIZE_HW))
    return found


def test_a_coding_that_fits_is_taken(predictions: Predictions) -> None:
    expect_coding(predictions, YoloCoding, objective="mine")


def test_another_one_is_refused(predictions: Predictions) -> None:
    with pytest.raises(ModelError, match=r"mine teaches .* SsdCoding, but .* as YoloCoding; choose the objective of"):
        expect_coding(predictions, SsdCoding, objective="mine")


@pytest.mark.parametrize(
    "config",
    [
        DistributionObjectiveConfig(),
        DynamicDistributionObjectiveConfig(),
        FcosObjectiveConfig(),
        SsdObjectiveConfig(),
    ],
    ids=lambda config: config.kind,
)
def test_no_objective_teaches_the_head_of_another(
    config: DistributionObjectiveConfig | DynamicDistributionObjectiveConfig | FcosObjectiveConfig | SsdObjectiveConfig,
    predictions: Predictions,
) -> None:
    with torch.no_grad(), pytest.raises(ModelError, match=rf"task\.objective\.kind: {config.kind} teaches"):
        config.build()(predictions, boxes_of_many_sizes(2, SIZE_HW))
