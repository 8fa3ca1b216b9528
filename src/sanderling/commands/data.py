"""The verbs of `sanderling data`: check, stats, convert, split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.progress import progress_bar
from sanderling.errors import UsageError, nearest

if TYPE_CHECKING:
    from sanderling.datasets.check import CheckResult
    from sanderling.datasets.convert import Conversion
    from sanderling.datasets.dataset import Dataset
    from sanderling.datasets.labels import DataFormat
    from sanderling.datasets.split import SplitOutcome
    from sanderling.datasets.stats import SplitStats

_FORMATS: dict[str, DataFormat] = {"coco": "coco", "yolo": "yolo", "voc": "voc"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StatsResult:
    """Statistics of the splits that were asked for, and the plots that were drawn."""

    data: str
    splits: tuple[SplitStats, ...]
    plots: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "data": self.data,
            "splits": [split.to_plain() for split in self.splits],
            "plots": list(self.plots),
        }


def check(path: str | Path, *, data_format: str | None = None) -> CheckResult:
    """Find every fault of a data set.

    Args:
        path: a COCO JSON, a YOLO data.yaml, a VOC folder, or a folder that holds one of them.
        data_format: coco, yolo or voc, where a folder holds several.

    Raises:
        DataError: there is no data set at that path.
    """
    from sanderling.datasets.check import check as check_dataset

    with progress_bar("checking pictures") as progress:
        return check_dataset(Path(path), data_format=known_format(data_format), progress=progress)


def stats(
    path: str | Path, *, data_format: str | None = None, split: str | None = None, output: str | Path | None = None
) -> StatsResult:
    """Measure what a data set is made of.

    Args:
        path: as for `check`.
        data_format: as for `check`.
        split: one split; all of them without it.
        output: a folder for plots; none are drawn without it.

    Raises:
        DataError: the data set cannot be read.
        UsageError: there is no such split.
        MissingDependencyError: plots were asked for and matplotlib is not installed.
    """
    from sanderling.datasets.locate import open_all, open_dataset
    from sanderling.datasets.stats import measure

    chosen = known_format(data_format)
    if split is None:
        datasets = open_all(Path(path), data_format=chosen)
    else:
        datasets = [open_dataset(Path(path), split=split, data_format=chosen)]
    plots = [] if output is None else [plot for dataset in datasets for plot in _plots(dataset, Path(output))]
    return StatsResult(data=str(path), splits=tuple(measure(dataset) for dataset in datasets), plots=tuple(plots))


def convert(path: str | Path, *, to: str, output: str | Path, data_format: str | None = None) -> Conversion:
    """Write a data set in another format, in a new folder.

    Args:
        path: as for `check`.
        to: coco, yolo or voc.
        output: the new folder; it must not exist.
        data_format: as for `check`.

    Raises:
        DataError: the data set cannot be read.
        UsageError: an unknown format, or `output` exists.
    """
    from sanderling.datasets.convert import convert as convert_dataset

    target = known_format(to)
    if target is None:
        raise UsageError("no format to convert to; name coco, yolo or voc")
    return convert_dataset(Path(path), to=target, output=Path(output), data_format=known_format(data_format))


def split(
    path: str | Path,
    *,
    output: str | Path,
    fractions: str | Mapping[str, float],
    seed: int = 0,
    group_by: str | None = None,
    data_format: str | None = None,
) -> SplitOutcome:
    """Divide a data set anew: seeded, every class spread evenly, groups kept together.

    Args:
        path: as for `check`.
        output: the new folder of the COCO data set; it must not exist.
        fractions: `train=0.8,val=0.2`, or the same as a mapping.
        seed: the same seed gives the same splits.
        group_by: `folder`, or a pattern whose first group names the group in the file name.
        data_format: as for `check`.

    Raises:
        DataError: the data set cannot be read or is too small.
        UsageError: fractions or a pattern that make no sense, or `output` exists.
    """
    from sanderling.datasets.split import split as split_dataset

    shares = _fractions(fractions) if isinstance(fractions, str) else fractions
    return split_dataset(
        Path(path),
        output=Path(output),
        fractions=shares,
        seed=seed,
        group_by=group_by,
        data_format=known_format(data_format),
    )


def _plots(dataset: Dataset, output: Path) -> Iterator[str]:
    from sanderling.datasets.stats import distributions, measure
    from sanderling.reporting.plots import bar_chart, histogram

    output.mkdir(parents=True, exist_ok=True)
    measured, sums = distributions(dataset), measure(dataset)

    def path(name: str) -> Path:
        return output / f"{dataset.split}_{name}.png"

    title = f"{dataset.name}, {dataset.split}"
    names, counts = list(dataset.class_names), [entry.objects for entry in sums.classes]
    bar_chart(path("classes"), title=f"{title}: objects per class", labels=names, values=counts)
    yield str(path("classes"))
    bar_chart(
        path("sizes"),
        title=f"{title}: objects by area (limits 32 x 32 and 96 x 96 px)",
        labels=["small", "medium", "large"],
        values=[sums.small, sums.medium, sums.large],
    )
    yield str(path("sizes"))
    for name, values, label in (
        ("box_sides", measured.box_sides, "side of the object, px (root of its area)"),
        ("box_aspects", measured.box_aspects, "width by height of the object"),
        ("objects_per_picture", measured.objects_per_picture, "objects per picture"),
    ):
        if len(values):
            histogram(path(name), title=title, values=values, bins=40, x_label=label)
            yield str(path(name))


def known_format(name: str | None) -> DataFormat | None:
    """A data format by name; None stays None.

    Raises:
        UsageError: it is none of coco, yolo and voc.
    """
    if name is None:
        return None
    if name not in _FORMATS:
        raise UsageError(f"data format {name!r} is not known; {nearest(name, _FORMATS)}")
    return _FORMATS[name]


def _fractions(text: str) -> dict[str, float]:
    """Read `train=0.8,val=0.2`."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        try:
            shares[name] = float(share)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UsageError(f"fractions {text!r}: {part!r} is not NAME=SHARE, for example train=0.8,val=0.2")
    return shares
