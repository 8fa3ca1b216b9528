from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.datasets.locate import open_dataset
from sanderling.datasets.new_folder import file_names, link_or_copy, new_folder
from sanderling.errors import UsageError
from tests.support.small_sets import coco_document, put, put_coco


def test_appears_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "out") as folder:
        put(folder / "a.txt", "a")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "a.txt").read_text() == "a"
    assert (tmp_path / "deep" / "out").stat().st_mode & 0o500 == 0o500
    assert len(list((tmp_path / "deep").iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_leaves_nothing_when_it_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def write() -> None:
        with new_folder(tmp_path / "out") as folder:
            put(folder / "a.txt", "a")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


def test_refuses_what_exists_even_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already"), new_folder(tmp_path / "out"):
        pass


def test_links_the_picture_that_a_link_means(tmp_path: Path) -> None:
    picture = put(tmp_path / "a.jpg", b"pixels")
    (tmp_path / "link.jpg").symlink_to(picture)
    link_or_copy(tmp_path / "link.jpg", tmp_path / "new" / "b.jpg")
    assert (tmp_path / "new" / "b.jpg").read_bytes() == b"pixels"
    assert not (tmp_path / "new" / "b.jpg").is_symlink()
    with pytest.raises(OSError, match="nowhere"):
        link_or_copy(tmp_path / "nowhere.jpg", tmp_path / "c.jpg")


def test_copies_where_links_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    link_or_copy(put(tmp_path / "a.jpg", b"pixels"), tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes() == b"pixels"


def test_no_two_pictures_share_a_stem(tmp_path: Path) -> None:
    written = ["x/1.jpg", "y/1.jpg", "y/1.png", "y/y_1.jpg", "A.jpg", "a.JPG", "picture"]
    put_coco(tmp_path, "val", coco_document({name: [] for name in written}))
    names = file_names(open_dataset(tmp_path))
    stems = [Path(name).stem.casefold() for name in names]
    assert len(set(stems)) == len(written)
    assert names[0] == "1.jpg"
    assert names[-1] == "picture.jpg"
