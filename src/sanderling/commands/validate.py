"""Validation while a run trains, spread over its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.datasets.dataset import Dataset
    from sanderling.models.network import DetectorNetwork
    from sanderling.structures.detections import Detections
    from sanderling.training.runtime import Runtime


class Validator:
    """Scores a network on a split; each process detects in its share of the pictures.

    Args:
        dataset: the split.
        runtime: this process's place.
    """

    def __init__(self, dataset: Dataset, runtime: Runtime) -> None:
        self._dataset, self._runtime = dataset, runtime
        self._share = dataset.subset(range(runtime.rank, len(dataset), runtime.world))

    def __call__(self, network: DetectorNetwork) -> dict[str, float | None]:
        """Metrics of the whole split, the same in every process."""
        from sanderling.evaluation.evaluate import evaluate

        shares = self._runtime.gather(self._detect(network))
        found = [shares[index % len(shares)][index // len(shares)] for index in range(len(self._dataset))]
        metrics = dict(evaluate(self._dataset, found).metrics) if self._runtime.is_main else {}
        everywhere: dict[str, float | None] = self._runtime.gather(metrics)[0]
        return everywhere

    def _detect(self, network: DetectorNetwork) -> list[Detections]:
        from sanderling.evaluation.detect import detect_all
        from sanderling.models.predictor import TorchDetector

        return detect_all(TorchDetector(network, device=self._runtime.device), self._share).detections
