"""One probe of `--batch auto`: a run in miniature at some batch, in a process of its own, and what it held at most.

This module is run as a program, so that its peak does not stay with the trainer and being ended by the system for want
of memory can be survived. A request comes in as JSON on standard input; the last line of standard output answers.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import errors
from sanderling.commands.train_plan import TrainWishes
from sanderling.errors import RunError, SanderlingError

if TYPE_CHECKING:
    from sanderling.data.loader import TrainingLoader
    from sanderling.recipes.run import Run
    from sanderling.structures.batch import Batch
    from sanderling.training.loop import Loader

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
_STEPS, _VALIDATED = 3, 4
_REPORT = 100_000_000
"""What scoring a whole split and drawing the report take on top (86 MB measured): they take longer than the rest."""
_NO_MEMORY = (
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
    "can't start new thread",
    "failed to map segment",
    "out of memory",
    "Insufficient memory",
    "MemoryError",
    # A loader that the system ended: it does so for want of memory, as C++ code does.
    "was ended by SIG",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRequest:
    """The run to probe: the words of `train`."""

    run: str
    wishes: TrainWishes
    device: str | None = None
    workers: int | None = None
    threads: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a probe found out.

    Attributes:
        batch: pictures of a batch; fewer than asked for where the data set has fewer.
        step: pictures of an optimiser step of the run as it was planned.
        pictures: of the data set.
        picture_bytes: of one picture of a batch that waits for its turn.
        before: bytes held when everything was built and no step taken.
        peak: the most bytes held. On the processor by the process and its loaders together, pages that they share
            counted once; on a GPU what torch reserved on it.
        addresses: the most bytes of addresses that the process had taken, which `ulimit -v` counts.
        device_free: bytes that were free on the GPU beforehand, None on the processor.
    """

    batch: int
    step: int
    pictures: int
    picture_bytes: int
    before: int
    peak: int
    addresses: int
    device_free: int | None


class DoesNotFitError(Exception):
    """The memory did not suffice; says how that showed."""


