"""`data preview`: the batches of an epoch as a training would see them, with their boxes, on sheets."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import require_torch
from sanderling.commands.train_plan import TrainWishes, planned
from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.data.loader import TrainingLoader
    from sanderling.datasets.dataset import Dataset
    from sanderling.recipes.run import Run
    from sanderling.reporting.sheet import Tile
    from sanderling.structures.batch import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewedBatch:
    """One batch and its sheet.

    Attributes:
        sheet: the file.
        size_hw: height and width of the pictures.
        pictures: how many.
        boxes: of all of them.
        without_boxes: pictures without any.
        of_several: pictures that show more than one picture of the data set: mosaics and mixtures.
        weighed: boxes with a loss weight below 1.
    """

    sheet: str
    size_hw: tuple[int, int]
    pictures: int
    boxes: int
    without_boxes: int
    of_several: int
    weighed: int

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "sheet": self.sheet,
            "input": list(self.size_hw),
            "pictures": self.pictures,
            "boxes": self.boxes,
            "without_boxes": self.without_boxes,
            "of_several": self.of_several,
            "weighed": self.weighed,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewResult:
    """The sheets and what they show.

    Attributes:
        recipe: where the run's values come from.
        data: the data set.
        split: of it.
        seed: of order and variations.
        epoch: from 1.
        epochs: of the run.
        mosaic: whether mosaics are still made in that epoch, where the run has any.
        batches_of_epoch: how many there are.
        batches: those that were drawn, the first ones.
        unreadable: path to reason, of the pictures that could not be decoded; others stand in for them.
    """

    recipe: str
    data: str
    split: str
    seed: int
    epoch: int
    epochs: int
    mosaic: bool
    batches_of_epoch: int
    batches: tuple[PreviewedBatch, ...]
    unreadable: dict[str, str]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "recipe": self.recipe,
            "data": self.data,
            "split": self.split,
            "seed": self.seed,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "mosaic": self.mosaic,
            "batches_of_epoch": self.batches_of_epoch,
            "batches": [batch.to_plain() for batch in self.batches],
            "unreadable": dict(self.unreadable),
        }


def preview(
    run: str | Path,
    *,
    data: str | Path | None = None,
    data_format: str | None = None,
    split: str | None = None,
    epoch: int = 1,
    batches: int = 1,
    imgsz: int | Sequence[int] | None = None,
    seed: int | None = None,
    assignments: Sequence[str] = (),
    columns: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> PreviewResult:
    """Draw the first batches of an epoch exactly as one process would be trained on them.

    What a training feeds back into its pictures nobody knows beforehand: activation cutout is not shown, and of
    Stitcher only the first batch of the run, which it always stitches.

    Args:
        run: as for `train`: a model's name, a recipe's name, a `run.yaml` or a run's folder.
        data: as for `train`; the run's own without it.
        data_format: coco, yolo or voc, where a folder holds several.
        split: the run's own, `train` as a rule, without it.
        epoch: from 1; some variations begin or end in the course of a run.
        batches: how many sheets.
        imgsz: side of the network input, or height and width; rounded up to the stride.
        seed: of order and variations.
        assignments: anything else, as `key=value`.
        columns: pictures side by side.
        output: folder of the sheets `batch1.png`, ...; by default `runs/preview/NAME`.
        overwrite: replace the sheets in `output`.

    Raises:
        UsageError: an unknown name, key or split, an epoch or batch that the run does not have, or `output` holds
            something.
        DataError: the data set cannot be read, or holds nothing to train on.
        MissingDependencyError: torch is not installed.

    >>> preview("nanodet-m", data="birds", epoch=3).batches[0].boxes  # doctest: +SKIP
    212
    """
    require_torch("a preview of training")
    from sanderling.datasets.locate import open_dataset
    from sanderling.reporting.sheet import lay_on_sheet, write_sheet

    for name, count in (("batches", batches), ("columns", columns)):
        if count is not None and count < 1:
            raise UsageError(f"{name} = {count}: at least 1 is expected")
    wishes = TrainWishes(
        data=None if data is None else str(data),
        data_format=data_format,
        imgsz=imgsz,
        seed=seed,
        assignments=tuple(assignments),
    )
    plan = planned(str(run), wishes)
    if not plan.data.path:
        raise UsageError("no data set; name one with --data PATH")
    dataset = open_dataset(
        Path(plan.data.path), split=plan.data.train if split is None else split, data_format=plan.data.data_format
    )
    drawn: list[PreviewedBatch] = []
    with loader_of(plan, dataset) as loader:
        if batches > len(loader):
            raise UsageError(f"batches = {batches}: an epoch of this run has {len(loader)}; ask for no more")
        shown = batches_of(plan, loader, epoch=epoch, count=batches)
        folder = output_folder("preview", plan.model.name, None if output is None else Path(output), overwrite)
        for old in folder.glob("batch*.png"):
            if old.stem.removeprefix("batch").isdecimal():
                old.unlink()
        for number, batch in enumerate(shown, start=1):
            path = folder / f"batch{number}.png"
            write_sheet(path, lay_on_sheet(tiles_of(batch, dataset.class_names), columns=columns))
            drawn.append(_counted(batch, str(path)))
        return PreviewResult(
            recipe=plan.recipe,
            data=dataset.name,
            split=dataset.split,
            seed=plan.seed,
            epoch=epoch,
            epochs=plan.loop.epochs,
            mosaic=_has_mosaic(plan, epoch),
            batches_of_epoch=len(loader),
            batches=tuple(drawn),
            unreadable=dict(loader.unreadable),
        )


def loader_of(plan: Run, dataset: Dataset) -> TrainingLoader:
    """The loader that a training by one process would have."""
    from sanderling.commands.train import training_loader

    # For a few batches neither processes nor a cache are worth their start.
    return training_loader(
        dataclasses.replace(plan, runtime=dataclasses.replace(plan.runtime, workers=0, cache=None)), dataset
    )


def batches_of(plan: Run, loader: TrainingLoader, *, epoch: int, count: int) -> Iterator[Batch]:
    """The first batches of an epoch (from 1), as the training loop asks for them.

    Raises:
        UsageError: the run has no such epoch.
    """
    if not 1 <= epoch <= plan.loop.epochs:
        raise UsageError(f"epoch = {epoch}: the run has epochs 1 to {plan.loop.epochs}; set more with loop.epochs=N")
    before = epoch - 1
    progress = before / plan.loop.epochs
    drawn = loader.epoch(before, mosaic=_has_mosaic(plan, epoch), progress=progress)
    return itertools.islice(_stitched(plan, drawn) if epoch == 1 else drawn, count)


def _stitched(plan: Run, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Those of a run's first epoch: where it stitches, it begins so, as no box has given any loss yet."""
    from sanderling.data.stitcher import stitch

    for number, batch in enumerate(batches):
        stitcher = plan.augment.stitcher
        begins = number == 0 and stitcher is not None and stitcher.threshold > 0
        yield stitch(batch, min_side=plan.augment.min_side) if begins else batch


