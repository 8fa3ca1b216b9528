"""Remembers where in each picture the network was most active, so that the next epoch can cut it out.

The idea that cutout began with, https://arxiv.org/abs/1708.04552; the article gives no numbers. Axes: D pictures of the
data set, B samples, N of them that show one picture alone, G cells of a side of the grid over a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.data.loader import TrainingLoader
from sanderling.data.transforms.cutout import ActivationCutoutConfig
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.ops.tensor.distributed import maximum_over_processes
from sanderling.structures.batch import Batch


class ActivationMemory:
    """A `Feedback` that leaves batches as they are and gives the marks of the next epoch.

    It looks at the backbone's coarsest map, averaged over its channels, in the forward pass that teaches. A cell of a
    picture is marked in the next epoch if in this one its activation was high in any sample that shows the picture
    alone, in any process. A picture that was in mosaics and mixtures only has no marks.

    Args:
        config: of the grid, and what is high.
        dataset: what is trained on.
        backbone: of the network that learns; images to maps, the coarsest last.
        device: where it learns.

    Attributes:
        marks: bool DxGxG, of the epoch that comes; None before the end of the first one.

    Raises:
        DataError: two pictures have the same id.
    """

    name = "activation_cutout"

    def __init__(
        self, config: ActivationCutoutConfig, *, dataset: Dataset, backbone: nn.Module, device: torch.device
    ) -> None:
        self.marks: NDArray[np.bool_] | None = None
        self._config = config
        self._index = {picture: index for index, picture in enumerate(dataset.picture_ids.tolist())}
        if len(self._index) < len(dataset):
            raise DataError(
                f"{dataset.name}, split {dataset.split!r}: {len(dataset) - len(self._index)} pictures have the id of "
                "another one; activation_cutout remembers pictures by their ids, so give each its own"
            )
        self._marked = torch.zeros((len(dataset), config.cells**2), dtype=torch.uint8, device=device)
        self._map: Tensor | None = None
        backbone.register_forward_hook(lambda _module, _images, maps: self._look(maps))

    def before(self, batch: Batch) -> Batch:
        """The batch as it is."""
        self._map = None  # of a validation
        return batch

    def after(self, batch: Batch, losses: Mapping[str, Tensor]) -> None:  # noqa: ARG002 - a feedback's signature
        """Mark where the activation was high."""
        seen, self._map = self._map, None
        if batch.placements is None or seen is None:
            return
        alone = batch.placements.isfinite().flatten(1).all(1).nonzero()[:, 0]
        pictures = [self._index[batch.picture_ids[sample]] for sample in alone.tolist()]
        device = self._marked.device
        high = high_cells(
            seen[alone.to(device)],
            batch.placements[alone].to(device),
            size_hw=(batch.images.shape[-2], batch.images.shape[-1]),
            config=self._config,
        )
        rows = torch.tensor(pictures, dtype=torch.int64, device=device)[:, None].expand(-1, self._marked.shape[1])
        self._marked.scatter_reduce_(0, rows, high.flatten(1).to(torch.uint8), "amax")

    def epoch_ended(self) -> None:
        """What was marked in any process becomes the marks of the next epoch, and the memory begins anew."""
        cells = self._config.cells
        marked = maximum_over_processes(self._marked).bool().cpu().numpy()
        self.marks = marked.reshape(-1, cells, cells)
        self._marked.zero_()

    def state(self) -> dict[str, Any]:
        """The marks, eight to a byte."""
        return {} if self.marks is None else {"marks": torch.from_numpy(np.packbits(self.marks))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them back.

        Raises:
            ValueError: they are of another data set or grid.
        """
        self.marks = None
        if "marks" in state:
            packed, count = state["marks"].numpy(), self._marked.numel()
            if len(packed) != -(-count // 8):
                raise ValueError(f"{len(packed)} bytes of marks, {-(-count // 8)} are expected for this data set")
            marks = np.unpackbits(packed, count=count).astype(np.bool_)
            self.marks = marks.reshape(-1, self._config.cells, self._config.cells)

    def _look(self, maps: Sequence[Tensor]) -> None:
        self._map = maps[-1].detach()


class MarkingLoader:
    """A loader whose epochs cut out what a memory has marked."""

    def __init__(self, loader: TrainingLoader, memory: ActivationMemory) -> None:
        self._loader, self._memory = loader, memory

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._loader)

    def epoch(self, epoch: int, *, mosaic: bool = True, progress: float = 0.0) -> Iterator[Batch]:
        """The batches of an epoch."""
        return self._loader.epoch(epoch, mosaic=mosaic, progress=progress, marks=self._memory.marks)


@torch.no_grad()
def high_cells(maps: Tensor, placements: Tensor, *, size_hw: tuple[int, int], config: ActivationCutoutConfig) -> Tensor:
    """Where the activation is high, on grids over the original pictures (bool NxGxG).

    The mean of the channels is read between the middles of its cells (bilinear) at the middle of each cell of the grid.
    Of the cells whose middle the sample shows, the lowest is 0 and the highest 1; the others are not marked, nor is
    anything where all are equal or one is not finite.

    Args:
        maps: NxCxhxw, over the whole samples.
        placements: Nx2x3, from shares of the picture's sides to pixels of the sample.
        size_hw: height and width of the samples.
        config: of the grid, and what is high.
    """
    middles = (torch.arange(config.cells, device=maps.device) + 0.5) / config.cells
    down, across = torch.meshgrid(middles, middles, indexing="ij")
    shares = torch.stack((across, down, torch.ones_like(down)), -1)
    sample_xy = torch.einsum("nij,ghj->nghi", placements, shares)
    # As grid_sample counts: -1 and 1 are the outer edges of the sample.
    where = sample_xy * (2 / sample_xy.new_tensor(size_hw[::-1])) - 1
    means = maps.float().mean(1, keepdim=True)
    activation = F.grid_sample(means, where, padding_mode="border", align_corners=False)[:, 0]
    inside = (where.abs() <= 1).all(-1)
    lowest = activation.where(inside, torch.inf).amin((1, 2), keepdim=True)
    highest = activation.where(inside, -torch.inf).amax((1, 2), keepdim=True)
    return inside & ((activation - lowest) / (highest - lowest) > config.threshold)
