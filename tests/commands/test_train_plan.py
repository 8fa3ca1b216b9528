from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from sanderling import config
from sanderling.commands.train_plan import TrainWishes, asked_batch, on_this_machine, planned, resumed, with_batch
from sanderling.errors import UsageError
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.training.optimizer import SgdConfig


def _saved(folder: Path, run: Run) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(config.dump(run), encoding="utf-8")
    return folder


def test_nothing_asked_for_is_the_recipe() -> None:
    assert planned("nanodet-debug", TrainWishes()) == named("nanodet-debug")


def test_pretrained_backbones_learn_in_smaller_steps_than_fresh_ones() -> None:
    fresh, asked = planned("nanodet-debug", TrainWishes()), TrainWishes(pretrained="imagenet")
    for wishes in (asked, TrainWishes(assignments=("pretrained=imagenet",))):
        run = planned("nanodet-debug", wishes)
        assert run.pretrained == "imagenet"
        assert run.optimizer.lr < fresh.optimizer.lr
    with pytest.raises(UsageError, match="pretrained = 'coco'"):
        planned("nanodet-debug", TrainWishes(pretrained="coco"))


def test_every_wish_reaches_the_run() -> None:
    wishes = TrainWishes(
        data="birds",
        data_format="yolo",
        weights="w.safetensors",
        epochs=30,
        batch=64,
        imgsz=(96, 64),
        seed=3,
        patience=5,
        freeze="backbone",
        assignments=("optimizer.lr=0.5", "data.val=null"),
    )
    run = planned("nanodet-debug", wishes)
    assert (run.data.path, run.data.data_format, run.data.val) == ("birds", "yolo", None)
    assert (run.weights, run.seed, run.task.freeze, run.loop.patience) == ("w.safetensors", 3, "backbone", 5)
    assert (run.loop.epochs, run.loop.mosaic_off, run.batch) == (30, 3, 64)
    assert run.model.picture.size_hw == (96, 64)
    assert run.optimizer.lr == 0.5


def test_schedule_and_learning_rate_follow_batch_and_epochs_of_a_recipe_only(tmp_path: Path) -> None:
    recipe = planned("nanodet-m-published", TrainWishes(batch=96))
    assert recipe.optimizer.lr == pytest.approx(0.07)
    folder = _saved(tmp_path / "run", named("nanodet-m-published"))
    file = planned(str(folder / "run.yaml"), TrainWishes(batch=96))
    assert (file.batch, file.optimizer.lr) == (96, 0.14)


def test_another_batch_brings_its_learning_rate(tmp_path: Path) -> None:
    wishes = TrainWishes(data="birds", assignments=("seed=3",))
    recipe = with_batch(planned("nanodet-m-published", wishes), "nanodet-m-published", wishes, batch=24, accumulate=2)
    assert recipe.optimizer.lr == pytest.approx(0.14 / 4)
    assert (recipe.batch, recipe.loop.accumulate, recipe.seed, recipe.data.path) == (24, 2, 3, "birds")
    file = str(_saved(tmp_path / "run", named("nanodet-m-published")) / "run.yaml")
    for text, rate in (("seed=3", 0.07), ("optimizer.lr=0.5", 0.5)):
        wishes = TrainWishes(assignments=(text,))
        run = with_batch(planned(file, wishes), file, wishes, batch=32, accumulate=3)
        assert run.optimizer.lr == pytest.approx(rate), text
        assert (run.batch, run.loop.accumulate) == (32, 3)


def test_a_budget_belongs_to_an_automatic_batch() -> None:
    assert [asked_batch(batch, memory=None) for batch in (None, 4, "auto")] == [None, 4, None]
    assert asked_batch("auto", memory="4GB") is None
    with pytest.raises(UsageError, match="memory = '4GB': is the budget of --batch auto; add that"):
        asked_batch(16, memory="4GB")
    with pytest.raises(UsageError, match="batch = 'atuo': a number or auto is expected"):
        asked_batch("atuo", memory=None)


def test_a_file_and_its_folder_are_the_same_run(tmp_path: Path) -> None:
    run = dataclasses.replace(named("nanodet-debug", epochs=7), optimizer=SgdConfig(lr=0.3))
    folder = _saved(tmp_path / "run", run)
    assert planned(str(folder / "run.yaml"), TrainWishes()) == planned(str(folder), TrainWishes()) == run
    assert planned(str(folder), TrainWishes(epochs=9)).loop.epochs == 9


def test_a_models_name_is_not_taken_for_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _saved(tmp_path / "nanodet-debug", named("nanodet-m"))
    monkeypatch.chdir(tmp_path)
    assert planned("nanodet-debug", TrainWishes()).model.name == "nanodet-debug"


def test_an_odd_size_is_rounded_up_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run = planned("nanodet-debug", TrainWishes(imgsz=(100, 64)))
    assert run.model.picture.size_hw == (128, 64)
    assert "100x64 is rounded up to 128x64" in caplog.text


@pytest.mark.parametrize(
    ("imgsz", "smallest", "largest"), [(320, 160, 320), (608, 320, 608), ((192, 416), 224, 416), (32, 32, 32)]
)
def test_batches_of_many_sizes_follow_the_input(
    caplog: pytest.LogCaptureFixture, imgsz: int | tuple[int, int], smallest: int, largest: int
) -> None:
    with caplog.at_level(logging.INFO):
        run = planned("yolov3-mobilenetv1-published", TrainWishes(imgsz=imgsz))
    sizes = run.augment.sizes
    assert sizes is not None
    # From 320 to 608 at an input of 608: the same shares, in multiples of the stride.
    assert (sizes.smallest, sizes.largest, sizes.step) == (smallest, largest, 32)
    assert tuple(sizes.sizes_hw(run.model.picture.size_hw)[-1]) == run.model.picture.size_hw
    said = f"augment.sizes: batches are drawn from {smallest} to {largest} px instead of from 320 to 608"
    assert (said in caplog.text) == (imgsz != 608)