def _has_mosaic(plan: Run, epoch: int) -> bool:
    return epoch <= plan.loop.epochs - plan.loop.mosaic_off


def tiles_of(batch: Batch, class_names: Sequence[str]) -> list[Tile]:
    """The pictures of a batch, each box with its class and, where it is below 1, its share of the loss."""
    from sanderling.reporting.sheet import Tile
    from sanderling.structures.draw import class_colour

    tiles = []
    for picture, image in enumerate(batch.images.permute(0, 2, 3, 1).numpy()):
        targets = batch.targets.of(picture)
        labels, weights = targets.labels.tolist(), targets.weights.tolist()
        tiles.append(
            Tile(
                image=image,
                boxes_xyxy=targets.boxes_xyxy.numpy(),
                captions=tuple(
                    class_names[label] + (f" x {weight:.2f}" if weight < 1 else "")
                    for label, weight in zip(labels, weights, strict=True)
                ),
                colours=tuple(class_colour(label) for label in labels),
            )
        )
    return tiles


def _counted(batch: Batch, sheet: str) -> PreviewedBatch:
    targets = batch.targets
    several = 0 if batch.placements is None else int(batch.placements[:, 0, 0].isnan().sum())
    height, width = batch.images.shape[2:]
    return PreviewedBatch(
        sheet=sheet,
        size_hw=(height, width),
        pictures=targets.pictures,
        boxes=len(targets.labels),
        without_boxes=targets.pictures - len(targets.picture_index.unique()),
        of_several=several,
        weighed=int((targets.weights < 1).sum()),
    )
