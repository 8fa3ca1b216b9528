"""Find every fault of a data set in one pass: label files by the readers' own rules, then each picture file.

Pictures are read and decoded by the same function that training uses, two at a time; findings keep the order of the
files whatever finishes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.datasets.finding import SEVERITIES, Finding
from sanderling.datasets.labels import DataFormat, SplitLabels
from sanderling.datasets.layout import Layout
from sanderling.datasets.locate import locate
from sanderling.datasets.picture_file import PictureFacts, examine_all
from sanderling.datasets.rules import found
from sanderling.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        data: the data set's folder.
        data_format: coco, yolo or voc.
        splits: the splits that were checked.
        findings: split by split: labels, boxes, pictures; then what concerns several splits.
        counts: pictures, boxes, and findings by severity.
        rules: findings by rule.
    """

    data: str
    data_format: DataFormat
    splits: tuple[str, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    rules: dict[str, int]

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong that makes training or scores unreliable."""
        return self.counts["error"] > 0

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "data": self.data,
            "data_format": self.data_format,
            "splits": list(self.splits),
            "findings": [finding.to_plain() for finding in self.findings],
            "counts": dict(self.counts),
            "rules": dict(self.rules),
        }


def check(
    path: Path, *, data_format: DataFormat | None = None, progress: Callable[[int, int], None] | None = None
) -> CheckResult:
    """Check all splits of a data set; a JSON file that is one split is checked alone.

    Args:
        path: as for `open_dataset`.
        data_format: as for `open_dataset`.
        progress: told how many pictures of how many are done.

    Raises:
        DataError: there is no data set at that path.
    """
    layout = locate(path, data_format=data_format)
    findings = list(layout.findings)
    if not layout.readers:
        item = layout.findings[0].item if layout.findings else layout.root.name
        findings.append(found("no-split", file=item, item=item, field="splits", value=0))
    labels = [split for name in _splits_to_check(layout) if (split := _read(layout, name, findings)) is not None]
    total, done = sum(len(split.picture_paths) for split in labels), 0
    copies = _Copies()
    for split in labels:
        _, about_boxes = split.judged()
        about_labels = [*split.findings, *about_boxes]
        findings += about_labels
        mentioned = {finding.file for finding in about_labels}
        for picture, facts in enumerate(examine_all(split.picture_paths)):
            findings += _about_picture(split, picture, facts)
            findings += copies.add(split, picture, facts)
            done += 1
            if progress is not None:
                progress(done, total)
        findings += [
            split.about_picture(picture, "picture-without-labels", "boxes", 0)
            for picture in split.without_labels()
            if split.shown(split.picture_paths[picture]) not in mentioned
        ]
    # Folders that two splits share are met twice.
    unique = tuple(dict.fromkeys(findings))
    severities = Counter(finding.severity for finding in unique)
    return CheckResult(
        data=str(layout.root),
        data_format=layout.data_format,
        splits=tuple(split.split for split in labels),
        findings=unique,
        counts={
            "pictures": total,
            "boxes": sum(len(split.values) for split in labels),
            **{severity: severities[severity] for severity in SEVERITIES},
        },
        rules=dict(sorted(Counter(finding.rule for finding in unique).items())),
    )


def _splits_to_check(layout: Layout) -> list[str]:
    """All splits but a union of others, in which every picture would be met twice."""
    if layout.own_split is not None:
        return [layout.own_split]
    union = "trainval" if {"train", "val"} <= set(layout.readers) else ""
    return [name for name in layout.readers if name != union]


def _read(layout: Layout, split: str, findings: list[Finding]) -> SplitLabels | None:
    try:
        return layout.readers[split]()
    except DataError as error:
        name, _, why = str(error).partition(": ")
        file = Path(name).relative_to(layout.root).as_posix() if Path(name).is_relative_to(layout.root) else name
        findings.append(found("label-unreadable", file=file, item=file, field="file", value=why))
        return None


def _about_picture(split: SplitLabels, picture: int, facts: PictureFacts) -> Iterable[Finding]:
    if facts.fault:
        yield split.about_picture(picture, facts.fault, "picture", facts.value)
    for rule, field, value in facts.peculiarities:
        yield split.about_picture(picture, rule, field, value)
    height, width = split.sizes_hw[picture].tolist()
    if facts.size_hw is not None and height > 0 and (height, width) != facts.size_hw:
        value = f"{width}x{height} stated, {facts.size_hw[1]}x{facts.size_hw[0]} found"
        yield split.about_picture(picture, "picture-size-differs", "width, height", value)


class _Copies:
    """Finds pictures with the same pixels, whatever the files are called and however they are packed."""

    def __init__(self) -> None:
        self._first: dict[str, dict[str, str]] = {}

    def add(self, split: SplitLabels, picture: int, facts: PictureFacts) -> Iterator[Finding]:
        """Note a picture; a copy of an earlier one in its split is a warning, in another split an error."""
        if not facts.pixels_digest:
            return
        first = self._first.setdefault(facts.pixels_digest, {})
        name = split.shown(split.picture_paths[picture])
        for other, copy in first.items():
            rule = "duplicate-picture" if other == split.split else "picture-in-two-splits"
            yield split.about_picture(picture, rule, "pixels", f"same as {copy} ({other})")
        first.setdefault(split.split, name)
