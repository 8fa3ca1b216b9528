"""The gallery of augmentations: `docs/augmentation.md` and its pictures, made by `scripts/gallery`.

Rendered scenes go through what `data preview` goes through, once for every technique, with that one alone switched on.
"""

from __future__ import annotations

import dataclasses
import functools
import shlex
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.commands.preview import batches_of, loader_of, tiles_of
from sanderling.commands.train_plan import TrainWishes, planned

if TYPE_CHECKING:
    from sanderling.datasets.dataset import Dataset
    from sanderling.recipes.run import Run
    from sanderling.reporting.sheet import Tile
    from sanderling.structures.batch import Batch

FOLDER = Path("images") / "augmentation"
"""Of the pictures, beside the page."""

_SCENES, _SCENE_HW, _SCENE_SEED = 16, (448, 576), 8
_RUN = TrainWishes(
    imgsz=(224, 288), seed=0, assignments=("batch=3", "loop.epochs=100", "loop.mosaic_off=0", "data.val=null")
)
_WHITE, _LINE = 255, 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Technique:
    """One entry of the page.

    Attributes:
        name: of the picture's file.
        title: heading.
        text: what it does, in a sentence or two.
        source: where it was published.
        settings: what switches it on in the picture, as `--set` takes it.
        show: the run and its data to the pictures; three of the first batch without it.
    """

    name: str
    title: str
    text: str
    source: str
    settings: tuple[str, ...]
    show: Callable[[Run, Dataset], list[Tile]] | None = None


def write_gallery(page: Path) -> None:
    """Draw every technique and write the page.

    Args:
        page: `docs/augmentation.md`; the pictures go to `images/augmentation` beside it.
    """
    import tempfile

    from sanderling.reporting.sheet import write_sheet

    folder = page.parent / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scenes:
        dataset = scenes_in(Path(scenes) / "scenes")
        for technique in TECHNIQUES:
            write_sheet(folder / f"{technique.name}.jpg", sheet_of(technique, dataset))
    page.write_text(page_of(TECHNIQUES), encoding="utf-8")


def scenes_in(folder: Path) -> Dataset:
    """The scenes of the gallery, rendered into a new folder."""
    from sanderling.datasets.locate import open_dataset
    from sanderling.datasets.synthetic import write_scenes

    write_scenes(folder, train=_SCENES, val=1, seed=_SCENE_SEED, size_hw=_SCENE_HW)
    return open_dataset(folder, split="train")


