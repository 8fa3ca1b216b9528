from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from sanderling import config
from sanderling.data.augment import AugmentConfig, StitcherConfig
from sanderling.data.transforms.auto_augment import AutoAugmentConfig, Version
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.cutout import ActivationCutoutConfig, CutoutConfig
from sanderling.data.transforms.erase import RandomErasingConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.transforms.grid_mask import GridMaskConfig
from sanderling.errors import UsageError
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.studies.switches import SWITCHES, Switch, apply_switches, kind_of, listed, parts
from sanderling.training.optimizer import SgdConfig

SMALL = dataclasses.replace(named("ppyolo-small"), augment=AugmentConfig())
NANODET = named("nanodet-debug")


def test_input_sizes_go_down_to_half_in_steps_of_the_stride() -> None:
    oblong = dataclasses.replace(SMALL, model=SMALL.model.with_picture(size_hw=(96, 352)))
    sizes = SWITCHES["multi-scale"].apply(oblong).augment.sizes
    assert sizes is not None
    assert sizes.sizes_hw((96, 352)).tolist()[0] == [64, 192]
    assert sizes.sizes_hw((96, 352)).tolist()[-1] == [96, 352]


def _on_resnet(variant: Any) -> Run:
    return dataclasses.replace(
        SMALL, model=dataclasses.replace(SMALL.model, backbone=ResNetConfig(depth=18, variant=variant, width=8))
    )


def _changed(before: Run, after: Run) -> dict[str, Any]:
    return {key: new for key, _, new in config.differences(config.plain(before), config.plain(after))}


def _iou(form: str) -> dict[str, Any]:
    return {"task.objective.iou": form, "task.objective.iou_weight": 2.5}


def _suppression(kind: str, decay: str) -> dict[str, Any]:
    sigma = 0.5
    rule = {"kind": kind, "decay": decay, "sigma": sigma}
    return {f"model.postprocess.suppression.{key}": value for key, value in rule.items()}


SETS: dict[str, dict[str, Any]] = {
    "drop-block": {"model.neck.drop_block": True},
    "coord-conv": {"model.neck.coordinates": "symmetric"},
    "coord-conv-left": {"model.neck.coordinates": "left"},
    "spp": {"model.neck.pyramid_pool": True},
    "iou-loss": _iou("iou_squared"),
    "giou-loss": _iou("giou"),
    "diou-loss": _iou("diou"),
    "ciou-loss": _iou("ciou"),
    "iou-aware": {"model.head.iou_aware": True},
    "grid-sensitive": {"model.head.scale_xy": 1.05, "task.objective.centre": "l1"},
    "label-smoothing": {"task.objective.label_smoothing": True},
    "several-anchors": {"task.objective.match_iou": 0.25},
    "ema": {"ema": {"decay": 0.998, "ramp": 200.0, "form": "exponential"}},
    "large-batch": {"batch": 24, "optimizer.lr": SMALL.optimizer.lr * 3**0.5},
    "accumulate": {"loop.accumulate": 3, "optimizer.lr": SMALL.optimizer.lr * 3**0.5},
    "double-schedule": {"loop.epochs": 60},
    "sync-batchnorm": {"runtime.sync_batchnorm": True},
    "imagenet": {"pretrained": "imagenet"},
    "mosaic": {"augment.mosaic": 0.5},
    "stretch": {"augment.stretch": [0.75, 1.33]},
    "hue": {"augment.hue": 0.0706},
    "mixup": {"augment.mixup": config.plain(MixupConfig())},
    "cutmix": {"augment.cutmix": config.plain(CutMixConfig())},
    "mosaic-9": {"augment.mosaic": 0.5, "augment.mosaic_tiles": 9},
    "stitcher": {"augment.stitcher": config.plain(StitcherConfig())},
    "expand": {"augment.expand": config.plain(ExpandConfig())},
    "crop": {"augment.crop": config.plain(CropConfig())},
    **{
        f"auto-augment-{policy}": {"augment.auto_augment": config.plain(AutoAugmentConfig(policy=policy))}
        for policy in get_args(Version)
    },
    **{
        f"erase-{where}": {"augment.erase": config.plain(RandomErasingConfig(where=where))}
        for where in get_args(get_type_hints(RandomErasingConfig)["where"])
    },
    "cutout": {"augment.cutout": config.plain(CutoutConfig())},
    "activation-cutout": {"augment.activation_cutout": config.plain(ActivationCutoutConfig())},
    "grid-mask": {"augment.grid_mask": config.plain(GridMaskConfig())},
    "multi-scale": {"augment.sizes": {"smallest": 128, "largest": 256, "step": 32}},
    "class-aware": {"sampling.kind": "class_aware"},
    "repeat-factor": {"sampling.kind": "repeat_factor", "sampling.threshold": 0.3},
    "hard-negatives": {"task.objective.hard_negatives": {"ratio": 3.0, "floor": 0.01}},
    "no-colour": {"augment.colour_probability": 0},
    "no-flip": {"augment.flip": 0},
    "matrix-nms": _suppression("matrix", "linear"),
    "matrix-nms-gaussian": _suppression("matrix", "gaussian"),
    "soft-nms": _suppression("soft", "gaussian"),
    "soft-nms-linear": _suppression("soft", "linear"),
    "class-agnostic": {"model.postprocess.class_agnostic": True},
    "one-class": {"model.postprocess.multi_label": False},
}
ON_RESNET: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet-a": ("b", {"model.backbone.variant": "a"}),
    "resnet-b": ("a", {"model.backbone.variant": "b"}),
    "resnet-c": ("a", {"model.backbone.variant": "c"}),
    "resnet-d": ("a", {"model.backbone.variant": "d"}),
    "deformable": ("a", {"model.backbone.deformable": [32]}),
}


