from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanderling import config
from sanderling.commands.models import config_of, list_models, list_recipes, show_model
from sanderling.errors import ModelError, UsageError
from sanderling.models import zoo
from sanderling.models.weights.safetensors_file import save_network
from sanderling.recipes.named import named, recipes
from tests.support.networks import trained_like


def test_the_list_has_the_counts_and_what_was_published() -> None:
    found = {model["name"]: model for model in list_models()}
    assert json.loads(json.dumps(found)) == found
    nanodet = found["nanodet-m"]
    assert (nanodet["family"], nanodet["input"], nanodet["classes"]) == ("nanodet", [320, 320], 80)
    assert (nanodet["parameters"], nanodet["unused_parameters"], nanodet["macs"]) == (959_348, 9_312, 342_223_200)
    assert nanodet["published"]["ap"] == 0.206
    assert "NanoDet" in nanodet["published_source"]
    debug = found["nanodet-debug"]
    assert debug["published"] is debug["published_source"] is None
    assert debug["unused_parameters"] == 0


def test_one_model_by_stage() -> None:
    found = show_model("nanodet-m")
    assert json.loads(json.dumps(found)) == found
    assert sum(stage["macs"] for stage in found["stages"]) == found["macs"]
    assert [stage["name"] for stage in found["stages"]][-2:] == ["neck", "head"]
    assert found["stages"][-1]["outputs"] == ["2100x112"]
    assert found["parts"]["backbone"]["kind"] == "shufflenet_v2"
    assert "arxiv.org/abs/1807.11164" in found["parts"]["backbone"]["source"]
    assert all(part["source"] for part in found["parts"].values())
    assert found["config"]["head"]["bins"] == 8


def test_a_weights_file_and_a_run_folder_are_models_too(tmp_path: Path) -> None:
    save_network(trained_like(("fire", "smoke")), tmp_path / "weights" / "best.safetensors")
    by_folder, by_file = show_model(str(tmp_path)), show_model(str(tmp_path / "weights" / "best.safetensors"))
    assert by_folder == by_file
    assert by_file["classes"] == 2
    assert by_file["parameters"] == sum(p.numel() for p in trained_like(("fire", "smoke")).parameters())


def test_recipes_are_listed_and_are_models(tmp_path: Path) -> None:
    found = {recipe["name"]: recipe for recipe in list_recipes()}
    assert json.loads(json.dumps(found)) == found
    assert list(found) == recipes()
    ladder, published = found["ppyolo-small"], found["nanodet-m-published"]
    assert (ladder["model"], ladder["input"]) == ("ppyolo-small", [256, 256])
    assert (published["model"], published["batch"], published["epochs"]) == ("nanodet-m", 192, 280)
    assert config_of("ppyolo-small") == named("ppyolo-small").model
    assert config_of("nanodet-m") == config_of("nanodet-m-published") == zoo.config("nanodet-m")


def test_a_run_is_a_model_before_it_has_weights(tmp_path: Path) -> None:
    run = config.override(named("nanodet-debug"), ["model.picture.size_hw=[64, 96]"])
    (tmp_path / "run.yaml").write_text(config.dump(run), encoding="utf-8")
    assert config_of(str(tmp_path)) == config_of(str(tmp_path / "run.yaml")) == run.model
    save_network(trained_like(("fire", "smoke")), tmp_path / "weights" / "best.safetensors")
    assert config_of(str(tmp_path)).class_names == ("fire", "smoke")


def test_names_and_files_that_do_not_exist() -> None:
    with pytest.raises(UsageError, match="'nanodet-mm'; did you mean 'nanodet-m'"):
        show_model("nanodet-mm")
    with pytest.raises(ModelError, match=r"none\.safetensors: no such file"):
        show_model("none.safetensors")
