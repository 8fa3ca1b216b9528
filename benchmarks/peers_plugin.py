"""Sanderling beside its peers: the plugin of the peer benchmark scripts (`bench_*.py --plugin peers_plugin.py`).

Every function stands alone and imports what it needs, so a script runs without the packages of the other scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def loaders() -> dict[str, Callable[..., Callable[[], Iterator[int]]]]:
    """Training samples per second, with what the peer's default recipe does: mosaic always, enlargement 0.5 to 1.5,
    shift 0.1, mirror 0.5, and a change of hue, saturation and brightness of every sample (here one colour matrix).
    Each picture is decoded once per epoch, as there; nothing is kept for the next, unless a row says so.
    """

    def ours(*, mosaic: float = 1.0, varied: bool = True, cached: bool = False) -> Callable[..., Any]:
        def make(root: Path, imgsz: int, batch: int, workers: int) -> Callable[[], Iterator[int]]:
            import itertools

            from sanderling.data.augment import AugmentConfig
            from sanderling.data.loader import TrainingLoader
            from sanderling.data.picture_cache import CacheConfig
            from sanderling.datasets.locate import open_dataset
            from sanderling.structures.artefact import PictureRule

            augment = AugmentConfig(
                mosaic=mosaic,
                scale=(0.5, 1.5),
                translate=0.1,
                brightness=0.0,
                contrast=(0.6, 1.4),
                saturation=(0.3, 1.7),
                hue=0.015,
                colour_probability=1.0,
            )
            loader = TrainingLoader(
                open_dataset(Path(root), split="train"),
                picture=PictureRule(size_hw=(imgsz, imgsz), resize="letterbox", pad_value=114),
                augment=augment if varied else AugmentConfig.none(),
                batch=batch,
                seed=0,
                workers=workers,
                drop_last=False,
                cache=CacheConfig() if cached else None,
            )
            epochs = itertools.count()
            return lambda: (len(taken.images) for taken in loader.epoch(next(epochs)))

        return make

    return {
        "sanderling mosaic": ours(),
        "sanderling mosaic, cache=ram": ours(cached=True),
        "sanderling no mosaic": ours(mosaic=0.0),
        "sanderling no augmentation": ours(varied=False),
    }


def evaluators() -> dict[str, Callable[[str, str], tuple[float | None, float | None]]]:
    """From two JSON files to our whole report: COCO's twelve numbers, VOC, false alarms and thresholds per class."""
    from sanderling.datasets.locate import open_dataset
    from sanderling.evaluation.evaluate import evaluate
    from sanderling.evaluation.results_file import read_flat_results

    def ours(truth: str, results: str) -> tuple[float | None, float | None]:
        dataset = open_dataset(Path(truth))
        metrics = evaluate(dataset, read_flat_results(Path(results), dataset)).metrics
        return metrics["AP"], metrics["AP50"]

    return {"sanderling": ours}


def trainers() -> dict[str, Callable[..., list[float]]]:
    """NanoDet-m through our loop as `sanderling train` runs it, with mosaic, and two floors of the same network.

    The floors take ready batches: `bare step` is forward, a mean over the outputs, backward and optimiser step;
    `with losses` has the real objective in place of the mean.
    """

    def loop(precision: str) -> Callable[..., list[float]]:
        def run(root: Path, args: Any, out: str) -> list[float]:
            import json

            from sanderling.commands.train import train

            outcome = train(
                "nanodet-m",
                data=root,
                data_format="yolo",
                imgsz=args.imgsz,
                batch=args.batch,
                workers=args.workers,
                threads=args.threads,
                epochs=2,
                output=Path(out) / "ours",
                assignments=(
                    "augment.mosaic=1.0",
                    "loop.mosaic_off=0",
                    "data.val=null",
                    f"runtime.precision={precision}",
                    "trackers=[]",
                ),
            )
            records = (outcome.folder / "metrics.jsonl").read_text().splitlines()
            return [json.loads(record)["time_s"] for record in records]

        return run

    def bare(with_losses: bool) -> Callable[..., list[float]]:
        def run(root: Path, args: Any, out: str) -> list[float]:
            import dataclasses
            import time

            import torch

            from sanderling.data.loader import TrainingLoader
            from sanderling.datasets.locate import open_dataset
            from sanderling.recipes.build import build_training
            from sanderling.recipes.named import named
            from sanderling.training.runtime import Runtime, RuntimeConfig

            plan = named("nanodet-m", batch=args.batch)
            picture = dataclasses.replace(plan.model.picture, size_hw=(args.imgsz, args.imgsz))
            dataset = open_dataset(root, split="train", data_format="yolo")
            plan = dataclasses.replace(
                plan,
                model=dataclasses.replace(plan.model.with_classes(dataset.class_names), picture=picture),
                ema=None,
                runtime=RuntimeConfig(precision="float32", threads=args.threads).resolved(),
            )
            augment = dataclasses.replace(plan.augment, mosaic=1.0)
            seconds = []
            with (
                Runtime(plan.runtime) as runtime,
                TrainingLoader(dataset, picture=picture, augment=augment, batch=args.batch, seed=0) as loader,
            ):
                batches = list(loader.epoch(0))
                training = build_training(plan, runtime, batches=len(batches))
                training.task.train()
                for _ in range(2):
                    started = time.perf_counter()
                    for batch in batches:
                        if with_losses:
                            loss = torch.stack(list(training.task(batch).values())).sum()
                        else:
                            predictions = training.task.network(batch.images)
                            loss = predictions.class_logits.mean() + predictions.box_logits.mean()
                        loss.backward()
                        training.optimizer.step()
                        training.optimizer.zero_grad()
                    seconds.append(time.perf_counter() - started)
            return seconds

        return run

    return {
        "sanderling nanodet-m": loop("float32"),
        "sanderling nanodet-m bfloat16": loop("bfloat16"),
        "sanderling nanodet-m bare step": bare(with_losses=False),
        "sanderling nanodet-m with losses": bare(with_losses=True),
    }


