"""Results of commands, made up, for tests of what is printed of them."""

from __future__ import annotations

from pathlib import Path

from sanderling.benchmark.machine import Machine
from sanderling.benchmark.result import BenchResult, PeakMemory, Timing
from sanderling.commands.demo import DemoOutcome
from sanderling.commands.train import TrainOutcome
from sanderling.export.write import ExportOutcome
from sanderling.structures.artefact import Parity
from sanderling.structures.report import ClassReport, Report

REPORT = Report(
    metrics={"AP": 0.2314, "AP50": 0.5, "AP_large": None},
    per_class=(ClassReport(name="tern", objects=3, detections=4, AP=0.2314, AP50=0.5),),
    protocol="COCO, made up",
    counts={"pictures": 2},
    timings={"evaluate_s": 0.5},
)
TRAINED = TrainOutcome(
    folder=Path("runs/train/birds"),
    weights=Path("runs/train/birds/weights/best.safetensors"),
    report=REPORT,
    epochs=2,
    best_epoch=1,
    seconds=3.0,
    unreadable={},
)
EXPORTED = ExportOutcome(
    path=Path("birds.onnx"),
    sidecar=Path("birds.onnx.json"),
    parity=Parity(
        pictures=8,
        points=900,
        max_box_difference_px=0.0123,
        max_score_difference=1e-6,
        detections=17,
        detections_equal=True,
    ),
    megabytes=3.75,
)
BENCHED = BenchResult(
    artefact="birds.onnx",
    engine="onnx",
    model="nanodet-m",
    layout="native",
    input_hw=(320, 416),
    megabytes=3.75,
    threads=1,
    rounds=5,
    pictures=1,
    timings={"network": Timing.of([0.010, 0.012], [0.010, 0.012]), "end_to_end": Timing.of([0.015], [0.015])},
    peak_memory=PeakMemory(network=80.0, end_to_end=None),
    machine=Machine(cpu="a processor", cores=2, load=None, python="3.11.7", packages={}),
    accuracy={"AP": 0.2314},
)
DEMONSTRATED = DemoOutcome(
    report_page=Path("runs/demo/demo/report.html"),
    training=TRAINED,
    exported=EXPORTED,
    report=REPORT,
    bench=BENCHED,
    seconds=200.0,
)