def sheet_of(technique: Technique, dataset: Dataset) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Its picture, uint8 HxWx3 RGB: as many samples as a batch of the gallery has, side by side."""
    from sanderling.reporting.sheet import lay_on_sheet

    plan = run_of(technique)
    tiles = (technique.show or _first_batch)(plan, dataset)
    return lay_on_sheet(tiles, columns=_SHOWN)


_SHOWN = 3


def run_of(technique: Technique) -> Run:
    """A run that varies nothing else."""
    from sanderling import config

    return config.override(_unvaried(), technique.settings)


@functools.cache
def _unvaried() -> Run:
    from sanderling.data.augment import AugmentConfig

    return dataclasses.replace(planned("nanodet-debug", _RUN), augment=AugmentConfig.none())


def _batches(plan: Run, dataset: Dataset, count: int) -> Iterator[Batch]:
    with loader_of(plan, dataset) as loader:
        yield from batches_of(plan, loader, epoch=1, count=count)


def _first_batch(plan: Run, dataset: Dataset) -> list[Tile]:
    return tiles_of(next(_batches(plan, dataset, 1)), dataset.class_names)


def _two_batches(plan: Run, dataset: Dataset) -> list[Tile]:
    batches = _batches(plan, dataset, 2)
    return [tile for batch in batches for tile in tiles_of(batch, dataset.class_names)]


def _one_of_each_size(plan: Run, dataset: Dataset) -> list[Tile]:
    """The first picture of a batch of each size, the largest first, on white of the network's own size."""
    batches = _batches(plan, dataset, _SCENES // plan.batch)
    sizes = {batch.images.shape: batch for batch in batches}
    tiles = [tiles_of(sizes[shape], dataset.class_names)[0] for shape in sorted(sizes, reverse=True)[:_SHOWN]]
    height, width = plan.model.picture.size_hw
    shown = []
    for tile in tiles:
        tall, wide = tile.image.shape[:2]
        paper = np.full((height, width, 3), _WHITE, np.uint8)
        paper[:tall, :wide] = tile.image
        shown.append(dataclasses.replace(tile, image=paper))
    return shown


def _larger_batch(plan: Run, dataset: Dataset) -> list[Tile]:
    """The first samples of a batch that is large enough for each to show four scenes."""
    return _first_batch(dataclasses.replace(plan, batch=2 * _SHOWN), dataset)[:_SHOWN]


def _marked(plan: Run, dataset: Dataset) -> list[Tile]:
    """With made-up marks, as a network that looked at the middle of every object might have left them."""
    assert plan.augment.activation_cutout is not None
    marks = made_up_marks(dataset, cells=plan.augment.activation_cutout.cells)
    with loader_of(plan, dataset) as loader:
        return tiles_of(next(loader.epoch(0, marks=marks)), dataset.class_names)


def made_up_marks(dataset: Dataset, *, cells: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Cells (bool DxGxG) in the middle of every object: those nearer to it than a third of the object's sides."""
    middles = (np.arange(cells) + 0.5) / cells
    marks = np.zeros((len(dataset), cells, cells), np.bool_)
    for index, (height, width) in enumerate(dataset.sizes_hw.tolist()):
        for left, top, right, bottom in dataset.boxes_xyxy[dataset.boxes_of(index)].tolist():
            across = np.abs(middles * width - (left + right) / 2) / (right - left)
            down = np.abs(middles * height - (top + bottom) / 2) / (bottom - top)
            marks[index] |= down[:, None] ** 2 + across**2 <= 1 / 9
            marks[index, down.argmin(), across.argmin()] = True
    return marks


_NANODET = "NanoDet's published recipe, https://github.com/RangiLyu/nanodet"
_MIXUP = "https://arxiv.org/abs/1902.04103; values of PP-YOLO, https://arxiv.org/abs/2007.12099"
_CUTMIX = "https://arxiv.org/abs/1905.04899; values of PaddleDetection"
_AUTO = "https://arxiv.org/abs/1906.11172; policies as published in tensorflow/tpu"
_ERASING = "https://arxiv.org/abs/1708.04896"
_MOSAIC = "YOLOv4, https://arxiv.org/abs/2004.10934"

TECHNIQUES: tuple[Technique, ...] = (
    Technique(
        name="none",
        title="Nothing",
        text="Every picture as it is, fitted to the network input. The entries below begin with the same three scenes, "
        "but for those that show a batch of another size.",
        source="",
        settings=(),
    ),
    Technique(
        name="flip",
        title="Flip",
        text="A mirror image, left to right.",
        source=_NANODET,
        settings=("augment.flip=1",),
    ),
    Technique(
        name="scale_translate",
        title="Scale and translate",
        text="The fitted picture is enlarged or shrunk about its middle and shifted. Objects of which little is left "
        "lose their box (`augment.min_visible`, `augment.min_side`).",
        source=_NANODET,
        settings=("augment.scale=[0.5,1.6]", "augment.translate=0.3"),
    ),
    Technique(
        name="stretch",
        title="Stretch",
        text="Width and height are enlarged separately.",
        source=_NANODET,
        settings=("augment.stretch=[0.6,1.4]",),
    ),
    Technique(
        name="rotate",
        title="Rotate",
        text="A turn about the middle. The new box is the smallest upright one around what is seen of the old box, "
        "which is larger than the object itself unless that fills its corners.",
        source="YOLOX, https://arxiv.org/abs/2107.08430, within its mosaic and by up to 10 degrees",
        settings=("augment.rotate=30",),
    ),
    Technique(
        name="shear",
        title="Shear",
        text="Both axes slant; boxes as for a turn.",
        source="YOLOX, https://arxiv.org/abs/2107.08430, within its mosaic and by up to 2 degrees",
        settings=("augment.shear=20",),
    ),
    Technique(
        name="brightness",
        title="Brightness",
        text="The same is added to all pixels. All four changes of colour are one matrix, applied once.",
        source=_NANODET,
        settings=("augment.brightness=0.4", "augment.colour_probability=1"),
    ),
    Technique(
        name="contrast",
        title="Contrast",
        text="All pixels are multiplied by a factor.",
        source=_NANODET,
        settings=("augment.contrast=[0.3,1.9]", "augment.colour_probability=1"),
    ),
    Technique(
        name="saturation",
        title="Saturation",
        text="Colours move towards their grey or away from it.",
        source=_NANODET,
        settings=("augment.saturation=[0,2.5]", "augment.colour_probability=1"),
    ),
    Technique(
        name="hue",
        title="Hue",
        text="Colours turn on the colour circle.",
        source="SSD, https://arxiv.org/abs/1512.02325",
        settings=("augment.hue=0.4", "augment.colour_probability=1"),
    ),
    Technique(
        name="mosaic4",
        title="Mosaic of four",
        text="Four pictures meet in a random point, each cut to its quarter. It ends `loop.mosaic_off` epochs before "
        "the run does.",
        source=_MOSAIC,
        settings=("augment.mosaic=1", "augment.scale=[0.5,1.0]"),
    ),
    Technique(
        name="mosaic9",
        title="Mosaic of nine",
        text="Eight pictures stand around the first one.",
        source="YOLOv7's published code; four: " + _MOSAIC,
        settings=("augment.mosaic=1", "augment.mosaic_tiles=9", "augment.scale=[0.5,1.0]"),
    ),
    Technique(
        name="mixup",
        title="Mixup",
        text="Two pictures shine through each other, and the boxes of both count in their shares, which stand behind "
        "the class. Each is scaled, cropped and flipped by itself before they are mixed, and colours change after "
        "that; PaddleDetection mixes whole pictures and varies what comes of it.",
        source=_MIXUP,
        settings=("augment.mixup={}",),
    ),
    Technique(
        name="cutmix",
        title="CutMix",
        text="A rectangle of another picture is pasted over. Boxes are cut to what is seen of them and count in full.",
        source=_CUTMIX,
        settings=("augment.cutmix={}",),
    ),
    Technique(
        name="cutmix_keep_all",
        title="CutMix that keeps all boxes",
        text="As PaddleDetection does it: every box of both pictures stays, pasted over or not, and counts in the "
        "share of its picture.",
        source=_CUTMIX,
        settings=("augment.cutmix.keep_all=true",),
    ),
    Technique(
        name="expand",
        title="Expand",
        text="The picture stands somewhere in a larger plane, so that its objects become small.",
        source="SSD, https://arxiv.org/abs/1512.02325; values of PP-YOLO",
        settings=("augment.expand.probability=1", "augment.expand.ratio=[1.3,3]"),
    ),
    Technique(
        name="crop",
        title="Crop",
        text="A part of the picture that overlaps some object by a random threshold, so that objects become large. "
        "Boxes whose middle is outside go.",
        source="SSD, https://arxiv.org/abs/1512.02325; values of PP-YOLO",
        settings=("augment.crop.whole=false",),
    ),
    *(
        Technique(
            name=f"auto_augment_{policy}",
            title=f"AutoAugment {policy}",
            text=text,
            source=_AUTO,
            settings=(f"augment.auto_augment.policy={policy}",),
            show=_two_batches,
        )
        for policy, text in (
            ("v0", "One of five learned sub-policies of two operations is drawn for every picture. Some move it with "
             "its boxes, some change colours, some act inside boxes only."),
            ("v1", "Those of v0 and fifteen more; both are the article's."),
            ("v2", "Fifteen sub-policies of up to three operations, published with the code."),
            ("v3", "Fifteen further ones of two operations."),
        )
    ),
    Technique(
        name="erase_picture",
        title="Random erasing in the picture",
        text="A rectangle of random size and shape is taken out of the picture (IRE).",
        source=_ERASING,
        settings=("augment.erase.where=picture", "augment.erase.probability=1"),
    ),
    Technique(
        name="erase_object",
        title="Random erasing in objects",
        text="The same in every box (ORE).",
        source=_ERASING,
        settings=("augment.erase.where=object", "augment.erase.probability=1"),
    ),
    Technique(
        name="erase_both",
        title="Random erasing in both",
        text="First the picture, then its objects (I+ORE).",
        source=_ERASING,
        settings=("augment.erase.where=both", "augment.erase.probability=1"),
    ),
    Technique(
        name="cutout",
        title="Cutout",
        text="A square about a random pixel is blotted out; up to half of it on each side lies outside the picture.",
        source="https://arxiv.org/abs/1708.04552",
        settings=("augment.cutout={}",),
    ),
    Technique(
        name="activation_cutout",
        title="Cutout of what was looked at",
        text="What the network was most active at in the epoch before is blotted out, cell by cell. The picture has "
        "made-up marks, in the middle of every object; in a training they are measured, so `data preview` shows none.",
        source="the idea that Cutout began with, https://arxiv.org/abs/1708.04552; it gives no numbers",
        settings=("augment.activation_cutout={}",),
        show=_marked,
    ),
    Technique(
        name="grid_mask",
        title="GridMask",
        text="A grid of squares is blotted out, with a probability that grows in the course of the run; here it is in "
        "full from the beginning.",
        source="https://arxiv.org/abs/2001.04086; values of PaddleDetection",
        settings=("augment.grid_mask.probability=1", "augment.grid_mask.grow_until=0"),
    ),
    Technique(
        name="stitcher",
        title="Stitcher",
        text="Where small objects had too small a share of the loss of the boxes, every sample of the next batch is "
        "put together from four of its pictures at half their size. The first batch of a run always is, and is the "
        "only one that `data preview` shows so: the others depend on the training.",
        source="https://arxiv.org/abs/2004.12432",
        settings=("augment.stitcher={}",),
        show=_larger_batch,
    ),
    Technique(
        name="sizes",
        title="Batches of many sizes",
        text="Another input size for every batch: one picture each of three batches. PP-YOLO draws the interpolation "
        "too; here it always is linear, or a mean where a picture shrinks to half its size or less.",
        source="YOLO9000, https://arxiv.org/abs/1612.08242; values of PP-YOLO",
        settings=("augment.sizes.smallest=160", "augment.sizes.largest=288"),
        show=_one_of_each_size,
    ),
)  # fmt: skip

_HEAD = """# Augmentation

What can be done to training pictures, one technique at a time: rendered scenes as a training sees them, with their
boxes. Written by `scripts/gallery`; do not edit. See your own pictures and run with

```
sanderling data preview nanodet-m --data birds/ --set augment.mosaic=1
```

Each entry has the `--set` that made its picture (stronger than one would train with where it would else be hardly
seen) and the defaults. `train`, `ablate` and `data preview` take the same, and so does a `run.yaml`; a part that is off
(`null`) is switched on with its defaults by `={}`, or by setting anything in it. Everything that moves pixels is put
together into one warp, whatever is switched on at the same time. Recipes set values of their own; what stands here are
those of a run that says nothing.
"""


def page_of(techniques: Sequence[Technique]) -> str:
    """The page in Markdown."""
    return "\n".join([_HEAD, *("\n".join(_entry(technique)) for technique in techniques)])


def _entry(technique: Technique) -> Iterator[str]:
    yield f"## {technique.title}\n"
    yield textwrap.fill(technique.text, _LINE) + "\n"
    yield f"![{technique.title}]({(FOLDER / technique.name).as_posix()}.jpg)\n"
    if technique.settings:
        words = " ".join(f"--set {shlex.quote(setting)}" for setting in technique.settings)
        yield f"- switch: `{words}`"
        yield textwrap.fill(f"- defaults: {_defaults(technique)}", _LINE, subsequent_indent="  ")
    if technique.source:
        yield f"- source: {technique.source}"
    if technique.settings or technique.source:
        yield ""


def _defaults(technique: Technique) -> str:
    """What a run has that says nothing; of a part that is off, what it has once it is on."""
    from sanderling import config
    from sanderling.data.augment import AugmentConfig

    silent = AugmentConfig()
    said: list[str] = []
    for key in dict.fromkeys(setting.partition("=")[0].split(".")[1] for setting in technique.settings):
        value = getattr(silent, key)
        if value is not None:
            said.append(f"{key} {_text(config.plain(value))}")
            continue
        on = config.plain(getattr(config.override(silent, [f"{key}={{}}"]), key))
        said.append("off; when on: " + ", ".join(f"{name} {_text(part)}" for name, part in on.items()))
    return ", ".join(said)


def _text(value: Any) -> str:
    """A value as YAML has it."""
    import json

    return f"`{json.dumps(value)}`"