def predictors(imgsz: int) -> dict[str, Callable[[str], int]]:
    """Exported NanoDet-m through the public call, end to end, and the two parts that nobody can do without.

    Weights are random. The parts are the network alone on a ready tensor, and OpenCV's decoding with a plain letterbox.
    """

    def lazily(make: Callable[[], Callable[[str], int]]) -> Callable[[str], int]:
        made: list[Callable[[str], int]] = []

        def run(path: str) -> int:
            if not made:
                made.append(make())
            return made[0](path)

        return run

    def end_to_end() -> Callable[[str], int]:
        from sanderling import Detector

        detector = Detector(_exported_nanodet(imgsz))
        return lambda path: len(detector.predict(path, conf=0.25, threads=1)[0])

    def network_alone() -> Callable[[str], int]:
        import numpy as np

        from sanderling.runtimes.open import open_artefact

        detector = open_artefact(_exported_nanodet(imgsz), threads=1)
        ready = np.random.default_rng(0).uniform(0, 255, (1, 3, imgsz, imgsz)).astype(np.float32)
        return lambda _: len(detector.infer(ready)[0][0])

    def decode_letterbox() -> Callable[[str], int]:
        import cv2
        import numpy as np

        def run(path: str) -> int:
            picture = cv2.imread(path)
            height, width = picture.shape[:2]
            scale = min(imgsz / height, imgsz / width)
            new_height, new_width = round(height * scale), round(width * scale)
            canvas = np.zeros((imgsz, imgsz, 3), np.uint8)
            top, left = (imgsz - new_height) // 2, (imgsz - new_width) // 2
            canvas[top : top + new_height, left : left + new_width] = cv2.resize(picture, (new_width, new_height))
            return len(canvas)

        return run

    return {
        "sanderling nanodet-m": lazily(end_to_end),
        "sanderling nanodet-m, network alone": lazily(network_alone),
        "sanderling: cv2 decode + letterbox alone": lazily(decode_letterbox),
    }


def onnx_models(imgsz: int) -> dict[str, tuple[Any, Any, dict[str, str]]]:
    """NanoDet-m with its decoding in the graph, as it is exported; random weights."""
    import torch

    from sanderling.export.graph import NativeGraph
    from sanderling.models import zoo

    network = zoo.config("nanodet-m").build().eval()
    return {"sanderling nanodet-m": (NativeGraph(network), torch.zeros(1, 3, imgsz, imgsz), {"note": "decoded boxes"})}


def _exported_nanodet(imgsz: int) -> Path:
    """Exported once per size and state of the code, by a process of its own: torch would weigh on what is measured."""
    import subprocess
    import sys
    import tempfile

    import sanderling

    source = Path(sanderling.__file__).parent
    state = max(file.stat().st_mtime_ns for part in ("export", "models") for file in (source / part).rglob("*.py"))
    folder = Path(tempfile.gettempdir()) / "sanderling-peers" / str(state)
    path = folder / f"nanodet-m-{imgsz}.onnx"
    if not path.exists():
        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from sanderling.commands.export import export\n"
            "from sanderling.models import zoo\n"
            "from sanderling.models.weights.safetensors_file import save_network\n"
            "weights = Path(sys.argv[1]).with_suffix('.safetensors')\n"
            "save_network(zoo.config('nanodet-m').build(), weights)\n"
            "export(weights, imgsz=int(sys.argv[2]), output=sys.argv[1])\n"
        )
        subprocess.run([sys.executable, "-c", code, str(path), str(imgsz)], check=True)
    return path
