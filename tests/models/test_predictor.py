from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.network import DetectorNetwork
from sanderling.models.predictor import TorchDetector
from sanderling.structures.artefact import PictureRule, PostprocessRule

EVERYTHING = PostprocessRule(score=0.0, max_detections=20)


def _network() -> DetectorNetwork:
    torch.manual_seed(0)
    return zoo.config("nanodet-debug", ("fire", "smoke")).with_picture(size_hw=(64, 96)).build()


def _picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_boxes_are_in_pixels_of_each_picture() -> None:
    detector = TorchDetector(_network(), postprocess=EVERYTHING)
    found = detector([_picture(480, 640), _picture(50, 200)])
    assert [one.size_hw for one in found] == [(480, 640), (50, 200)]
    for one, (height, width) in zip(found, ((480, 640), (50, 200)), strict=True):
        assert len(one.scores) == 20
        assert (one.boxes_xyxy >= -1e-3).all()
        assert (one.boxes_xyxy[:, 0::2] <= width + 1e-3).all()
        assert (one.boxes_xyxy[:, 1::2] <= height + 1e-3).all()
        assert one.class_names == ("fire", "smoke")


def test_batches_do_not_change_what_is_found() -> None:
    pictures = [_picture(60, 80, seed) for seed in range(5)]
    small, large = (TorchDetector(_network(), postprocess=EVERYTHING, batch=batch)(pictures) for batch in (2, 5))
    assert len(small) == len(large) == 5
    for one, other in zip(small, large, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_no_pictures_give_nothing() -> None:
    assert TorchDetector(_network())([]) == []


def test_thresholds_and_picture_rule_are_the_networks_unless_given() -> None:
    network = _network()
    detector = TorchDetector(network)
    assert (detector.picture, detector.postprocess) == (network.config.picture, network.config.postprocess)
    strict = dataclasses.replace(EVERYTHING, score=0.999)
    assert len(TorchDetector(network, postprocess=strict)([_picture(64, 96)])[0].scores) == 0


def test_a_picture_rule_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="70x96"):
        TorchDetector(_network(), picture=PictureRule(size_hw=(70, 96)))


def test_the_network_is_put_into_eval_mode() -> None:
    network = _network().train()
    TorchDetector(network)
    assert not network.training
