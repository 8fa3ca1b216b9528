"""Videos in and out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import DataError, MissingDependencyError
from sanderling.streams.video import VideoWriter, read_video, without_credentials
from tests.support.shared import shared_path


def _write(path: Path, *, frames: int, size_hw: tuple[int, int] = (47, 63)) -> Path:
    writer = VideoWriter(path, size_hw=size_hw, frames_per_second=10)
    for number in range(frames):
        image = np.full((*size_hw, 3), 30, np.uint8)
        image[:, : 6 * number] = 220
        writer.write(image)
    writer.close()
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = _write(tmp_path / "small.mp4", frames=7)
    frames = list(read_video(str(path)))
    assert len(frames) == 7
    assert all(rate == 10 for _, rate in frames)
    # Odd sides have grown by a pixel.
    assert {image.shape for image, _ in frames} == {(48, 64, 3)}
    # Every frame is brighter than the one before: the bar grows.
    means = [float(image.mean()) for image, _ in frames]
    assert means == sorted(means)
    assert means[-1] > means[0] + 60


def test_a_video_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "v.mp4", size_hw=(48, 64), frames_per_second=None)
    writer.write(np.zeros((48, 64, 3), np.uint8))
    assert not (tmp_path / "v.mp4").exists()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
    assert next(iter(read_video(str(tmp_path / "v.mp4"))))[1] == 25


def test_what_is_no_video_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video at all")
    for name in ("v.mp4", "absent.mp4"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read as a video"):
            list(read_video(str(tmp_path / name)))


def test_the_password_of_a_camera_is_told_to_nobody() -> None:
    with pytest.raises(DataError, match=r"^rtsp://127\.0\.0\.1:9/main: cannot be read"):
        list(read_video("rtsp://viewer:secret@127.0.0.1:9/main"))
    assert without_credentials("rtsp://viewer:p@ss@10.0.0.7/a@b") == "rtsp://10.0.0.7/a@b"
    assert without_credentials("shots/a@b.mp4") == "shots/a@b.mp4"


def test_a_video_that_is_cut_off_is_a_data_error(tmp_path: Path) -> None:
    path = _write(tmp_path / "v.mp4", frames=12)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match="cannot be read as a video"):
        list(read_video(str(path)))


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sanderling\[video\]'"):
        list(read_video("v.mp4"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bottle-detection.mp4", "car-detection.mp4", "vtest_first250.avi"])
def test_real_videos_are_read_whole(name: str) -> None:
    path = shared_path(f"videos/{name}")
    shapes, count, rates = set(), 0, set()
    for image, rate in read_video(str(path)):
        shapes.add(image.shape)
        rates.add(rate)
        count += 1
    assert count >= 250
    assert len(shapes) == len(rates) == 1
    assert 5 <= (rates.pop() or 0) <= 60
