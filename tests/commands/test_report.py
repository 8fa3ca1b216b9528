from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.commands import report as reports
from sanderling.commands.report import write_run_report
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.finding import Finding
from sanderling.errors import DataError, UsageError
from sanderling.evaluation.evaluate import evaluate
from sanderling.structures.detections import Detections
from tests.support.html_page import HtmlPage
from tests.support.scored import found_of, random_split, split_of
from tests.support.small_sets import put_picture

PLOTS = {
    "losses.png",
    "metrics.png",
    "learning_rate.png",
    "throughput.png",
    "ap_per_class.png",
    "precision_recall.png",
    "f1.png",
    "confusion_matrix.png",
}
HISTORY: list[dict[str, Any]] = [
    {
        "epoch": epoch,
        "time_s": 61.0,
        "lr": 0.1 / epoch,
        "losses": {"class": 2 / epoch, "box": 1 / epoch, "total": 3 / epoch},
        "pictures_per_s": 20.0,
        "metrics": {"AP": 0.1 * epoch, "AP50": 0.2 * epoch, "AP_small": None} if epoch % 2 == 0 else None,
    }
    for epoch in range(1, 5)
]


def with_files(dataset: Dataset, folder: Path) -> Dataset:
    """The same split with a picture file behind every path."""
    folder.mkdir()
    paths = [str(put_picture(folder / f"{index}.jpg", index, (480, 640))) for index in range(len(dataset))]
    return dataclasses.replace(dataset, picture_paths=np.array(paths, np.str_))


def written(
    tmp_path: Path, dataset: Dataset, detections: list[Detections], history: Any = (), **more: Any
) -> tuple[str, HtmlPage]:
    """Evaluate, write the report, read it back: all its text, and the page."""
    folder = tmp_path / "run"
    folder.mkdir()
    path = write_run_report(
        folder,
        title="nanodet-m on <made up>",
        history=history,
        dataset=dataset,
        detections=detections,
        report=evaluate(dataset, detections),
        facts={"model": "nanodet-m", "parameters": "950,036", "seed": "3"},
        **more,
    )
    assert path == folder / "report.html"
    page = HtmlPage(path.read_text(encoding="utf-8"))
    return " ".join(page.words), page


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if matplotlib were not installed, which is also much faster."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def test_everything_a_colleague_asks(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    dataset, detections = random_split(1, pictures=12)
    words, page = written(tmp_path, with_files(dataset, tmp_path / "pictures"), detections, HISTORY)
    assert {path.name for path in (tmp_path / "run" / "plots").iterdir()} == PLOTS
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"plots", "report.html"}
    for part in (
        "nanodet-m on <made up>",
        "950,036",
        "made up val · 12 pictures",
        "4 epochs in 4 min",
        "The best AP while training was 40.0 % after epoch 4.",
        "Precision and recall",
        "Confusion",
        "Worst misses",
        "Worst false alarms",
        "class 4",
    ):
        assert part in words, part
    charts = [image for image in page.all("img") if "width" in image]
    assert len(charts) == len(PLOTS)
    assert len(page.all("img")) > len(charts) + 2 * 12
    assert all(image["alt"] for image in page.all("img"))
    assert "left out" not in words
    assert (tmp_path / "run" / "report.html").stat().st_size < 4_000_000


def test_a_measurement_without_training_and_without_a_single_detection(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    dataset = with_files(split_of([[(0, (10, 10, 60, 60))], []]), tmp_path / "pictures")
    words, page = written(tmp_path, dataset, [found_of([]), found_of([])])
    assert "Training" not in words
    assert "No class has both objects and detections" in words
    assert "There are none to show." in words
    assert "no detection of any score" in words
    assert not {"losses.png", "metrics.png"} & {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    # One example and one miss.
    assert len([image for image in page.all("img") if "width" not in image]) == 2


@pytest.mark.usefixtures("no_plots")
def test_without_matplotlib_the_plots_are_left_out_and_the_page_says_so(tmp_path: Path) -> None:
    dataset, detections = random_split(1, pictures=3)
    words, page = written(tmp_path, with_files(dataset, tmp_path / "pictures"), detections, HISTORY)
    assert words.count("The plots are left out: drawing plots needs the package 'matplotlib'") == 1
    assert "pip install 'sanderling[train]'" in words
    assert not any("width" in image for image in page.all("img"))
    assert page.all("img")
    assert list((tmp_path / "run" / "plots").iterdir()) == []


@pytest.mark.usefixtures("no_plots")
def test_one_class(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, (10, 10, 60, 60))]], ("fire",)), tmp_path / "pictures")
    found = found_of([(0, 0.95, (300, 300, 350, 350)), (0, 0.9, (10, 10, 60, 61))], ("fire",))
    words, _ = written(tmp_path, dataset, [found])
    assert "of 1 class" in words
    # One false alarm in one picture is more than the wanted tenth, so that the threshold lies above both.
    assert "fire, 50 x 50 px, best score 0.90 (threshold 0.95)" in words


