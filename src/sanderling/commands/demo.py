"""`demo`: the whole path on rendered scenes, from pictures to a report, without a download."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.folders import output_folder

if TYPE_CHECKING:
    from sanderling.benchmark.result import BenchResult
    from sanderling.commands.train import TrainOutcome
    from sanderling.datasets.check import CheckResult
    from sanderling.export.write import ExportOutcome
    from sanderling.structures.report import Report

logger = logging.getLogger(__name__)

_MODEL = "nanodet-debug"
_SIZE_HW = (256, 320)
_SHOWN = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoOutcome:
    """What the demonstration gave.

    Attributes:
        report_page: the page that shows all of it.
        training: the run.
        exported: the artefact and how far it is from the model.
        report: of the artefact on the held-back scenes.
        bench: what the artefact costs on this machine.
        seconds: of the whole demonstration.
    """

    report_page: Path
    training: TrainOutcome
    exported: ExportOutcome
    report: Report
    bench: BenchResult
    seconds: float

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "report_page": str(self.report_page),
            "training": self.training.to_plain(),
            "artefact": str(self.exported.path),
            "report": self.report.to_plain(),
            "bench": self.bench.to_plain(),
            "seconds": round(self.seconds, 1),
        }


def demo(
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    train_scenes: int = 800,
    val_scenes: int = 200,
    epochs: int = 30,
) -> DemoOutcome:
    """Render scenes, check them, train, export, run without torch, measure, report. Minutes on two cores.

    Args:
        output: folder of everything; by default `runs/demo/NAME`.
        overwrite: replace what is in `output`.
        seed: of scenes and training.
        train_scenes: rendered pictures to learn from.
        val_scenes: rendered pictures held back for the score.
        epochs: of the training.

    Raises:
        UsageError: `output` holds something.
        MissingDependencyError: torch is not installed.
    """
    from sanderling.commands.bench import bench
    from sanderling.commands.data import check
    from sanderling.commands.export import export
    from sanderling.commands.open_detector import require_torch
    from sanderling.commands.predict import predict
    from sanderling.commands.train import train
    from sanderling.commands.val import val

    require_torch("the demonstration")
    started = time.perf_counter()
    folder = output_folder("demo", "demo", None if output is None else Path(output), overwrite)
    scenes = _scenes(folder / "scenes", train=train_scenes, val=val_scenes, seed=seed)
    checked = check(scenes)
    logger.info("2/6 checked: %d errors, %d warnings", checked.counts["error"], checked.counts["warning"])
    logger.info("3/6 training %s for %d epochs", _MODEL, epochs)
    training = train(
        _MODEL,
        data=scenes,
        epochs=epochs,
        imgsz=_SIZE_HW,
        seed=seed,
        output=folder / "train",
        overwrite=overwrite,
        assignments=("loop.validate_every=5",),
    )
    exported = export(training.folder, output=folder / "export" / f"{_MODEL}.onnx")
    logger.info("4/6 exported %s", exported.path)
    report = val(exported.path, data=scenes)
    logger.info("5/6 the artefact scores AP50 %.1f without torch", 100 * (report.metrics["AP50"] or 0))
    held_back = sorted((scenes / "images" / "val").iterdir())[:_SHOWN]
    list(predict(exported.path, held_back, output=folder / "predict"))
    measured = bench([exported.path], pictures=held_back[0])[0]
    logger.info("6/6 predicted and measured")
    seconds = time.perf_counter() - started
    page = _write_page(
        folder,
        checked=checked,
        training=training,
        exported=exported,
        report=report,
        measured=measured,
        drawn=[folder / "predict" / f"{picture.stem}.jpg" for picture in held_back],
        seconds=seconds,
    )
    return DemoOutcome(
        report_page=page,
        training=training,
        exported=exported,
        report=report,
        bench=measured,
        seconds=seconds,
    )


def _scenes(folder: Path, *, train: int, val: int, seed: int) -> Path:
    """The data set, rendered anew unless it stands there from an earlier demonstration."""
    from sanderling.datasets.synthetic import write_scenes

    if folder.exists():
        import shutil

        shutil.rmtree(folder)
    logger.info("1/6 rendering %d scenes", train + val)
    return write_scenes(folder, train=train, val=val, seed=seed, size_hw=_SIZE_HW)


def _write_page(
    folder: Path,
    *,
    checked: CheckResult,
    training: TrainOutcome,
    exported: ExportOutcome,
    report: Report,
    measured: BenchResult,
    drawn: Sequence[Path],
    seconds: float,
) -> Path:
    """One page with every step and what came out of it."""
    from sanderling.reporting.page import Picture, PictureGrid, Section, Text, Tile, Tiles, write_page
    from sanderling.reporting.tables import Column, Table, class_table, metrics_table

    network, whole = measured.timings["network"], measured.timings["end_to_end"]
    tiles = Tiles(
        tiles=(
            Tile(label="AP50", value=f"{100 * (report.metrics['AP50'] or 0):.1f} %", note="held-back scenes"),
            Tile(label="AP", value=f"{100 * (report.metrics['AP'] or 0):.1f} %", note="IoU 0.50 to 0.95"),
            Tile(label="Latency", value=f"{whole.median_ms:.1f} ms", note="JPEG to boxes, 1 thread"),
            Tile(label="Artefact", value=f"{exported.megabytes:.2f} MB", note="ONNX, runs without torch"),
        )
    )
    parity = exported.parity
    steps = Table(
        columns=(Column(name="step"), Column(name="what came out"), Column(name="where")),
        rows=(
            (
                "data check",
                f"{checked.counts['pictures']} scenes, {checked.counts['boxes']} boxes, "
                f"{checked.counts['error']} errors",
                "scenes/",
            ),
            ("train", f"{training.epochs} epochs, the best was {training.best_epoch}", "train/report.html"),
            (
                "export",
                f"boxes within {parity.max_box_difference_px:.2g} px and scores within "
                f"{parity.max_score_difference:.2g} of the model",
                f"export/{exported.path.name}",
            ),
            ("val", f"AP50 {100 * (report.metrics['AP50'] or 0):.1f} % from the artefact, without torch", ""),
            ("predict", f"{len(drawn)} scenes with boxes", "predict/"),
            ("bench", f"network {network.median_ms:.1f} ms, {whole.pictures_per_s:.0f} pictures/s end to end", ""),
        ),
        note=f"All of it took {seconds / 60:.1f} minutes on this machine.",
    )
    pictures = tuple(
        Picture(data=path.read_bytes(), alt=f"detections in {path.stem}", caption=path.stem) for path in drawn
    )
    sections = (
        Section(blocks=(tiles,)),
        Section(title="From pictures to a device", blocks=(steps,)),
        Section(
            title="What the artefact sees",
            blocks=(
                Text(text="Scenes that the training never saw, boxes above a score of 0.25."),
                PictureGrid(pictures=pictures),
            ),
        ),
        Section(title="Scores", blocks=(class_table(report), metrics_table(report))),
    )
    return write_page(
        folder / "report.html",
        title="Sanderling, the demonstration",
        subtitle="fire, smoke, cranes and kites along a rendered power line",
        sections=sections,
    )
