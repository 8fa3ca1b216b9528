"""Detectors trained on the same data for the same time, or for the same epochs: what each learns, and how fast it is.

    python benchmarks/equal_training.py DATA -o FOLDER --minutes 5 --threads 2 --imgsz 224 families
    python benchmarks/equal_training.py DATA -o FOLDER --epochs 20 --seeds 3 --imgsz 224 rfcr prn csp

Names of the zoo, of `VARIANTS` or of `GROUPS`. With `--minutes` each is timed over a few epochs first; then the whole
training gets as many epochs as fit. The recipe is the default one; its schedule ends with the last epoch. Every run
leaves a JSON file in FOLDER and is not repeated; the table is written from these files, so that a long series can be
stopped and started again. Files of other settings or other data in FOLDER are refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sanderling import config as configs
from sanderling.commands.bench import bench
from sanderling.commands.export import export
from sanderling.commands.models import show_model
from sanderling.models import zoo
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from sanderling.models.zoo.yolor import yolor_csp_debug, yolor_v3_debug
from sanderling.models.zoo.yoloret import yoloret_mobilenetv2
from sanderling.recipes.fine_tune import fine_tune
from sanderling.recipes.run import DataChoice, Run
from sanderling.reporting.tables import Column, Table
from sanderling.studies.ablation_report import markdown
from sanderling.studies.equal_time import TIMED_EPOCHS, epochs_that_fit, validate_every
from sanderling.studies.inputs import split_digest
from sanderling.studies.results import write_json
from sanderling.studies.summary import Figure

_VOC_WIDTH = 75
"""What `neck.width: classes` is for Pascal VOC's 20 classes, on which the paper makes its comparison."""


def yoloret(class_names: Sequence[str], *, truncated: bool, rfcr: bool) -> DetectorConfig:
    """YOLO-ReT x0.75 with or without its two ideas."""
    neck = YoloretNeckConfig(width=_VOC_WIDTH)
    return yoloret_mobilenetv2(class_names, width=0.75, truncated=truncated, rfcr=rfcr, neck=neck)


VARIANTS = {
    "yoloret-0.75-complete": partial(yoloret, truncated=False, rfcr=False),
    "yoloret-0.75-complete-rfcr": partial(yoloret, truncated=False, rfcr=True),
    "yoloret-0.75-truncated": partial(yoloret, truncated=True, rfcr=False),
    "yoloret-0.75-truncated-rfcr": partial(yoloret, truncated=True, rfcr=True),
    # Under the names of the zoo, by which their objective is found.
    "residual": partial(yolor_v3_debug, name="yolor-prn-debug"),
    "partial-residual": partial(yolor_v3_debug, name="yolor-prn-debug", residual_share=0.5),
    "darknet-stages": partial(yolor_csp_debug, name="yolor-csp-debug", stages="residual"),
    "csp-stages": partial(yolor_csp_debug, name="yolor-csp-debug", stages="csp"),
}
"""Detectors that are compared and have no name in the zoo."""

GROUPS: dict[str, tuple[str, ...]] = {
    "families": tuple(entry.name for entry in zoo.entries() if entry.name.endswith("-debug")),
    "rfcr": tuple(name for name in VARIANTS if name.startswith("yoloret")),
    "prn": ("residual", "partial-residual"),
    "csp": ("darknet-stages", "csp-stages"),
}
"""What is compared with what."""


def run_of(name: str, arguments: argparse.Namespace, *, epochs: int) -> Run:
    """The default recipe for a detector, as a run."""
    make = VARIANTS.get(name)
    config = zoo.config(name) if make is None else make(COCO_CLASSES)
    run = fine_tune(config.with_picture(size_hw=(arguments.imgsz, arguments.imgsz)), epochs=epochs)
    return dataclasses.replace(
        run,
        data=DataChoice(path=str(arguments.data.absolute())),
        loop=dataclasses.replace(run.loop, validate_every=validate_every(epochs)),
        trackers=(),
        seed=arguments.seed,
    )


