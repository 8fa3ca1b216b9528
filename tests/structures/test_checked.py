"""Plain values into dataclasses, beside `config.parse`, which must agree on everything that both take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from sanderling import config
from sanderling.errors import UsageError
from sanderling.structures.artefact import Artefact, Parity, PictureRule, PostprocessRule
from sanderling.structures.checked import build


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    """A nested part."""

    share: Annotated[float, Gt(0), Lt(1)] = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    """One field of every kind."""

    name: str
    pair: tuple[Annotated[int, Ge(0), Le(9)], str]
    words: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"
    sure: bool = False
    inner: Inner = Inner()
    maybe: Inner | None = None


def test_values_become_what_the_hints_say() -> None:
    plain = {"name": "n", "pair": [3, "x"], "words": ["p", "q"], "inner": {"share": 0.25}, "maybe": {}, "sure": True}
    built = build(Outer, plain, source="here")
    assert built == Outer(name="n", pair=(3, "x"), words=("p", "q"), inner=Inner(share=0.25), maybe=Inner(), sure=True)
    assert built == config.parse(Outer, plain, source="here")
    assert build(Outer, {"name": "n", "pair": (0, ""), "maybe": None}, source="here").maybe is None


def test_a_whole_number_is_a_number() -> None:
    assert isinstance(build(PostprocessRule, {"score": 1}, source="here").score, float)


_GOOD: dict[str, Any] = {"name": "n", "pair": [3, "x"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": 3}, "here: name = 3: text is expected"),
        ({"pair": [3]}, r"here: pair = \[3\]: 2 values are expected"),
        ({"pair": "3x"}, "here: pair = '3x': a list is expected"),
        ({"pair": [3.5, "x"]}, r"here: pair\.0 = 3\.5: a whole number is expected"),
        ({"pair": [-1, "x"]}, r"here: pair\.0 = -1: at least 0 is expected"),
        ({"pair": [10, "x"]}, r"here: pair\.0 = 10: at most 9 is expected"),
        ({"words": ["p", 4]}, r"here: words\.1 = 4: text is expected"),
        ({"kind": "c"}, "here: kind = 'c': one of 'a', 'b' is expected"),
        ({"sure": "maybe"}, "here: sure = 'maybe': true or false is expected"),
        ({"inner": {"share": 0}}, r"here: inner\.share = 0\.0: greater than 0 is expected"),
        ({"inner": {"share": 1.0}}, r"here: inner\.share = 1\.0: less than 1 is expected"),
        ({"inner": {"share": float("nan")}}, r"here: inner\.share = nan: greater than 0 is expected"),
        ({"maybe": {"shar": 0.5}}, r"here: unknown key 'maybe\.shar'; did you mean 'share'"),
        ({"inner": None}, "here: inner = None: the keys of Inner are expected"),
        ({"nmae": "n"}, "here: unknown key 'nmae'; did you mean 'name'"),
    ],
)
def test_what_does_not_fit_is_refused_by_both(changes: dict[str, Any], words: str) -> None:
    plain = {**_GOOD, **changes}
    with pytest.raises(UsageError, match=words):
        build(Outer, plain, source="here")
    with pytest.raises(UsageError, match="here"):
        config.parse(Outer, plain, source="here")


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(UsageError, match=r"here: pair\.0 = True: a whole number is expected"):
        build(Outer, {"name": "n", "pair": [True, "x"]}, source="here")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match="here: the key 'pair' is missing"):
        build(Outer, {"name": "n"}, source="here")
    with pytest.raises(UsageError, match=r"here: value = \[\]: the keys of Outer are expected"):
        build(Outer, [], source="here")


def test_a_whole_sidecar_is_read_as_config_reads_it() -> None:
    artefact = Artefact(
        model="m",
        class_names=("fire", "smoke"),
        picture=PictureRule(size_hw=(64, 96), pad_value=114),
        postprocess=PostprocessRule(multi_label=False),
        layout="yolo",
        parity=Parity(
            pictures=1,
            points=2,
            max_box_difference_px=0.0,
            max_score_difference=1e-6,
            detections=3,
            detections_equal=True,
        ),
    )
    plain = config.plain(artefact)
    assert build(Artefact, plain, source="s") == config.parse(Artefact, plain, source="s") == artefact
