"""Peak memory of a fresh process that does nothing but run an artefact.

The child is this module run as a program: it loads the runtime and the artefact, no torch and no command line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sanderling.errors import RunError

_STATUS = Path("/proc/self/status")
_ROUNDS = 3
_SOURCE_ROOT = Path(__file__).resolve().parents[2]


def peak_memory_mb(artefact: Path, *, threads: int, picture: bytes | None) -> float | None:
    """Measure in a process of its own.

    Args:
        artefact: the file.
        threads: threads per picture.
        picture: bytes of a picture file that the child decodes and detects in; None runs the network alone.

    Returns:
        MB (2**20 bytes); None where the system does not tell.

    Raises:
        RunError: the child failed.
    """
    command = [sys.executable, "-m", __name__, str(artefact), str(threads)]
    search_path = os.pathsep.join(filter(None, (str(_SOURCE_ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, input=picture or b"", capture_output=True, env={**os.environ, "PYTHONPATH": search_path}, check=False
    )
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise RunError(f"{artefact}: the process that measures memory ended with {done.returncode}: {last}")
    text = done.stdout.decode().strip()
    return float(text) if text else None


def own_peak_mb() -> float | None:
    """The most memory that this process has held so far, in MB.

    Not `getrusage`: its figure starts from what the parent held.
    """
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM:")), None)


def _run(artefact: Path, threads: int, picture: bytes) -> None:
    from sanderling.runtimes.open import open_artefact

    if picture:
        import cv2

        from sanderling.pictures import decode

        cv2.setNumThreads(threads)
        detector = open_artefact(artefact, threads=threads)
        for _ in range(_ROUNDS):
            detector.detect(decode(picture))
    else:
        detector = open_artefact(artefact, threads=threads)
        ready = detector.ready()
        for _ in range(_ROUNDS):
            detector.infer(ready)


def _main() -> None:
    _run(Path(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read())
    peak = own_peak_mb()
    print("" if peak is None else peak)


if __name__ == "__main__":
    _main()
