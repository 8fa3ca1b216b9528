from __future__ import annotations

import builtins
import json
from typing import Any

import numpy as np
import pytest

from sanderling.errors import MissingDependencyError
from sanderling.structures.detections import Detections

CLASSES = ("fire", "smoke", "crane")


def detections(**changes: Any) -> Detections:
    values: dict[str, Any] = {
        "boxes_xyxy": np.array([[1.234, 2, 30.5, 40], [5, 6, 7, 8], [0, 0, 50, 60]], np.float32),
        "scores": np.array([0.9, 0.5, 0.123456], np.float32),
        "labels": np.array([0, 2, 1]),
        "class_names": CLASSES,
        "source": "a.jpg",
        "size_hw": (60, 50),
    }
    return Detections(**{**values, **changes})


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"boxes_xyxy": np.zeros((3, 5), np.float32)}, r"Detections\.boxes_xyxy has shape \(3, 5\); Nx4"),
            ({"boxes_xyxy": np.zeros(4, np.float32)}, r"Detections\.boxes_xyxy has shape \(4,\); Nx4"),
            ({"scores": np.zeros(2, np.float32)}, r"Detections\.scores has shape \(2,\); \(3,\) is expected"),
            ({"labels": np.zeros((3, 1), np.int64)}, r"Detections\.labels has shape \(3, 1\); \(3,\) is expected"),
            ({"track_ids": np.zeros(1, np.int64)}, r"Detections\.track_ids has shape \(1,\); \(3,\) is expected"),
            ({"labels": np.array([0, 3, 1])}, r"Detections\.labels span 0\.\.3; 0\.\.2 is expected for 3 classes"),
            ({"labels": np.array([0, -1, 1])}, r"Detections\.labels span -1\.\.1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            detections(**changes)

    def test_nothing_found_is_fine_even_without_classes(self) -> None:
        assert len(Detections.empty(())) == 0
        empty = Detections.empty(CLASSES, source="b.jpg", frame=3, size_hw=(4, 5))
        assert (len(empty), empty.source, empty.frame, empty.size_hw) == (0, "b.jpg", 3, (4, 5))
        assert empty.labels.dtype == np.int64


class TestSelection:
    def test_by_index_in_that_order_with_everything_else(self) -> None:
        found = detections(track_ids=np.array([7, 8, 9]), frame=4).select(np.array([2, 0]))
        assert found.labels.tolist() == [1, 0]
        assert found.track_ids is not None
        assert found.track_ids.tolist() == [9, 7]
        assert (found.source, found.frame, found.size_hw, found.class_names) == ("a.jpg", 4, (60, 50), CLASSES)

    def test_above_a_score_of_some_classes(self) -> None:
        assert detections().above(0.5).labels.tolist() == [0, 2]
        assert detections().above(0.0, classes=[1, 2]).labels.tolist() == [2, 1]
        assert len(detections().above(0.0, classes=[])) == 0
        assert len(detections().above(1.0)) == 0


class TestJson:
    def test_plain_values(self) -> None:
        plain = json.loads(detections(frame=3).to_json())
        assert plain["source"] == "a.jpg"
        assert plain["frame"] == 3
        assert plain["size_hw"] == [60, 50]
        assert plain["detections"][0] == {
            "label": 0,
            "class_name": "fire",
            "score": 0.9,
            "box_xyxy": [1.23, 2.0, 30.5, 40.0],
        }
        assert plain["detections"][2]["score"] == 0.12346

    def test_tracks_where_there_are_some(self) -> None:
        assert detections(track_ids=np.array([4, 5, 6])).to_plain()["detections"][1]["track_id"] == 5

    def test_nothing_found(self) -> None:
        assert json.loads(Detections.empty(CLASSES).to_json()) == {
            "source": "",
            "frame": None,
            "size_hw": None,
            "detections": [],
        }


class TestPlot:
    def test_draws_on_a_copy(self) -> None:
        picture = np.zeros((60, 50, 3), np.uint8)
        drawn = detections().plot(picture)
        assert drawn.shape == picture.shape
        assert drawn.any()
        assert not picture.any()

    def test_nothing_found_leaves_the_picture_as_it_is(self) -> None:
        picture = np.full((7, 13, 3), 9, np.uint8)
        np.testing.assert_array_equal(Detections.empty(CLASSES).plot(picture), picture)


class TestSupervision:
    @pytest.mark.parametrize("track_ids", [None, np.array([4, 5, 6])])
    def test_there_and_back(self, track_ids: Any) -> None:
        pytest.importorskip("supervision")
        start = detections(track_ids=track_ids)
        there = start.to_supervision()
        assert there.data["class_name"].tolist() == ["fire", "crane", "smoke"]
        back = Detections.from_supervision(there, CLASSES, source="a.jpg", size_hw=(60, 50))
        assert back.to_plain() == start.to_plain()
        np.testing.assert_array_equal(back.boxes_xyxy, start.boxes_xyxy)

    def test_nothing_found(self) -> None:
        pytest.importorskip("supervision")
        there = Detections.empty(CLASSES).to_supervision()
        assert len(there) == 0
        assert len(Detections.from_supervision(there, CLASSES)) == 0

    def test_boxes_alone(self) -> None:
        supervision = pytest.importorskip("supervision")
        back = Detections.from_supervision(supervision.Detections(xyxy=np.array([[1.0, 2, 3, 4]])), CLASSES)
        assert back.scores.tolist() == [1.0]
        assert back.labels.tolist() == [0]

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        imported = builtins.__import__

        def refuse(name: str, *rest: Any, **named: Any) -> Any:
            if name == "supervision":
                raise ImportError(name)
            return imported(name, *rest, **named)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(MissingDependencyError, match="pip install supervision"):
            detections().to_supervision()
