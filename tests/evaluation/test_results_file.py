from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.errors import DataError, UsageError
from sanderling.evaluation.evaluate import evaluate
from sanderling.evaluation.results_file import read_flat_results, read_results, write_results
from sanderling.structures.detections import Detections
from tests.support.scored import found_of, random_split, split_of

BOX = (10.0, 20.0, 60.0, 90.0)
# `split_of` numbers pictures 1000, 997, ... and categories 90, 83, ...
ENTRY: dict[str, Any] = {"image_id": 997, "category_id": 83, "bbox": [10, 20, 50, 70], "score": 0.5}


def test_what_was_written_reads_back_the_same(tmp_path: Path) -> None:
    dataset, detections = random_split(1)
    path = tmp_path / "deeper" / "results.json"
    write_results(path, detections, dataset)
    again = read_results(path, dataset)
    for before, after in zip(detections, again, strict=True):
        order = np.argsort(-before.scores, kind="stable")
        np.testing.assert_allclose(after.boxes_xyxy, before.boxes_xyxy[order], atol=0.002)
        np.testing.assert_allclose(after.scores, before.scores[order], atol=1e-6)
        np.testing.assert_array_equal(after.labels, before.labels[order])
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]
    assert evaluate(dataset, again).metrics["AP"] == pytest.approx(
        evaluate(dataset, detections).metrics["AP"], abs=1e-3
    )


def test_ids_of_the_file_are_used(tmp_path: Path) -> None:
    dataset = split_of([[], [(1, BOX)]])
    path = tmp_path / "results.json"
    write_results(path, [found_of([]), found_of([(1, 0.5, BOX)])], dataset)
    assert json.loads(path.read_text()) == [ENTRY]


def test_pictures_may_be_named_by_text(tmp_path: Path) -> None:
    dataset, _ = random_split(0, pictures=2)
    dataset = with_ids(dataset, ["left", "right"])
    path = tmp_path / "results.json"
    path.write_text(json.dumps([ENTRY | {"image_id": "right"}]))
    assert read_flat_results(path, dataset).picture_index.tolist() == [1]


def test_the_order_of_the_file_stands_in_flat_arrays(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([ENTRY, ENTRY | {"image_id": 1000, "score": 1}]).encode())
    found = read_flat_results(path, split_of([[], []]))
    assert found.picture_index.tolist() == [1, 0]
    assert found.scores.tolist() == [0.5, 1.0]
    assert found.boxes_xyxy[0].tolist() == [10, 20, 60, 90]


def test_an_empty_list_is_no_detections(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    assert [len(found) for found in read_results(path, split_of([[], []]))] == [0, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{", "is not JSON"),
        ('{"annotations": []}', "is a list of objects"),
        ("[7]", "entry 0 is '7'; an object is expected"),
        (json.dumps([ENTRY, {**ENTRY, "segmentation": [], "bbox": None}]), "entry 1 has bbox None; left, top"),
        (json.dumps([{key: ENTRY[key] for key in ("image_id", "category_id", "score")}]), "entry 0 has no 'bbox'"),
        (json.dumps([ENTRY | {"bbox": [1, 2, 3]}]), r"entry 0 has bbox \[1, 2, 3\]"),
        (json.dumps([ENTRY | {"bbox": [1, 2, 3]}, ENTRY | {"bbox": [1, 2, 3, 4, 5]}]), r"entry 0 has bbox \[1, 2, 3\]"),
        (json.dumps([ENTRY | {"score": "high"}]), "entry 0 has score 'high'; a number"),
        (json.dumps([ENTRY | {"score": float("nan")}]), "entry 0 has .*score nan; finite numbers"),
        (json.dumps([ENTRY, ENTRY | {"bbox": [0, 0, float("inf"), 1]}]), "entry 1 has .*inf.*finite numbers"),
        (json.dumps([ENTRY | {"image_id": 5}]), "entry 0 has image_id 5, which is no image of made up"),
        (json.dumps([ENTRY, ENTRY | {"category_id": 1}]), "entry 1 has category_id 1, which is no category"),
        (json.dumps([ENTRY | {"image_id": [997]}]), r"entry 0 has image_id \[997\]; an id is expected"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_results(path, split_of([[], []]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json: cannot be read"):
        read_results(tmp_path / "nothing.json", split_of([[]]))


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_results(tmp_path / "results.json", [Detections.empty(("fire", "smoke"))], split_of([[]]))
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def with_ids(dataset: Any, ids: list[str]) -> Any:
    import dataclasses

    return dataclasses.replace(dataset, picture_ids=np.array(ids, np.str_), category_ids=(83, *range(1, 6)))
