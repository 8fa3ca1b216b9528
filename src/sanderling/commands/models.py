"""The verbs of `sanderling models`: list the zoo, show one model by stage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sanderling.commands.open_detector import find_weights, require_torch
from sanderling.errors import ModelError, UsageError, nearest

if TYPE_CHECKING:
    from sanderling.analysis.cost import Cost
    from sanderling.models.network import DetectorConfig


def list_models() -> list[dict[str, Any]]:
    """The zoo, one object per model, counted for COCO's 80 classes and the model's own input size.

    Each has `name, family, input` (height and width), `parameters`, `unused_parameters` (of these, carried as published
    and never used), `macs` (multiply-adds), `published` (an object with `ap, parameters, macs`, or None) and
    `published_source`.

    Raises:
        MissingDependencyError: torch is not installed.

    >>> [model["name"] for model in list_models()][0]
    'nanodet-m'
    """
    require_torch("looking at models")
    from sanderling.analysis.cost import measure_cost
    from sanderling.models import zoo

    configs = [zoo.config(name) for name in zoo.names()]
    return [_describe(config, measure_cost(config)) for config in configs]


def show_model(model: str) -> dict[str, Any]:
    """One model by stage, with the source of each part.

    Args:
        model: a name of the zoo, a weights file (`.safetensors`) or a run folder.

    Returns:
        What `list_models` says of it, then `parts` (backbone, neck and head, each with `kind` and `source`), `stages`
        (each with `name, parameters, macs, outputs`) and `config`.

    Raises:
        UsageError: there is no such name or file.
        ModelError: the file is no weights file of ours.
        MissingDependencyError: torch is not installed.
    """
    require_torch("looking at models")
    from sanderling import config as configs
    from sanderling.analysis.cost import measure_cost

    config = _config_of(model)
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


def _config_of(model: str) -> DetectorConfig:
    from sanderling.models import zoo
    from sanderling.models.weights.safetensors_file import read_config

    if model in zoo.names():
        return zoo.config(model)
    try:
        weights = find_weights(model)
    except ModelError as error:
        if "/" in model or "." in model:
            raise
        raise UsageError(f"no model is named {model!r}; {nearest(model, zoo.names())}") from error
    return read_config(weights)


def _describe(config: DetectorConfig, cost: Cost) -> dict[str, Any]:
    from sanderling.models import zoo

    entry = zoo.entry(config.name) if config.name in zoo.names() else None
    published = entry.published if entry else None
    return {
        "name": config.name,
        "family": entry.family if entry else None,
        "input": list(config.picture.size_hw),
        "classes": len(config.class_names),
        "parameters": cost.parameters,
        "unused_parameters": _count_unused(config, entry.unused_parameters) if entry else 0,
        "macs": cost.macs,
        "published": published and {"ap": published.ap, "parameters": published.parameters, "macs": published.macs},
        "published_source": published and published.source,
    }


def _count_unused(config: DetectorConfig, prefixes: tuple[str, ...]) -> int:
    if not prefixes:
        return 0
    return sum(weight.numel() for name, weight in config.build().named_parameters() if name.startswith(prefixes))


def _source(part: object) -> str:
    """What the file of a part says of itself."""
    return " ".join((sys.modules[type(part).__module__].__doc__ or "").split())