def test_sizes_that_were_asked_for_stay_and_a_resumed_run_keeps_its_own(tmp_path: Path) -> None:
    asked = TrainWishes(imgsz=96, assignments=("augment.sizes.smallest=64", "augment.sizes.largest=256"))
    sizes = planned("nanodet-debug", asked).augment.sizes
    assert sizes is not None
    assert (sizes.smallest, sizes.largest) == (64, 256)
    wishes = TrainWishes(imgsz=320)
    plan = planned("yolov3-mobilenetv1-published", wishes)
    folder = _saved(tmp_path / "run", plan)
    assert resumed("yolov3-mobilenetv1-published", folder, wishes)[0] == plan
    again = planned(str(folder), TrainWishes(imgsz=160)).augment.sizes
    assert again is not None
    assert (again.smallest, again.largest) == (64, 160)


@pytest.mark.parametrize(
    ("run", "wishes", "words"),
    [
        ("nanodet-mm", TrainWishes(), "did you mean 'nanodet-m'"),
        ("none.yaml", TrainWishes(), r"none\.yaml: cannot be read"),
        ("nanodet-debug", TrainWishes(assignments=("loop.epoch=3",)), "did you mean 'epochs'"),
        ("nanodet-debug", TrainWishes(assignments=("loop.epochs",)), "expected key=value"),
        ("nanodet-debug", TrainWishes(data_format="pascal"), "data.data_format = 'pascal'"),
        ("nanodet-debug", TrainWishes(epochs=0), "epochs = 0: at least 1 is expected"),
        ("nanodet-debug", TrainWishes(batch=0), "batch = 0: at least 1"),
        ("nanodet-debug", TrainWishes(batch=-4), "batch = -4"),
        ("nanodet-debug", TrainWishes(patience=-1), "loop.patience = -1"),
        ("nanodet-debug", TrainWishes(imgsz=0), "imgsz"),
    ],
)
def test_wrong_wishes_are_named(run: str, wishes: TrainWishes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        planned(run, wishes)


def test_a_resumed_run_is_the_one_of_the_folder(tmp_path: Path) -> None:
    run = named("nanodet-debug", epochs=4).with_data(path="birds")
    folder = _saved(tmp_path / "run", run)
    assert resumed(str(folder), None, TrainWishes()) == (run, folder)
    assert resumed("nanodet-debug", folder, TrainWishes()) == (run, folder)


def test_the_command_that_started_a_run_may_be_repeated(tmp_path: Path) -> None:
    wishes = TrainWishes(
        data="birds", epochs=4, batch=8, imgsz=96, seed=2, freeze=1, assignments=("optimizer.kind=sgd", "ema=null")
    )
    folder = _saved(tmp_path / "run", planned("nanodet-debug", wishes))
    assert resumed("nanodet-debug", folder, wishes)[0] == planned("nanodet-debug", wishes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 9}, "loop.epochs is 4 there and 9 is asked for"),
        ({"data": "fish"}, "data.path is 'birds' there and 'fish' is asked for"),
        ({"imgsz": 96}, "model.picture.size_hw is"),
        ({"assignments": ("optimizer.kind=sgd",)}, "optimizer.kind is 'adamw' there and 'sgd' is asked for"),
        ({"assignments": ("ema=null",)}, "ema is"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    folder = _saved(tmp_path / "run", named("nanodet-debug", epochs=4).with_data(path="birds"))
    with pytest.raises(UsageError, match=words):
        resumed("nanodet-debug", folder, TrainWishes(**changes))  # type: ignore[arg-type]


def test_another_model_is_refused(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "run", named("nanodet-debug"))
    with pytest.raises(UsageError, match="holds a run of 'nanodet-debug', not of 'nanodet-m'"):
        resumed("nanodet-m", folder, TrainWishes())


def test_two_folders_to_resume_are_refused(tmp_path: Path) -> None:
    first, second = (_saved(tmp_path / name, named("nanodet-debug")) for name in ("first", "second"))
    with pytest.raises(UsageError, match=r"first and output .*second are two folders"):
        resumed(str(first), second, TrainWishes())
    assert resumed(str(first), first, TrainWishes())[1] == first


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no run\.yaml; name the folder of the run to resume"):
        resumed("nanodet-debug", tmp_path, TrainWishes())


def test_everything_automatic_is_decided_and_recorded() -> None:
    run = on_this_machine(named("nanodet-debug"), device="cpu", workers=3, threads=1)
    assert (run.runtime.device, run.runtime.workers, run.runtime.threads) == ("cpu", 3, 1)
    assert run.runtime.precision in ("float32", "bfloat16")
    assert on_this_machine(run, device=None, workers=None, threads=None) == run


@pytest.mark.parametrize(
    ("wishes", "words"),
    [({"device": "tpu"}, "device = 'tpu'"), ({"workers": -1}, "workers = -1"), ({"threads": 0}, "threads = 0")],
)
def test_a_machine_that_is_not_there(wishes: dict[str, object], words: str) -> None:
    asked = {"device": None, "workers": None, "threads": None, **wishes}
    with pytest.raises(UsageError, match=words):
        on_this_machine(named("nanodet-debug"), **asked)  # type: ignore[arg-type]
