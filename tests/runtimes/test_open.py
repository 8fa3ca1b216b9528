"""Opening artefacts by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import ModelError
from sanderling.models.predictor import TorchDetector
from sanderling.runtimes.open import default_threads, open_artefact
from sanderling.structures.artefact import PostprocessRule, sidecar_path
from tests.support.artefacts import pictures, tiny_artefact, tiny_network


@pytest.mark.parametrize("size_hw", [(47, 90), (150, 64)])
def test_an_opened_artefact_finds_what_its_model_finds(size_hw: tuple[int, int]) -> None:
    rule = PostprocessRule(score=0.4)
    picture = pictures(1, size_hw=size_hw)[0]
    opened = open_artefact(tiny_artefact(), threads=1)
    found = opened.with_rules(picture=opened.picture, postprocess=rule).detect(picture)
    expected = TorchDetector(tiny_network(), postprocess=rule)([picture])[0]
    assert len(found) == len(expected) > 5
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.05)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_the_sidecar_inside_is_enough(tmp_path: Path) -> None:
    alone = Path(shutil.copy(tiny_artefact(), tmp_path / "alone.onnx"))
    assert open_artefact(alone, threads=1).artefact == open_artefact(tiny_artefact(), threads=1).artefact


def test_the_sidecar_of_another_engine_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_artefact(), tmp_path / "m.onnx"))
    text = sidecar_path(tiny_artefact()).read_text()
    sidecar_path(path).write_text(text.replace('"engine": "onnx"', '"engine": "ncnn"'))
    with pytest.raises(ModelError, match="its sidecar is of the engine 'ncnn'"):
        open_artefact(path)


def test_only_known_artefacts_are_opened(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"m\.pt: is no artefact that can be run; known: \.onnx"):
        open_artefact(tmp_path / "m.pt")
    with pytest.raises(ModelError, match="no such artefact"):
        open_artefact(tmp_path / "absent.onnx")


def test_default_threads_are_at_most_four() -> None:
    assert 1 <= default_threads() <= 4
