"""The first full path, small: labelled pictures in, a measured artefact out, every step by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sanderling.datasets.synthetic import write_scenes
from tests.support.command_line import CommandLine


def test_from_pictures_to_a_measured_artefact(command_line: CommandLine, tmp_path: Path) -> None:
    def result(*words: object) -> Any:
        ran = command_line(*words, "--json", "-")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    scenes, run = tmp_path / "scenes", tmp_path / "run"
    write_scenes(scenes, train=12, val=5, size_hw=(90, 150))
    assert result("data", "check", scenes)["counts"]["error"] == 0

    words = f"train nanodet-debug --data {scenes} --epochs 2 --batch 4 --imgsz 96 160 --workers 0 --threads 1 -o {run}"
    trained = result(*words.split())
    assert trained["epochs"] == 2
    for name in ("run.yaml", "weights/best.safetensors", "weights/last.ckpt", "results.csv", "report.html"):
        assert (run / name).stat().st_size > 0, name
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in history] == [1, 2]

    artefact = Path(result("export", run, "-o", tmp_path / "artefacts", "--threads", 1)["path"])
    measuring = ("--data", scenes, "--conf", 0.005, "--threads", 1)
    of_model, of_artefact = (result("val", model, *measuring) for model in (run, artefact))
    assert of_model["counts"]["detections"] > 0
    assert of_model["counts"] == of_artefact["counts"]
    assert [entry["name"] for entry in of_artefact["per_class"]] == ["fire", "smoke", "crane", "kite"]
    for name in ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_100"):
        assert name in of_artefact
        assert of_model[name] is None or abs(of_model[name] - of_artefact[name]) < 0.001

    pictures = scenes / "images" / "val"
    predicting = (pictures, "--conf", 0.005, "--threads", 1)
    by_model = result("predict", run, *predicting, "--no-save")["pictures"]
    by_artefact = result("predict", artefact, *predicting, "-o", tmp_path / "found")["pictures"]
    assert len(by_model) == len(by_artefact) == 5
    for ours, theirs in zip(by_model, by_artefact, strict=True):
        assert ours["source"] == theirs["source"]
        assert len(ours["detections"]) == len(theirs["detections"]) > 0
        # Hardly trained, the scores are almost ties, so that suppression may keep another box; the best is the best.
        assert abs(ours["detections"][0]["score"] - theirs["detections"][0]["score"]) < 1e-4
    assert json.loads((tmp_path / "found" / "predictions.json").read_text())["pictures"] == by_artefact
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 5

    measured = result("bench", artefact, "--rounds", 3, "--no-memory")[0]
    assert measured["timings"]["end_to_end"]["median_ms"] > measured["timings"]["network"]["min_ms"] > 0
    assert measured["peak_memory_mb"] == {"network": None, "end_to_end": None}