def train(name: str, folder: Path, arguments: argparse.Namespace, *, epochs: int) -> tuple[float, list[Any]]:
    """Train in a process of its own; its wall time in seconds and its history, one object per epoch."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    plan = folder.parent / f"{folder.name}.yaml"
    plan.write_text(configs.dump(run_of(name, arguments, epochs=epochs)), encoding="utf-8")
    command = [sys.executable, "-m", "sanderling", "train", str(plan), "-o", str(folder), "--overwrite"]
    command += ["--threads", str(arguments.threads), "--workers", str(arguments.workers)]
    started = time.perf_counter()
    with (folder.parent / f"{folder.name}.log").open("w", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    seconds = time.perf_counter() - started
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, [json.loads(line) for line in lines]


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What all runs of a table have to have in common."""
    chosen = {key: getattr(arguments, key) for key in ("minutes", "epochs", "threads", "workers", "imgsz")}
    data = {split: split_digest(arguments.data, split=split) for split in ("train", "val")}
    return {**chosen, "data": str(arguments.data.absolute()), **data}


def read(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """A run that was measured earlier, with the same settings."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    there = found.get("settings", {})
    for key, theirs, ours in configs.differences(there, settings):
        raise SystemExit(f"{file}: was measured with {key} = {theirs!r}, not {ours!r}; name a new folder with -o")
    return found


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one detector and bench its export."""
    folder = arguments.output / f"{name}-seed{arguments.seed}"
    epochs = arguments.epochs or timed_epochs(name, folder, arguments)
    seconds, history = train(name, folder, arguments, epochs=epochs)
    validated = [record["metrics"] for record in history if record["metrics"]]
    best = max(validated, key=lambda metrics: metrics["AP"] or 0)
    exported = export(folder, output=folder / "exported", imgsz=arguments.imgsz)
    latency = bench([exported.path], threads=1)[0]
    return {
        "name": name,
        "seed": arguments.seed,
        "minutes": seconds / 60,
        "epochs": len(history),
        "pictures_per_s": statistics.median(record["pictures_per_s"] for record in history),
        "AP50": best["AP50"],
        "AP": best["AP"],
        "parameters": show_model(str(folder))["parameters"],
        "macs": show_model(str(folder))["macs"],
        "latency": latency.to_plain(),
    }


def timed_epochs(name: str, folder: Path, arguments: argparse.Namespace) -> int:
    """Epochs that a training of the given minutes has, start and validations included."""
    seconds, timed = train(name, folder, arguments, epochs=TIMED_EPOCHS)
    return epochs_that_fit(minutes=arguments.minutes, seconds=seconds, epoch_s=[record["time_s"] for record in timed])


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, one row per detector: means over seeds and the range of AP50."""
    rows = []
    for name in dict.fromkeys(result["name"] for result in results):
        runs = [result for result in results if result["name"] == name]
        average = {
            key: statistics.mean(run[key] for run in runs)
            for key in ("minutes", "epochs", "pictures_per_s", "parameters", "AP50", "AP")
        }
        rows.append(
            (
                name,
                len(runs),
                average["minutes"],
                average["epochs"],
                average["pictures_per_s"],
                average["parameters"],
                statistics.median(run["latency"]["timings"]["network"]["cpu_ms"] for run in runs),
                average["AP50"],
                ", ".join(f"{100 * run['AP50']:.1f}" for run in runs),
                Figure.of([run["AP50"] for run in runs]).spread,
                average["AP"],
            )
        )
    columns = (
        Column(name="detector"),
        Column(name="runs", kind="whole"),
        Column(name="minutes", kind="number"),
        Column(name="epochs", kind="whole"),
        Column(name="pictures/s", kind="whole"),
        Column(name="parameters", kind="whole"),
        Column(name="CPU ms", kind="number", digits=2),
        Column(name="AP50", kind="percent"),
        Column(name="of each seed"),
        Column(name="spread", kind="percent"),
        Column(name="AP", kind="percent"),
    )
    return markdown(Table(columns=columns, rows=tuple(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"of the zoo, or a group: {', '.join(GROUPS)}")
    parser.add_argument("-o", "--output", type=Path, required=True)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="wall time of each training, start and validations included")
    length.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--imgsz", type=int, default=224)
    arguments = parser.parse_args()
    names = [name for given in arguments.names for name in GROUPS.get(given, (given,))]
    settings = settings_of(arguments)
    wanted = {
        arguments.output / f"{name}-seed{seed}.json": (name, seed) for seed in range(arguments.seeds) for name in names
    }
    results = {file: read(file, settings) for file in wanted if file.is_file()}
    for file, (name, seed) in wanted.items():
        if file not in results:
            arguments.seed = seed
            results[file] = {**measure(name, arguments), "settings": settings}
            write_json(file, results[file])
            print(json.dumps(results[file]), flush=True)
    print(table([results[file] for file in wanted]), end="")


if __name__ == "__main__":
    main()
