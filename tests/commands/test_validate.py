from __future__ import annotations

from typing import Any

import pytest
import torch

from sanderling.commands.val import val_with
from sanderling.commands.validate import Validator
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.locate import open_dataset
from sanderling.models.network import DetectorNetwork
from sanderling.models.predictor import TorchDetector
from sanderling.models.zoo.nanodet import nanodet_debug
from tests.support.training import cpu_runtime, tiny_scenes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(tiny_scenes(tmp_path_factory.mktemp("data"), train=1, val=5), split="val")


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> DetectorNetwork:
    torch.manual_seed(0)
    made = nanodet_debug(dataset.class_names).with_picture(size_hw=(64, 96)).build()
    for output in made.head.get_submodule("gfl_cls").children():
        torch.nn.init.zeros_(output.get_parameter("bias"))
    return made


def test_the_metrics_are_those_of_val(dataset: Dataset, network: DetectorNetwork) -> None:
    metrics = Validator(dataset, cpu_runtime())(network)
    report = val_with(TorchDetector(network), dataset, model="x")
    assert metrics == report.metrics
    assert report.counts["detections"] > 0


class _SharedOut:
    """The runtime of one of several processes, whose shares are computed here one after the other."""

    def __init__(self, rank: int, world: int, shares: list[Any]) -> None:
        self.rank, self.world, self.is_main, self.device = rank, world, rank == 0, torch.device("cpu")
        self._shares = shares
        self._calls = 0

    def gather(self, value: Any) -> list[Any]:
        self._calls += 1
        if self._calls == 1:
            self._shares[self.rank] = value
            return self._shares
        return [value] * self.world


@pytest.mark.parametrize("world", [2, 3])
def test_shares_of_processes_come_together_in_order(dataset: Dataset, network: DetectorNetwork, world: int) -> None:
    shares: list[Any] = [None] * world
    for rank in reversed(range(world)):
        validator = Validator(dataset, _SharedOut(rank, world, shares))  # type: ignore[arg-type]
        if rank:
            shares[rank] = validator._detect(network)
    together = Validator(dataset, _SharedOut(0, world, shares))(network)  # type: ignore[arg-type]
    assert sum(len(share) for share in shares) == len(dataset) == 5
    assert [share[0].source for share in shares] == [str(path) for path in dataset.picture_paths[:world]]
    assert together == Validator(dataset, cpu_runtime())(network)
