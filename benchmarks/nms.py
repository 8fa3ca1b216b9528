"""What suppression costs: every method of ours against torchvision's batched NMS, on the same boxes in the same run.

    python benchmarks/nms.py --rounds 15 --json nms.json

Boxes crowd around objects as a detector's do, the better scored the closer. Each method keeps all that are left, and
the best hundred only, as a detector does; torchvision keeps all either way. Methods take turns within a round, in one
thread; what is printed are medians of CPU time and, in brackets, of the ratio to torchvision in the same round.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

from sanderling.ops.array.matrix_nms import matrix_nms
from sanderling.ops.array.nms import greedy_nms
from sanderling.ops.array.soft_nms import soft_nms

_SIZE, _OBJECTS, _LOWEST, _IOU, _BEST = 640.0, 60, 0.01, 0.45, 100
_LEAST_S = 0.005
"""One turn repeats a method until it has taken about so long."""


class Candidates(NamedTuple):
    """What a detector gives to suppression."""

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


def candidates(count: int, *, classes: int, seed: int) -> Candidates:
    """Boxes around objects of 20 to 200 px; one in five is taken for another class."""
    random = np.random.default_rng(seed)
    centres, sizes = random.uniform(0, _SIZE, (_OBJECTS, 2)), random.uniform(20, 200, (_OBJECTS, 2))
    own, strength = random.integers(0, classes, _OBJECTS), random.uniform(0.3, 1, _OBJECTS)
    which = random.integers(0, _OBJECTS, count)
    off = random.normal(0, 0.15, (count, 2))
    middle, sides = centres[which] + off * sizes[which], sizes[which] * np.exp(random.normal(0, 0.2, (count, 2)))
    scores = strength[which] * np.exp(-5 * np.linalg.norm(off, axis=1)) * random.uniform(0.5, 1, count)
    labels = np.where(random.random(count) < 0.8, own[which], random.integers(0, classes, count))
    boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1).clip(0, _SIZE)
    return Candidates(boxes.astype(np.float32), scores.clip(_LOWEST * 1.01, 1).astype(np.float32), labels)


def methods(given: Candidates) -> dict[str, Callable[[], int]]:
    """By name, what gives the number of boxes that stay; the first is the peer."""
    boxes, scores, labels = given
    tensors = [torch.from_numpy(part) for part in given]

    def greedy(limit: int | None) -> int:
        apart = boxes + (labels * (float(boxes.max() - boxes.min()) + 1))[:, None]
        return len(greedy_nms(apart, scores, _IOU, limit=limit))

    def soft(limit: int | None, decay: Any) -> int:
        kept, _ = soft_nms(boxes, scores, labels, decay=decay, iou_threshold=_IOU, score_threshold=_LOWEST, limit=limit)
        return len(kept)

    def matrix(limit: int | None, decay: Any) -> int:
        kept, _ = matrix_nms(boxes, scores, labels, decay=decay, score_threshold=_LOWEST, limit=limit)
        return len(kept)

    def peer() -> int:
        return len(torchvision.ops.batched_nms(*tensors, _IOU))

    found: dict[str, Callable[[], int]] = {"torchvision batched_nms": peer}
    for limit, words in ((None, "all"), (_BEST, f"best {_BEST}")):
        found[f"greedy, {words}"] = partial(greedy, limit)
        for decay in ("linear", "gaussian"):
            found[f"Soft {decay}, {words}"] = partial(soft, limit, decay)
            found[f"Matrix {decay}, {words}"] = partial(matrix, limit, decay)
    return found


def measure(given: Candidates, *, rounds: int) -> dict[str, dict[str, float]]:
    """Median CPU time in ms, median ratio to the peer, and boxes left, by method."""
    found = methods(given)
    repeats, left = {}, {}
    for name, method in found.items():
        method()
        started = time.process_time()
        left[name] = method()
        repeats[name] = max(1, round(_LEAST_S / max(time.process_time() - started, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, method in found.items():
            started = time.process_time()
            for _ in range(repeats[name]):
                method()
            times[name].append((time.process_time() - started) * 1e3 / repeats[name])
    peer = next(iter(times.values()))
    return {
        name: {
            "cpu_ms": statistics.median(own),
            "ratio": statistics.median(mine / theirs for mine, theirs in zip(own, peer, strict=True)),
            "left": left[name],
        }
        for name, own in times.items()
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, one row per method, one column per number of boxes and classes."""
    heads = [f"{result['boxes']:,} boxes, {result['classes']} cl." for result in results]
    rows = [f"| CPU ms (ratio) | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for name in results[0]["methods"]:
        cells = [result["methods"][name] for result in results]
        rows.append(f"| {name} | " + " | ".join(f"{cell['cpu_ms']:.2f} ({cell['ratio']:.2f})" for cell in cells) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--classes", type=int, nargs="+", default=[80, 1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for count in arguments.boxes:
        for classes in arguments.classes:
            given = candidates(count, classes=classes, seed=arguments.seed)
            measured = measure(given, rounds=arguments.rounds)
            results.append({"boxes": count, "classes": classes, "rounds": arguments.rounds, "methods": measured})
    print(table(results))
    if arguments.json is not None:
        versions = {"numpy": np.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}
        said = {"machine": platform.processor() or platform.machine(), "versions": versions, "results": results}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
