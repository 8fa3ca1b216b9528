"""The files that a run reads, as digests: by them a study knows whether what it found earlier still holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sanderling.datasets.labels import DataFormat
from sanderling.datasets.locate import open_dataset
from sanderling.recipes.run import Run

_PAIR = (".param", ".bin")


class Inputs:
    """Digests of what runs read; each file and split is read once."""

    def __init__(self) -> None:
        self._splits: dict[tuple[str, str, DataFormat | None], str] = {}
        self._weights: dict[str, str] = {}

    def of(self, run: Run) -> dict[str, str]:
        """By what they are: `train`, `val`, and `weights` where a run starts from a file.

        Raises:
            DataError: the data set cannot be read.
            UsageError: it has no such split.
        """
        digests = {
            name: self._split(run.data.path, split, run.data.data_format)
            for name, split in (("train", run.data.train), ("val", run.data.val))
            if split is not None
        }
        return digests if run.weights is None else {**digests, "weights": self._file(run.weights)}

    def _split(self, path: str, split: str, data_format: DataFormat | None) -> str:
        key = (path, split, data_format)
        if key not in self._splits:
            self._splits[key] = split_digest(Path(path), split=split, data_format=data_format)
        return self._splits[key]

    def _file(self, name: str) -> str:
        if name not in self._weights:
            self._weights[name] = weights_digest(Path(name))
        return self._weights[name]


def split_digest(path: Path, *, split: str, data_format: DataFormat | None = None) -> str:
    """Digest of all labels of a split and of its pictures' names and sizes in bytes; pictures are not opened.

    Raises:
        DataError: the data set cannot be read.
        UsageError: there is no such split.
    """
    dataset = open_dataset(path, split=split, data_format=data_format)
    digest = hashlib.sha256(json.dumps(dataset.class_names).encode())
    arrays = (dataset.sizes_hw, dataset.first_box, dataset.boxes_xyxy, dataset.areas, dataset.labels)
    for array in (*arrays, dataset.crowd, dataset.difficult):
        digest.update(array.tobytes())
    for name in dataset.picture_paths.tolist():
        picture = Path(name)
        # A picture that is missing is a finding of others.
        digest.update(f"{picture.name} {picture.stat().st_size if picture.is_file() else -1}\n".encode())
    return digest.hexdigest()


def weights_digest(path: Path) -> str:
    """Digest of a file of weights, of both where they are a pair; of nothing where there is none.

    What is missing is told by the training that wants it.
    """
    digest = hashlib.sha256()
    pair = [path.with_suffix(suffix) for suffix in _PAIR]
    for file in pair if path in pair else [path]:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()
