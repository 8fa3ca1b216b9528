"""Published ablations: their rows as switches, with the figures that the authors give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sanderling.errors import UsageError, nearest
from sanderling.studies.switches import kind_of, parts


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One row of a published table."""

    letter: str
    switches: str
    """What it adds to the row before, as a step of an ablation; empty for the first. `weights` stands for any file."""
    ap: float
    """COCO AP, a fraction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """A published table, each row on top of the one before."""

    name: str
    run: str
    """The recipe that its first row is here."""
    rows: tuple[PublishedRow, ...]
    source: str

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that need no file."""
        added = [row.switches for row in self.rows[1:]]
        return tuple(added[: added.index("weights")] if "weights" in added else added)

    def row(self, switches: Iterable[str]) -> PublishedRow | None:
        """The row that has exactly these switches on, all steps together; None where none has.

        >>> PPYOLO.row(["iou-loss", "resnet-dcn", "ema", "drop-block", "large-batch"]).letter
        'D'
        """
        wanted, on = {kind_of(switch) for switch in switches}, set[str]()
        for row in self.rows:
            on.update(parts(row.switches) if row.switches else ())
            if on == wanted:
                return row
        return None


PPYOLO = Ladder(
    name="ppyolo",
    run="ppyolo-small",
    rows=(
        PublishedRow(letter="A", switches="", ap=0.389),
        PublishedRow(letter="B", switches="resnet-dcn", ap=0.391),
        PublishedRow(letter="C", switches="large-batch,ema,drop-block", ap=0.414),
        PublishedRow(letter="D", switches="iou-loss", ap=0.419),
        PublishedRow(letter="E", switches="iou-aware", ap=0.425),
        PublishedRow(letter="F", switches="grid-sensitive", ap=0.428),
        PublishedRow(letter="G", switches="matrix-nms", ap=0.435),
        PublishedRow(letter="H", switches="coord-conv", ap=0.440),
        PublishedRow(letter="I", switches="spp", ap=0.443),
        PublishedRow(letter="J", switches="weights", ap=0.448),
        PublishedRow(letter="K", switches="double-schedule", ap=0.453),
    ),
    source="PaddleDetection configs/ppyolo, appendix: COCO val2017 at 608x608, ResNet50vd",
)

LADDERS: Mapping[str, Ladder] = {ladder.name: ladder for ladder in (PPYOLO,)}
"""By name."""


def ladder(name: str) -> Ladder:
    """A published ladder.

    Raises:
        UsageError: there is no such name.
    """
    if name not in LADDERS:
        raise UsageError(f"ladder = {name!r} is not known; {nearest(name, LADDERS)}")
    return LADDERS[name]


def ladder_of(run_name: str) -> Ladder | None:
    """The ladder that begins with a recipe."""
    return next((ladder for ladder in LADDERS.values() if ladder.run == run_name), None)
