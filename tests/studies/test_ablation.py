from __future__ import annotations

import dataclasses

import pytest

from sanderling import config
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


def test_a_baseline_of_ones_own_beside_published_figures_is_told() -> None:
    small = named("ppyolo-small")
    elsewhere = dataclasses.replace(
        small.with_data(path="birds/"), seed=3, model=small.model.with_classes(("wren",)), trackers=()
    )
    assert plan_ablation(elsewhere, ["resnet-dcn"], mode="ladder", seeds=1).baseline_changes == ()
    other = config.override(elsewhere, ["batch=4", "model.neck.channels=48"])
    changes = plan_ablation(other, ["resnet-dcn"], mode="ladder", seeds=1).baseline_changes
    assert set(changes) == {"batch=4", "model.neck.channels=48"}
    # Nothing published stands beside these.
    assert plan_ablation(other, ["mixup"], mode="ladder", seeds=1).baseline_changes == ()
    assert plan_ablation(dataclasses.replace(RUN, batch=4), ["no-flip"], mode="ladder", seeds=1).baseline_changes == ()


@pytest.mark.parametrize(
    ("switch", "key"),
    [
        ("seed=5", "seed from 0 to 5"),
        ("data.val=null", "data.val from 'val' to None"),
        ("batch=8,data.path=elsewhere", "data.path from '' to 'elsewhere'"),
        ("data={path: elsewhere}", "data.path from '' to 'elsewhere'"),
        ("model.class_names=[a]", "model.class_names from"),
    ],
)
def test_what_all_steps_share_is_no_step(switch: str, key: str) -> None:
    with pytest.raises(UsageError, match=rf"changes {key}.*which all steps of an ablation share; .*--set"):
        plan_ablation(RUN, ["no-flip", switch], mode="ladder", seeds=1)


def test_other_pictures_to_learn_from_are_a_step() -> None:
    found = plan_ablation(RUN, ["data.train=more"], mode="ladder", seeds=1)
    assert found.steps[1].run.data.train == "more"


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


@pytest.mark.parametrize("minutes", [-1.0, 0.0, float("nan"), float("inf")])
def test_no_time_is_refused(minutes: float) -> None:
    with pytest.raises(UsageError, match=rf"minutes = {minutes:g}: a number above 0"):
        plan_ablation(RUN, ["no-flip"], mode="ladder", seeds=1, minutes=minutes)
