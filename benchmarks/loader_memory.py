"""Does the loader's memory stay flat? Resident memory after every epoch of many small pictures, workers included.

    python benchmarks/loader_memory.py [--pictures 5000] [--epochs 20] [--workers 0] [--cache ram|disk]

Pictures of noise are written to a temporary folder. Printed is what this process and its children hold after each
epoch, in MB: their own memory and what they share, not the code mapped from files, which other processes may share.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.picture_cache import CacheConfig
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.locate import open_dataset
from sanderling.structures.artefact import PictureRule

SIZE = 96


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", choices=["ram", "disk"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = _pictures(Path(folder), chosen.pictures)
        loader = TrainingLoader(
            dataset,
            picture=PictureRule(size_hw=(SIZE, SIZE)),
            augment=AugmentConfig(mosaic=0.5),
            batch=32,
            seed=0,
            workers=chosen.workers,
            cache=CacheConfig(where=chosen.cache) if chosen.cache else None,
        )
        with loader:
            for epoch in range(chosen.epochs):
                samples = sum(len(batch.images) for batch in loader.epoch(epoch))
                print(f"epoch {epoch + 1:3d}  {samples} samples  {_resident_mb():.1f} MB", flush=True)


def _pictures(folder: Path, count: int) -> Dataset:
    """Small JPEGs of noise with a few boxes each, as a COCO data set."""
    rng = np.random.default_rng(0)
    (folder / "train").mkdir()
    images, boxes = [], []
    for picture in range(count):
        name = f"{picture:05d}.jpg"
        cv2.imwrite(str(folder / "train" / name), rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
        images.append({"id": picture, "file_name": name, "width": SIZE, "height": SIZE})
        for _ in range(int(rng.integers(0, 8))):
            left, top = rng.integers(0, SIZE - 20, 2).tolist()
            box = {"bbox": [left, top, 18, 18], "area": 324, "iscrowd": 0}
            boxes.append({"id": len(boxes), "image_id": picture, "category_id": 1, **box})
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "train.json").write_text(json.dumps(document))
    return open_dataset(folder, split="train")


def _resident_mb() -> float:
    """Of this process and its children; pages that they share are divided among them."""
    processes = [Path("/proc/self"), *(Path("/proc") / child for child in _children())]
    total = 0
    for process in processes:
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1])
    return total / 1024


def _children() -> list[str]:
    return Path("/proc/thread-self/children").read_text().split()


if __name__ == "__main__":
    main()