def probe(request: ProbeRequest, batch: int) -> Probe:
    """Measure in a process of its own.

    Raises:
        DoesNotFitError: memory ran out.
        SanderlingError: the run cannot be started, as `train` would say.
    """
    search_path = os.pathsep.join(filter(None, (str(_SOURCE_ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"request": dataclasses.asdict(request), "batch": batch}).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": search_path},
        check=False,
    )
    if done.returncode < 0:
        raise DoesNotFitError(f"the process was ended by {signal.Signals(-done.returncode).name}")
    said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    try:
        answer = json.loads((done.stdout.splitlines() or [b""])[-1])
    except ValueError:
        # So little memory that not even the answer could be given.
        if _speaks_of_memory(done.stderr.decode(errors="replace")):
            raise DoesNotFitError(said) from None
        raise RunError(
            f"the probe of --batch auto ended with {done.returncode}: {said}; give a number to train without it"
        ) from None
    if "no_memory" in answer:
        raise DoesNotFitError(answer["no_memory"])
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    return Probe(**answer)


def measured(request: ProbeRequest, batch: int) -> Probe:
    """Measure in this process, once: what it holds at most cannot be taken back."""
    from sanderling.commands.open_detector import require_torch
    from sanderling.commands.train import keep_epoch, training_loader, with_data_sets
    from sanderling.commands.train_plan import on_this_machine, planned
    from sanderling.commands.validate import Validator
    from sanderling.recipes.build import build_training
    from sanderling.recipes.feedback import with_feedback
    from sanderling.training.loop import fit
    from sanderling.training.run_folder import RunFolder
    from sanderling.training.runtime import Runtime

    require_torch("training")
    import torch

    plan = planned(request.run, request.wishes)
    step = plan.batch * plan.loop.accumulate
    plan = on_this_machine(plan, device=request.device, workers=request.workers, threads=request.threads)
    plan, train_set, val_set = with_data_sets(plan)
    plan = _in_miniature(plan, batch)
    some = None if val_set is None else val_set.subset(range(min(_VALIDATED, len(val_set))))
    with (
        tempfile.TemporaryDirectory() as folder,
        Runtime(plan.runtime) as runtime,
        training_loader(plan, train_set) as loader,
    ):
        on_gpu = runtime.device.type == "cuda"
        free = torch.cuda.mem_get_info(runtime.device)[0] if on_gpu else None
        torch.manual_seed(plan.seed)
        training = build_training(plan, runtime, batches=_STEPS, pictures=loader.epoch(0, mosaic=False))
        before = torch.cuda.memory_reserved(runtime.device) if on_gpu else own_memory()["VmRSS"]
        kept = RunFolder(Path(folder) / "run")
        first = _FirstBatches(with_feedback(plan, training, loader, runtime))
        fit(
            training,
            first,
            config=plan.loop,
            runtime=runtime,
            seed=plan.seed,
            validate=None if some is None else Validator(some, runtime),
            keep=lambda state, best: keep_epoch(state, kept, best=best, runtime=runtime),
        )
        own = own_memory()
        # The loader's processes are there until it closes.
        held = own["VmHWM"] + memory_of_children() + _cached(plan, loader) + _REPORT
        peak = torch.cuda.max_memory_reserved(runtime.device) if on_gpu else held
    height, width = plan.model.picture.size_hw
    return Probe(
        batch=first.batch,
        step=step,
        pictures=len(train_set),
        picture_bytes=3 * height * width,
        before=before,
        peak=peak,
        addresses=own["VmPeak"],
        device_free=free,
    )


def own_memory(status: Path = Path("/proc/self/status")) -> Mapping[str, int]:
    """What a process holds and held at most, in bytes: VmRSS, VmHWM, VmPeak, RssShmem."""
    lines = (line.split() for line in status.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words and words[-1] == "kB"}


def memory_of_children(processes: Path = Path("/proc"), parent: int | None = None) -> int:
    """The most bytes that the processes which this one started held, without pages shared with it (the ring)."""
    total = 0
    for status in processes.glob("[0-9]*/status"):
        try:
            text = status.read_text()
            if f"\nPPid:\t{os.getpid() if parent is None else parent}\n" not in text:
                continue
            memory = own_memory(status)
        except OSError:
            continue  # it has ended meanwhile
        total += max(0, memory.get("VmHWM", 0) - memory.get("RssShmem", 0))
    return total


def _in_miniature(plan: Run, batch: int) -> Run:
    """An epoch of single batches, all of the largest size that the run has."""
    loop = dataclasses.replace(plan.loop, epochs=1, accumulate=1, mosaic_off=0, validate_every=1, patience=0)
    model, augment = plan.model, plan.augment
    if augment.sizes is not None:
        height, width = augment.sizes.sizes_hw(model.picture.size_hw).max(axis=0).tolist()
        model = dataclasses.replace(model, picture=dataclasses.replace(model.picture, size_hw=(height, width)))
        augment = dataclasses.replace(augment, sizes=None)
    return dataclasses.replace(plan, batch=batch, loop=loop, model=model, augment=augment)


def _cached(plan: Run, loader: TrainingLoader) -> int:
    """Bytes of decoded pictures that the whole epoch will keep in memory, of which these steps have seen little."""
    in_memory = plan.runtime.cache is not None and plan.runtime.cache.where == "ram"
    return loader.cache_bytes if in_memory else 0


class _FirstBatches:
    """A few batches of a loader as an epoch, from as many of its epochs as that takes."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.batch = 0

    def __len__(self) -> int:
        return _STEPS

    def epoch(self, epoch: int, *, mosaic: bool = True, progress: float = 0.0) -> Iterator[Batch]:
        given = 0
        while given < _STEPS:
            for batch in self._loader.epoch(epoch, mosaic=mosaic, progress=progress):
                self.batch = max(self.batch, len(batch.images))
                yield batch
                given += 1
                if given == _STEPS:
                    return
            epoch += 1


def _speaks_of_memory(text: str) -> bool:
    return any(words in text for words in _NO_MEMORY)


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    values = asked["request"]
    wishes = dict(values.pop("wishes"))
    wishes["assignments"] = tuple(wishes["assignments"])
    try:
        return dataclasses.asdict(measured(ProbeRequest(wishes=TrainWishes(**wishes), **values), asked["batch"]))
    except SanderlingError as error:
        if isinstance(error, RunError) and _speaks_of_memory(str(error)):
            return {"no_memory": str(error)}
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        short = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        if short or type(error).__name__ == "OutOfMemoryError" or _speaks_of_memory(str(error)):
            return {"no_memory": reason}
        traceback.print_exc()
        raise SystemExit(1) from None


if __name__ == "__main__":
    print("\n" + json.dumps(_answer(json.load(sys.stdin))))
