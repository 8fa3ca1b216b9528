from __future__ import annotations

import dataclasses

import pytest

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo
from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.recipes.named import named
from sanderling.recipes.ppyolo_ladder import NAME, ppyolo_ladder, ppyolo_small, resnet_dcn


def test_it_is_step_a_at_an_eighth_of_its_widths() -> None:
    small, whole = ppyolo_small(("a", "b", "c")), zoo.config("ppyolo-step-a")
    assert isinstance(small.backbone, CspDarknetConfig)
    assert isinstance(whole.backbone, CspDarknetConfig)
    assert [8 * width for width in (small.backbone.stem, *small.backbone.channels)] == [
        whole.backbone.stem,
        *whole.backbone.channels,
    ]
    same = {"stem": whole.backbone.stem, "channels": whole.backbone.channels, "repeats": whole.backbone.repeats}
    assert dataclasses.replace(small.backbone, **same) == whole.backbone  # type: ignore[arg-type]
    assert small.head == whole.head
    assert isinstance(small.head, YoloHeadConfig)
    assert (small.picture.size_hw, small.picture.resize) == ((256, 256), "stretch")
    assert small.postprocess == whole.postprocess
    # With all switches off the neck costs what YOLOv3's does.
    wide = dataclasses.replace(whole, neck=PpyoloFpnConfig())
    assert measure_cost(wide, (64, 96)).parameters == measure_cost(whole, (64, 96)).parameters
    assert small.neck == PpyoloFpnConfig(channels=512 // 8, transition=256 // 8)


def test_the_other_backbone_is_the_article_s_in_18_layers() -> None:
    whole = zoo.config("ppyolo-step-b").backbone
    assert isinstance(whole, ResNetConfig)
    found = resnet_dcn(whole.width)
    assert dataclasses.replace(found, depth=50, project_first=False) == whole


def test_what_is_left_for_later_steps_is_off() -> None:
    run = named("ppyolo-small")
    assert run == ppyolo_ladder()
    assert (run.recipe, run.model.name, run.ema, run.augment.mosaic) == ("ppyolo-ladder", NAME, None, 0)
    assert run.loop.mosaic_off == 0
    assert run.task.objective == YoloObjectiveConfig.paddle()
    assert (run.batch, run.weights, run.pretrained) == (8, None, None)


def test_batch_and_epochs_reach_the_recipe() -> None:
    run = named("ppyolo-small", batch=32, epochs=7)
    assert (run.batch, run.loop.epochs) == (32, 7)
    assert run.optimizer.lr == pytest.approx(2 * ppyolo_ladder(batch=8).optimizer.lr)
