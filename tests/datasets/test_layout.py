from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.datasets.layout import Layout, canonical_split, is_split_word, pictures_below
from sanderling.errors import UsageError
from tests.support.small_sets import put


def layout(*names: str, own: str | None = None) -> Layout:
    def read() -> None:
        raise AssertionError

    return Layout(data_format="coco", root=Path("/set"), readers=dict.fromkeys(names, read), own_split=own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "own", "wanted", "meant"),
    [
        (("train", "val"), None, None, "val"),
        (("train", "val"), None, "valid", "val"),
        (("train", "val"), "train", None, "train"),
        (("dev",), None, None, "dev"),
        (("train2017", "val2017"), None, "val", "val2017"),
    ],
)
def test_the_split_that_a_wish_means(names: tuple[str, ...], own: str | None, wanted: str | None, meant: str) -> None:
    assert layout(*names, own=own).split_named(wanted) == meant


@pytest.mark.parametrize("names", [("train", "test"), ("val2014", "val2017"), ()])
def test_a_split_that_is_not_there(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"there are: {', '.join(names) or 'none'}"):
        layout(*names).split_named("val")


def test_split_words() -> None:
    assert [canonical_split(name) for name in ("valid", "Validation", "train", "Night")] == [
        "val",
        "val",
        "train",
        "Night",
    ]
    assert all(is_split_word(name) for name in ("train", "val2017", "valid", "test", "dev", "trainval"))
    assert not any(is_split_word(name) for name in ("images", "annotations", "2017"))


def test_pictures_below_are_sorted_and_only_pictures(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a.jpeg", "notes.txt", "b/c/3.webp"):
        put(tmp_path / name, b"")
    found = [path.relative_to(tmp_path).as_posix() for path in pictures_below(tmp_path)]
    assert found == ["a.jpeg", "b/1.jpg", "b/2.PNG", "b/c/3.webp"]
