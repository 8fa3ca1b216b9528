"""Published ablations: their rows as switches, with the figures that the authors give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sanderling import config
from sanderling.errors import UsageError, nearest
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.studies.switches import kind_of, parts

_EVERYONES_OWN = ("data.", "model.class_names", "seed", "trackers", "runtime.")
"""What is different in every study and says nothing about its first row."""


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

    def joined(self, steps: Sequence[str], letters: Sequence[str]) -> list[str]:
        """Some rows as steps of their own, each with all that lies between it and the one before.

        Args:
            steps: of an ablation that begins with the first row, each on top of the one before.
            letters: of the rows; the first one stands for itself and may be left out.

        Raises:
            UsageError: a letter is of no row, its row is not among the steps, or a step that is of no row would be left
                out.

        >>> PPYOLO.joined(PPYOLO.steps[:4], ["A", "C", "E"])
        ['resnet-dcn,large-batch,ema,drop-block', 'iou-loss,iou-aware']
        """
        found, on, waiting = {self.rows[0].letter: ""}, list[str](), list[str]()
        for step in steps:
            on += parts(step)
            waiting.append(step)
            row = self.row(on)
            if row is not None and row.letter in letters:
                found[row.letter] = ",".join(waiting)
                waiting = []
        for letter in letters:
            if letter not in found:
                known = ", ".join(row.letter for row in self.rows)
                raise UsageError(
                    f"rows: {letter!r} is not among the steps; the ladder {self.name!r} has {known}, and rows that "
                    "need a file come with --switch"
                )
        ours = {part for row in self.rows[1:] for part in parts(row.switches)}
        for part in (part for step in waiting for part in parts(step) if kind_of(part) not in ours):
            raise UsageError(f"rows: the switch {part!r} is of no row of {self.name!r}; leave it out, or the rows")
        return [text for text in found.values() if text]

    def changed_in(self, run: Run) -> tuple[str, ...]:
        """In what a run differs from the recipe that the first row is here, as `key=value`; data and machine aside."""
        recipe, ours = config.plain(named(self.run)), config.plain(run)
        return tuple(
            f"{key}={json.dumps(value)}"
            for key, _, value in config.differences(recipe, ours)
            if not key.startswith(_EVERYONES_OWN)
        )


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
    source="PaddleDetection configs/ppyolo, COCO val2017 at 608x608, ResNet50vd, B to I with ImageNet weights",
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
