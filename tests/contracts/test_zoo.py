"""What every detector of the zoo keeps to. Debug sizes by default, the published sizes with `scripts/test --all`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sanderling import config as configs
from sanderling.analysis.published import count_as_published
from sanderling.export.write import ExportChoice, export_onnx
from sanderling.models import zoo
from sanderling.models.network import DetectorConfig
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch
from sanderling.structures.predictions import Predictions
from tests.support.artefacts import pictures
from tests.support.zoo import CLASSES, boxes_of_many_sizes, computable, learn_by_heart, lively, no_boxes, noise, task_of

_DEBUG = [name for name in zoo.names() if name.endswith("-debug")]
_ALL = [name if name in _DEBUG else pytest.param(name, marks=pytest.mark.slow) for name in zoo.names()]

_FIRST_OF_FAMILY = {zoo.entry(name).family: name for name in reversed(_DEBUG)}.values()
_ONE_OF_A_FAMILY = [
    name if name in _FIRST_OF_FAMILY else pytest.param(name, marks=pytest.mark.slow) for name in zoo.names()
]


def _config(name: str) -> DetectorConfig:
    return zoo.config(name, CLASSES)


def _odd_size(config: DetectorConfig) -> tuple[int, int]:
    """Not square, sides that are odd numbers of cells of the coarsest level."""
    with torch.device("meta"):
        stride = config.build().stride
    return (3 * stride, 5 * stride) if stride <= 32 else (stride, 3 * stride)


def test_every_family_has_a_debug_size() -> None:
    families = {entry.family for entry in zoo.entries()}
    assert families == {entry.family for entry in zoo.entries() if entry.name in _DEBUG}


@pytest.mark.parametrize("name", zoo.names())
def test_the_published_counts_are_met(name: str) -> None:
    published = zoo.entry(name).published
    counted = count_as_published(zoo.entry(name))
    assert counted.parameters > 0
    assert counted.macs > 0
    if published is None:
        return
    if published.parameters is not None:
        most = 0 if published.parameters_step == 1 else published.parameters_step / 2
        assert abs(counted.parameters - published.parameters) <= most
    if published.macs is not None:
        assert abs(counted.macs - published.macs) <= max(published.macs * 1e-3, published.macs_step / 2)


@pytest.mark.parametrize("name", zoo.names())
def test_the_config_survives_yaml_and_builds_the_same_network(name: str) -> None:
    chosen = _config(name)
    read = configs.parse(DetectorConfig, configs.load_yaml(configs.dump(chosen), source="test"))
    assert read == chosen
    assert hash(read) == hash(chosen)
    # What is equal builds the same; the debug sizes show it.
    if name in _DEBUG:
        with torch.device("meta"):
            first, second = chosen.build().state_dict(), read.build().state_dict()
        assert {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in second.items()}


@pytest.mark.parametrize("name", _ALL)
def test_only_the_named_outputs_depend_on_the_classes(name: str) -> None:
    few, many = zoo.config(name, CLASSES), zoo.config(name, ("a", "b", "c", "d", "e"))
    with torch.device("meta"):
        network, other = few.build(), many.build()
    named = network.class_rows()
    shapes = {key: value.shape for key, value in other.state_dict().items()}
    differing = {key for key, value in network.state_dict().items() if value.shape != shapes[key]}
    assert differing, "the classes change nothing"
    for key in differing:
        rows = named.get(key) or named.get(key.rpartition(".")[0])
        if rows is None:
            assert "width: classes" in configs.dump(few).replace("neck_", ""), f"{key} depends on the classes"
            continue
        assert rows.classes(network.state_dict()[key].shape[0]) == len(CLASSES)
        assert rows.classes(shapes[key][0]) == 5


@pytest.mark.parametrize("name", _ALL)
def test_train_and_eval_say_the_same_kind_of_thing_for_odd_sizes(name: str) -> None:
    config = _config(name)
    size_hw = _odd_size(config)
    network = lively(config)
    with torch.no_grad():
        predictions = [network.train()(noise(2, size_hw)), network.eval()(noise(2, size_hw))]
    for found in predictions:
        assert isinstance(found, Predictions)
        assert found.size_hw == size_hw
        points = found.class_logits.shape[1]
        assert found.class_logits.shape == (2, points, len(CLASSES))
        assert found.box_logits.shape[:2] == (2, points)
        assert found.priors_cxcywh.shape == (points, 4)
        assert found.strides.shape == (points,)
        assert torch.isfinite(found.class_logits).all()
        assert (found.priors_cxcywh[:, 2:] > 0).all()
    assert {type(value) for value in vars_of(predictions[0])} == {type(value) for value in vars_of(predictions[1])}


@pytest.mark.parametrize("name", _ALL)
def test_a_batch_of_two_is_two_of_one(name: str) -> None:
    config = _config(name)
    network = lively(config)
    images = noise(2, _odd_size(config), seed=3)
    with torch.no_grad():
        together = network(images)
        for index in range(2):
            alone = network(images[index : index + 1])
            scale = float(together.class_logits.abs().max())
            torch.testing.assert_close(
                alone.class_logits[0], together.class_logits[index], rtol=1e-3, atol=1e-4 * max(1.0, scale)
            )
        assert not torch.equal(together.class_logits[0], together.class_logits[1])


@pytest.mark.parametrize("name", _ALL)
def test_every_parameter_learns(name: str) -> None:
    config = _config(name)
    size_hw = _odd_size(config)
    torch.manual_seed(0)
    task = task_of(config.build()).train()
    batch = Batch(images=noise(2, size_hw), targets=boxes_of_many_sizes(2, size_hw), picture_ids=("a", "b"))
    # Several times, because a block that is dropped at random gets no gradient.
    for _ in range(3):
        losses = task(batch)
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        sum(losses.values(), torch.zeros(())).backward()
    unused = zoo.entry(name).unused_parameters
    silent = [key for key, value in task.network.named_parameters() if value.grad is None]
    assert [key for key in silent if not key.startswith(unused)] == []
    assert all(not value.requires_grad for key, value in task.network.named_parameters() if key in silent)
    still = [
        key
        for key, value in task.network.named_parameters()
        if value.grad is not None and not key.startswith("head.") and not value.grad.abs().any()
    ]
    assert still == []
    assert all(torch.isfinite(value.grad).all() for value in task.parameters() if value.grad is not None)


@pytest.mark.parametrize("name", _ALL)
def test_pictures_without_objects_teach_what_is_background(name: str) -> None:
    config = _config(name)
    torch.manual_seed(0)
    task = task_of(config.build()).train()
    losses = task(Batch(images=noise(2, _odd_size(config)), targets=no_boxes(2), picture_ids=("a", "b")))
    assert all(torch.isfinite(loss) for loss in losses.values())
    total = sum(losses.values(), torch.zeros(()))
    assert total > 0
    total.backward()


# Tracing takes ten seconds: by default one size of one detector of each family.
@pytest.mark.parametrize("cells_hw", [(2, 3), pytest.param((4, 2), marks=pytest.mark.slow)], ids=["wide", "high"])
@pytest.mark.parametrize("name", _ONE_OF_A_FAMILY)
def test_the_exported_graph_agrees_at_every_size(name: str, cells_hw: tuple[int, int], tmp_path: Path) -> None:
    config = _config(name)
    with torch.device("meta"):
        stride = config.build().stride
    rule = PictureRule(size_hw=(cells_hw[0] * stride, cells_hw[1] * stride), resize="stretch")
    shown = pictures(3)
    network = computable(config, rule, shown)
    # Refused with an error above 0.05 px or 1e-4.
    outcome = export_onnx(network, tmp_path / "exported.onnx", ExportChoice(picture=rule), pictures=shown)
    assert outcome.parity.points >= 100


@pytest.mark.parametrize("name", _DEBUG)
def test_the_debug_size_learns_eight_pictures_by_heart(name: str) -> None:
    torch.manual_seed(1)
    assert learn_by_heart(_config(name).with_picture(size_hw=(96, 128)).build()) >= 0.9


def vars_of(predictions: Predictions) -> list[object]:
    """The fields of predictions."""
    return [getattr(predictions, field) for field in predictions.__dataclass_fields__]
