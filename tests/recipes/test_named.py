from __future__ import annotations

import pytest

from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.recipes.named import about, named, names, recipes


def test_every_model_has_a_recipe() -> None:
    assert set(zoo.names()) < set(names())
    for name in names():
        run = named(name)
        assert run.model.name == name.removesuffix("-published")
        assert run.data.path == ""


def test_a_models_name_means_the_default_recipe() -> None:
    assert named("nanodet-m").recipe == "fine-tune"
    assert named("nanodet-m-published").recipe == "nanodet-published"


@pytest.mark.parametrize(
    ("name", "hint"), [("nanodet-mm", "did you mean 'nanodet-m'"), ("nanodet-debug-published", "did you mean 'nano")]
)
def test_an_unknown_name_suggests_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no recipe or model is named '{name}'; {hint}"):
        named(name)


def test_recipes_of_their_own_say_what_they_are() -> None:
    assert set(recipes()) == set(names()) - set(zoo.names())
    assert {"ppyolo-small", "yolov3-mobilenetv1-published"} < set(recipes())
    for name in recipes():
        assert about(name).endswith("."), name


def test_batch_and_epochs_reach_the_recipe() -> None:
    run = named("nanodet-m-published", batch=96, epochs=28)
    assert (run.batch, run.loop.epochs) == (96, 28)
    assert run.optimizer.lr == pytest.approx(0.07)
