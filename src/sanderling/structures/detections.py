"""What a detector found in one picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Detections:
    """Boxes with scores and classes, best first.

    Attributes:
        boxes_xyxy: float32 Nx4, pixels of the original picture.
        scores: float32 N, 0..1.
        labels: int64 N, index into `class_names`.
        class_names: names of all classes that the detector knows.
        track_ids: int64 N where a tracker followed the boxes, else None.
        source: the file, address or camera that the picture came from, empty when unknown.
        frame: number of the frame in a video, None for a still picture.
        size_hw: height and width of the original picture, None when unknown.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    track_ids: NDArray[np.int64] | None = None
    source: str = ""
    frame: int | None = None
    size_hw: tuple[int, int] | None = field(default=None)

    def __post_init__(self) -> None:
        """Check shapes and the range of labels."""
        count = len(self.boxes_xyxy)
        if self.boxes_xyxy.shape != (count, 4):
            raise ValueError(f"Detections.boxes_xyxy has shape {self.boxes_xyxy.shape}; Nx4 is expected")
        for name in ("scores", "labels"):
            shape = getattr(self, name).shape
            if shape != (count,):
                raise ValueError(f"Detections.{name} has shape {shape}; ({count},) is expected, one per box")
        if self.track_ids is not None and self.track_ids.shape != (count,):
            raise ValueError(f"Detections.track_ids has shape {self.track_ids.shape}; ({count},) is expected")
        if count and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.class_names):
            raise ValueError(
                f"Detections.labels span {self.labels.min()}..{self.labels.max()}; "
                f"0..{len(self.class_names) - 1} is expected for {len(self.class_names)} classes"
            )

    def __len__(self) -> int:
        """The number of boxes."""
        return len(self.boxes_xyxy)

    @classmethod
    def empty(cls, class_names: tuple[str, ...], **described: Any) -> Detections:
        """No boxes at all; `described` takes source, frame and size_hw."""
        return cls(
            boxes_xyxy=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            labels=np.zeros(0, np.int64),
            class_names=class_names,
            **described,
        )

    def select(self, keep: NDArray[Any]) -> Detections:
        """The detections at a boolean mask or at indices, in that order."""
        return Detections(
            boxes_xyxy=self.boxes_xyxy[keep],
            scores=self.scores[keep],
            labels=self.labels[keep],
            class_names=self.class_names,
            track_ids=None if self.track_ids is None else self.track_ids[keep],
            source=self.source,
            frame=self.frame,
            size_hw=self.size_hw,
        )

    def above(self, score: float, *, classes: Sequence[int] | None = None) -> Detections:
        """Those that score at least `score`, of the given classes when named."""
        keep = self.scores >= score
        if classes is not None:
            keep &= np.isin(self.labels, np.asarray(classes))
        return self.select(keep)

    def plot(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw the boxes on a copy of `picture` (uint8 HxWx3 RGB of the original size)."""
        from sanderling.structures.draw import draw

        return draw(picture, self)

    def to_plain(self) -> dict[str, Any]:
        """Plain values: source, frame, size and one entry per box with class name, score and box."""
        return {
            "source": self.source,
            "frame": self.frame,
            "size_hw": None if self.size_hw is None else list(self.size_hw),
            "detections": [
                {
                    "label": int(label),
                    "class_name": self.class_names[int(label)],
                    "score": round(float(score), 5),
                    "box_xyxy": [round(float(value), 2) for value in box],
                    **({} if self.track_ids is None else {"track_id": int(self.track_ids[index])}),
                }
                for index, (box, score, label) in enumerate(zip(self.boxes_xyxy, self.scores, self.labels, strict=True))
            ],
        }

    def to_json(self) -> str:
        """`to_plain` as JSON text."""
        return json.dumps(self.to_plain())

    def to_supervision(self) -> Any:
        """Convert to `supervision.Detections`.

        Raises:
            MissingDependencyError: the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            from sanderling.errors import MissingDependencyError

            raise MissingDependencyError(
                "to_supervision() needs the package 'supervision', which is not installed; run: pip install supervision"
            ) from None
        return supervision.Detections(
            xyxy=self.boxes_xyxy.copy(),
            confidence=self.scores.copy(),
            class_id=self.labels.copy(),
            tracker_id=None if self.track_ids is None else self.track_ids.copy(),
            data={"class_name": np.array([self.class_names[int(label)] for label in self.labels], dtype=str)},
        )

    @classmethod
    def from_supervision(cls, found: Any, class_names: tuple[str, ...], **described: Any) -> Detections:
        """Convert from `supervision.Detections`; boxes without confidence score 1."""
        count = len(found.xyxy)
        scores = np.ones(count) if found.confidence is None else found.confidence
        labels = np.zeros(count) if found.class_id is None else found.class_id
        return cls(
            boxes_xyxy=np.asarray(found.xyxy, np.float32).reshape(-1, 4),
            scores=np.asarray(scores, np.float32),
            labels=np.asarray(labels, np.int64),
            class_names=class_names,
            track_ids=None if found.tracker_id is None else np.asarray(found.tracker_id, np.int64),
            **described,
        )
