"""The verbs of `sanderling models`: list the zoo and the recipes, show one model by stage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.open_detector import find_weights, require_torch
from sanderling.commands.train_plan import RUN_SUFFIXES
from sanderling.commands.zoo_listing import read_listing
from sanderling.errors import ModelError, UsageError, nearest

if TYPE_CHECKING:
    from sanderling.analysis.cost import Cost
    from sanderling.models.network import DetectorConfig


def list_models() -> list[dict[str, Any]]:
    """The zoo, one object per model, counted as published and at the model's own input size; needs no torch.

    Each has `name, family, input` (height and width), `classes` (that the counts are for), `parameters`,
    `unused_parameters` (of these, carried as published and never used), `macs` (multiply-adds), `published` (an object
    with `ap, ap50, parameters, macs` and the steps they were printed in, or None), `published_source`, `note` and
    `pretrained` (where weights are known: `imagenet` for the backbone, `coco` for the detector).

    >>> [model["name"] for model in list_models()][0]
    'nanodet-m'
    """
    return read_listing()


def show_model(model: str) -> dict[str, Any]:
    """One model by stage, with the source of each part.

    Args:
        model: as `config_of` takes it.

    Returns:
        What `list_models` says of it, counted for its own classes; then `parts` (backbone, neck and head, each with
        `kind` and `source`), `stages` (each with `name, parameters, macs, outputs`) and `config`.

    Raises:
        UsageError: there is no such name or file.
        ModelError: the file is no weights file of ours.
        MissingDependencyError: torch is not installed.
    """
    require_torch("looking at models")
    from sanderling import config as configs
    from sanderling.analysis.cost import measure_cost

    config = config_of(model)
    cost = measure_cost(config)
    return {
        **_describe(config, cost),
        "parts": {
            part: {"kind": chosen.kind, "source": _source(chosen)}
            for part, chosen in (("backbone", config.backbone), ("neck", config.neck), ("head", config.head))
        },
        "stages": [configs.plain(stage) for stage in cost.stages],
        "config": configs.plain(config),
    }


def list_recipes() -> list[dict[str, Any]]:
    """The recipes that have a name of their own; every model's name is one too, the default recipe for it.

    Each has `name`, `model` (that it trains), `input` (height and width), `epochs`, `batch` and `about`.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    require_torch("listing recipes")
    from sanderling.recipes.named import about, named, recipes

    runs = {name: named(name) for name in recipes()}
    return [
        {
            "name": name,
            "model": run.model.name,
            "input": list(run.model.picture.size_hw),
            "epochs": run.loop.epochs,
            "batch": run.batch,
            "about": about(name),
        }
        for name, run in runs.items()
    ]


def config_of(model: str) -> DetectorConfig:
    """The detector that a user names; needs torch.

    Args:
        model: a name of the zoo or of a recipe, a `run.yaml`, a run folder (whatever it has come to), or a weights file
            (`.safetensors`).

    Raises:
        UsageError: there is no such name, or the `run.yaml` is no training's.
        ModelError: there is no such file, or it is no weights file of ours.
    """
    from sanderling.models.weights.safetensors_file import read_config
    from sanderling.recipes.named import named, names
    from sanderling.recipes.run import read_run

    if model in names():
        return named(model).model
    path = Path(model)
    if path.suffix in RUN_SUFFIXES:
        return read_run(path).model
    try:
        weights = find_weights(model)
    except ModelError as error:
        if (path / "run.yaml").is_file():
            return read_run(path / "run.yaml").model
        if "/" in model or "." in model:
            raise
        raise UsageError(f"no model is named {model!r}; {nearest(model, names())}") from error
    return read_config(weights)


def _describe(config: DetectorConfig, cost: Cost) -> dict[str, Any]:
    listed = next((model for model in read_listing() if model["name"] == config.name), {})
    return {
        "name": config.name,
        "family": listed.get("family"),
        "input": list(config.picture.size_hw),
        "classes": len(config.class_names),
        "parameters": cost.parameters,
        "macs": cost.macs,
        **{key: listed.get(key) for key in ("published", "published_source", "note", "pretrained")},
    }


def _source(part: object) -> str:
    """What the file of a part says of itself."""
    return " ".join((sys.modules[type(part).__module__].__doc__ or "").split())