@pytest.mark.parametrize("name", SETS)
def test_what_each_switch_sets_and_nothing_else(name: str) -> None:
    assert _changed(SMALL, SWITCHES[name].apply(SMALL)) == SETS[name]


@pytest.mark.parametrize("name", ON_RESNET)
def test_switches_of_a_resnet(name: str) -> None:
    variant, changed = ON_RESNET[name]
    before = _on_resnet(variant)
    assert _changed(before, SWITCHES[name].apply(before)) == changed


def test_the_darknet_gives_way_to_the_resnet_of_its_width() -> None:
    after = SWITCHES["resnet-dcn"].apply(SMALL)
    assert after.model.backbone == ResNetConfig(depth=18, variant="d", width=8, project_first=True, deformable=(32,))
    assert dataclasses.replace(after, model=SMALL.model) == SMALL
    with pytest.raises(
        UsageError, match=r"'resnet-dcn' does not apply to nanodet-debug: model.backbone is of kind 'shuf"
    ):
        SWITCHES["resnet-dcn"].apply(NANODET)


def test_no_switch_is_forgotten() -> None:
    tested = {*SETS, *ON_RESNET, "resnet-dcn"}
    assert tested == set(SWITCHES)
    names = [name for name, _ in listed()]
    assert names == [*SWITCHES, "weights=FILE", "KEY=VALUE"]
    assert all(text and len(f"{name}  {text}") < 80 for name, text in listed())


def test_a_larger_step_has_a_larger_rate_in_proportion_with_sgd() -> None:
    sgd = dataclasses.replace(SMALL, optimizer=SgdConfig(lr=0.01))
    for name in ("large-batch", "accumulate"):
        assert SWITCHES[name].apply(sgd).optimizer.lr == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "coord-conv",
            "'coord-conv' does not apply to nanodet-debug: model.neck of kind 'tiny_pan' has no 'coordinates'",
        ),
        ("label-smoothing", "task.objective of kind 'distribution' has no 'label_smoothing'"),
        ("ema", "switch 'ema' changes nothing: it is on already"),
        ("batch=16", "switch 'batch=16' changes nothing"),
        ("cord-conv", "no switch is named 'cord-conv'; did you mean 'coord-conv'.*--list-switches"),
        (
            "optimizer.rate=1",
            "'optimizer.rate=1' does not apply to nanodet-debug: optimizer of kind 'adamw' has no 'rate'",
        ),
        ("batch.size=2", "batch has no 'size'; it has no parts"),
        ("batch=none", "does not apply to nanodet-debug: --set: batch = 'none'"),
        ("batch=8,,spp", "joined by single commas"),
        ("", "joined by single commas"),
        ("weights=absent.safetensors", "absent.safetensors: no such file"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        apply_switches(NANODET, text)


def test_any_value_of_a_run_is_a_switch_and_several_are_one_step() -> None:
    after = apply_switches(NANODET, "model.picture.size_hw=[96, 160],loop.patience=3, no-flip")
    assert _changed(NANODET, after) == {
        "model.picture.size_hw": [96, 160],
        "loop.patience": 3,
        "augment.flip": 0,
    }
    off = apply_switches(NANODET, "ema=null")
    assert off.ema is None
    assert apply_switches(off, "ema.decay=0.9").ema is not None
    other = apply_switches(NANODET, "optimizer.kind=sgd")
    assert isinstance(other.optimizer, SgdConfig)


def test_weights_are_named_by_their_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    after = apply_switches(SMALL, "weights=b.safetensors")
    assert _changed(SMALL, after) == {"weights": str(tmp_path / "b.safetensors")}
    assert kind_of("weights=b.safetensors") == "weights"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ["a"]),
        ("a, b=c", ["a", "b=c"]),
        ("x=[1, 2],y={a: 1, b: 2},z", ["x=[1, 2]", "y={a: 1, b: 2}", "z"]),
        ("x=[[1, 2], [3, 4]],y", ["x=[[1, 2], [3, 4]]", "y"]),
    ],
)
def test_commas_inside_brackets_belong_to_a_value(text: str, found: list[str]) -> None:
    assert parts(text) == found


def test_a_switch_of_ones_own() -> None:
    def longer(run: Run) -> Run:
        return dataclasses.replace(run, seed=run.seed + 1)

    assert Switch(name="next", help="another seed", change=longer).apply(SMALL).seed == 1