@pytest.mark.usefixtures("no_plots")
def test_a_class_that_is_never_found_counts_in_the_mean(tmp_path: Path) -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    dataset = with_files(split_of([[(0, box)], [(1, box)]]), tmp_path / "pictures")
    words, _ = written(tmp_path, dataset, [found_of([(0, 0.9, box)]), found_of([])])
    assert "The mean F1 of the classes is largest, 0.50," in words


@pytest.mark.usefixtures("no_plots")
def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, (10, 10, 60, 60))], [(1, (0, 0, 90, 90))]]), tmp_path / "pictures")
    Path(dataset.picture_paths[1]).unlink()
    skipped = Finding(
        file="0.jpg",
        item="a.json: annotation 3",
        field="bbox",
        value="nan",
        rule="box-not-finite",
        severity="error",
        remedy="draw it again",
    )
    dataset = dataclasses.replace(dataset, skipped=(skipped,))
    odd = found_of([(0, float("nan"), (0, 0, 9, 9))])
    unreadable = {"train/7.jpg": "train/7.jpg: has zero bytes"}
    words, _ = written(tmp_path, dataset, [odd, found_of([])], unreadable=unreadable)
    assert "2 unreadable pictures" in words
    assert "1.jpg: no such picture" in words
    assert "train/7.jpg: has zero bytes" in words
    assert "skipped 1: 1 box-not-finite (first: a.json: annotation 3, bbox = nan)." in words
    assert "1 detections had a box or score that is no number" in words


@pytest.mark.usefixtures("no_plots")
def test_an_empty_split(tmp_path: Path) -> None:
    words, page = written(tmp_path, split_of([]), [])
    assert words.count("There are none to show.") == 3
    assert page.all("table")


def test_detections_that_do_not_belong_to_the_split(tmp_path: Path) -> None:
    dataset = split_of([[(0, (10, 10, 60, 60))]])
    report = evaluate(dataset, [found_of([])])
    rest: dict[str, Any] = {"title": "t", "history": [], "dataset": dataset, "report": report, "facts": {}}
    with pytest.raises(UsageError, match="detections of 0 pictures were given for 1 pictures"):
        write_run_report(tmp_path, detections=[], **rest)
    with pytest.raises(DataError, match="class 'fire' of the data set is unknown to the model"):
        write_run_report(tmp_path, detections=[found_of([], ("crane",))], **rest)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_eighty_classes_stay_below_four_megabytes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    dataset, detections = random_split(2, pictures=60, classes=80)
    _, page = written(tmp_path, with_files(dataset, tmp_path / "pictures"), detections, HISTORY)
    assert len(page.all("img")) > 30
    assert (tmp_path / "run" / "report.html").stat().st_size < 4_000_000


@pytest.mark.parametrize("seed", range(3))
def test_curves_read_at_given_places(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, recall, values = np.sort(random.random(9))[::-1], np.sort(random.random(9)), random.random(9)
    for wish in [*np.linspace(0, 1, 21), scores[2], recall[4]]:
        taken = [index for index in range(9) if scores[index] >= wish]
        at_threshold = values[taken[-1]] if taken else 0
        at_recall = max((values[index] for index in range(9) if recall[index] >= wish), default=0)
        assert reports._at_thresholds(scores, values, np.array([wish])) == at_threshold
        assert reports._at_recalls(recall, values, np.array([wish])) == at_recall
