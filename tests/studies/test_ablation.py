from __future__ import annotations

import dataclasses

import pytest

from sanderling.errors import UsageError
from sanderling.recipes.named import named
from sanderling.structures.artefact import MatrixNms
from sanderling.studies.ablation import Ablation, Step, plan_ablation

RUN = named("nanodet-debug")


def test_a_ladder_stands_each_step_on_the_one_before() -> None:
    found = plan_ablation(dataclasses.replace(RUN, seed=7), ["batch=8", "no-flip,batch=4"], mode="ladder", seeds=2)
    assert [step.name for step in found.steps] == ["baseline", "batch=8", "no-flip,batch=4"]
    assert [step.before for step in found.steps] == [None, 0, 1]
    assert [(step.run.batch, step.run.augment.flip) for step in found.steps] == [(16, 0.5), (8, 0.5), (4, 0)]
    assert found.seeds == (7, 8)
    assert {step.letter for step in found.steps} == {""}
    assert found.source == ""


def test_single_steps_stand_on_the_baseline() -> None:
    found = plan_ablation(RUN, ["batch=8", "no-flip"], mode="single", seeds=1)
    assert [step.before for step in found.steps] == [None, 0, 0]
    assert [(step.run.batch, step.run.augment.flip) for step in found.steps] == [(16, 0.5), (8, 0.5), (16, 0)]


def test_rows_of_a_published_ladder_are_known_also_where_several_are_one_step() -> None:
    small = named("ppyolo-small")
    found = plan_ablation(small, ["resnet-dcn", "drop-block,ema,large-batch,iou-loss", "spp"], mode="ladder", seeds=1)
    assert [(step.letter, step.published_ap) for step in found.steps] == [
        ("A", 0.389),
        ("B", 0.391),
        ("D", 0.419),
        ("", None),
    ]
    assert "PaddleDetection" in found.source
    alone = plan_ablation(small, ["spp"], mode="single", seeds=1)
    assert alone.source == ""


def test_what_only_decodes_otherwise_uses_the_weights_below_it() -> None:
    found = plan_ablation(
        RUN, ["batch=8", "class-agnostic", "model.postprocess.iou=0.5", "no-flip", "one-class"], mode="ladder", seeds=1
    )
    assert [found.weights_of(place) for place in range(6)] == [0, 1, 1, 1, 4, 4]


def test_a_step_that_also_changes_more_is_trained() -> None:
    model = dataclasses.replace(
        RUN.model, postprocess=dataclasses.replace(RUN.model.postprocess, suppression=MatrixNms())
    )
    steps = (
        Step(name="baseline", run=RUN, before=None),
        Step(name="a", run=dataclasses.replace(RUN, model=model), before=0),
        Step(name="b", run=dataclasses.replace(RUN, model=model, batch=3), before=0),
    )
    found = Ablation(mode="single", steps=steps, seeds=(0,))
    assert [found.weights_of(place) for place in range(3)] == [0, 0, 2]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("large-batch,ema", "large-batch+ema"),
        ("weights=/a b/c.safetensors", "weights=-a-b-c.safetensors"),
        ("model.picture.size_hw=[96, 160]", "model.picture.size_hw=-96+-160-"),
        ("../..", "..-.."),
    ],
)
def test_names_fit_a_file_system(name: str, file: str) -> None:
    assert Step(name=name, run=RUN, before=None).file_name == file
    assert len(Step(name=300 * "x", run=RUN, before=None).file_name) == 100


@pytest.mark.parametrize(
    ("switches", "mode", "seeds", "complaint"),
    [
        ([], "ladder", 1, "no switch is named; name what to measure with --switch"),
        (["spp"], "leader", 1, "mode = 'leader' is not known; did you mean 'ladder'"),
        (["spp"], "ladder", 0, "seeds = 0: at least 1"),
        (["batch=8", "batch=8"], "single", 1, "'batch=8' is named twice"),
        (["baseline"], "ladder", 1, "no switch is named 'baseline'"),
        (["batch=8", "batch=8"], "ladder", 1, "changes nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(switches: list[str], mode: str, seeds: int, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        plan_ablation(RUN, switches, mode=mode, seeds=seeds)
