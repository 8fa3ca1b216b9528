"""What Ultralytics' nano reaches on a data set from random weights in a given time, scored by pycocotools.

    python benchmarks/bccd_peer.py DATA_YAML INSTANCES_VAL_JSON --minutes 15 --threads 2 --imgsz 320 --seed 0

Needs `pip install ultralytics pycocotools`; everything but time, size and seed is its default. Our side of the
comparison is `sanderling train` for the same time and `sanderling val ... --predictions FILE`, scored by `score`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path


def score(instances: Path, results: list[dict[str, object]]) -> dict[str, float]:
    """AP and AP50 of COCO results by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(instances))
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"AP": float(evaluation.stats[0]), "AP50": float(evaluation.stats[1])}


def ultralytics_results(weights: Path, instances: Path, pictures: Path, imgsz: int) -> list[dict[str, object]]:
    """Detections of a trained peer in COCO's results form, with the thresholds of its own validation."""
    from ultralytics import YOLO

    document = json.loads(instances.read_text())
    number = {entry["name"]: entry["id"] for entry in document["categories"]}
    model = YOLO(weights)
    results: list[dict[str, object]] = []
    for image in document["images"]:
        found = model.predict(
            pictures / image["file_name"], imgsz=imgsz, conf=0.001, iou=0.7, max_det=300, device="cpu", verbose=False
        )[0].boxes
        for box, confidence, label in zip(found.xyxy.tolist(), found.conf.tolist(), found.cls.tolist(), strict=True):
            left, top, right, bottom = box
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": number[model.names[int(label)]],
                    "bbox": [left, top, right - left, bottom - top],
                    "score": confidence,
                }
            )
    return results


def main() -> None:
    """Train, score, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("instances", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder of the validation pictures")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="yolo11n.yaml")
    choice = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(choice.threads)
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(choice.threads)
    pictures = choice.pictures or choice.data.parent / "images" / "val"
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        model = YOLO(choice.model, task="detect")
        model.train(
            data=str(choice.data),
            imgsz=choice.imgsz,
            time=choice.minutes / 60,
            device="cpu",
            seed=choice.seed,
            project=folder,
            name="peer",
            pretrained=False,
            plots=False,
        )
        seconds = time.perf_counter() - started
        run = Path(folder) / "peer"
        results = ultralytics_results(run / "weights" / "best.pt", choice.instances, pictures, choice.imgsz)
        epochs = len((run / "results.csv").read_text().splitlines()) - 1
    print(json.dumps({"peer": choice.model, "seconds": seconds, "epochs": epochs, **score(choice.instances, results)}))


if __name__ == "__main__":
    main()
