"""Recipes by name: a model's name means the default recipe, `MODEL-published` the authors' own; and the ladder's."""

from __future__ import annotations

from collections.abc import Callable

from sanderling.errors import UsageError, nearest
from sanderling.models import zoo
from sanderling.models.network import DetectorConfig
from sanderling.recipes.fine_tune import fine_tune
from sanderling.recipes.mobiledet import PUBLISHED as MOBILEDET
from sanderling.recipes.mobiledet import mobiledet_published
from sanderling.recipes.nanodet import PUBLISHED as NANODET
from sanderling.recipes.nanodet import PUBLISHED_PLUS as NANODET_PLUS
from sanderling.recipes.nanodet import nanodet_plus_published, nanodet_published
from sanderling.recipes.ppyolo import PUBLISHED as PPYOLO
from sanderling.recipes.ppyolo import ppyolo_published
from sanderling.recipes.ppyolo_ladder import NAME as PPYOLO_SMALL
from sanderling.recipes.ppyolo_ladder import ppyolo_ladder
from sanderling.recipes.run import Run
from sanderling.recipes.yoloret import PUBLISHED as YOLORET
from sanderling.recipes.yoloret import yoloret_published
from sanderling.recipes.yolov3 import PUBLISHED as YOLOV3
from sanderling.recipes.yolov3 import yolov3_published

_PUBLISHED: dict[str, Callable[..., Run]] = {
    **dict.fromkeys(MOBILEDET, mobiledet_published),
    **dict.fromkeys(NANODET, nanodet_published),
    **dict.fromkeys(NANODET_PLUS, nanodet_plus_published),
    **dict.fromkeys(PPYOLO, ppyolo_published),
    **dict.fromkeys(YOLORET, yoloret_published),
    **dict.fromkeys(YOLOV3, yolov3_published),
}
_SUFFIX = "-published"


def names() -> list[str]:
    """All names that `named` knows."""
    return [*zoo.names(), *recipes()]


def recipes() -> list[str]:
    """Those that are no model's of the zoo: the authors' own recipes, and that of the ladder."""
    return [*(model + _SUFFIX for model in _PUBLISHED), PPYOLO_SMALL]


def about(recipe: str) -> str:
    """What one of `recipes` is, in a line: what its function says of itself.

    >>> about("ppyolo-small")
    "Step A of PP-YOLO's table at a size for a processor; `ablate --ladder ppyolo` adds the others."
    """
    make = ppyolo_ladder if recipe == PPYOLO_SMALL else _PUBLISHED[recipe.removesuffix(_SUFFIX)]
    return (make.__doc__ or "").partition("\n")[0]


def named(name: str, *, batch: int | None = None, epochs: int | None = None, from_scratch: bool = True) -> Run:
    """Make a run by name, for COCO's classes and without data.

    Args:
        name: a model of the zoo, `MODEL-published`, or `ppyolo-small`, with which PP-YOLO's ladder begins.
        batch: pictures of a batch; the recipe's own without it, and the learning rate follows.
        epochs: of the whole training; the recipe's own without it, and the schedule follows.
        from_scratch: no weights are given to start from; the published recipes are the same either way.

    Raises:
        UsageError: no such name; the nearest is suggested. Or a number below 1.

    >>> named("nanodet-m-published").optimizer.lr
    0.14
    """
    if name not in names():
        raise UsageError(f"no recipe or model is named {name!r}; {nearest(name, names())}; see: sanderling models")
    wishes = {key: value for key, value in (("batch", batch), ("epochs", epochs)) if value is not None}
    for key, value in wishes.items():
        if value < 1:
            raise UsageError(f"{key} = {value}: at least 1 is expected")
    if name == PPYOLO_SMALL:
        return ppyolo_ladder(**wishes)
    model = name.removesuffix(_SUFFIX)
    config: DetectorConfig = zoo.config(model)
    if name.endswith(_SUFFIX):
        return _PUBLISHED[model](config, **wishes)
    return fine_tune(config, **wishes, from_scratch=from_scratch)
