from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.weights.nanodet_checkpoint import from_nanodet

FIRST = "backbone.conv1.0.weight"


def _state(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {FIRST: torch.arange(3.0).view(1, 3, 1, 1), **more}


def test_the_first_convolution_becomes_rgb_and_the_neck_gets_our_name() -> None:
    found = from_nanodet(
        _state(**{"fpn.lateral_convs.0.conv.bias": torch.ones(2), "head.distribution_project.project": torch.ones(8)}),
        source="x.pth",
    )
    assert found[FIRST].flatten().tolist() == [2, 1, 0]
    assert set(found) == {FIRST, "neck.lateral_convs.0.bias"}


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "avg_model.", "module.model."])
def test_prefixes_of_trainers_are_removed(prefix: str) -> None:
    assert list(from_nanodet({prefix + FIRST: torch.zeros(4, 3, 3, 3)}, source="x.pth")) == [FIRST]


def test_averaged_weights_are_taken_where_there_are_both() -> None:
    found = from_nanodet(
        {f"model.{FIRST}": torch.zeros(1, 3, 1, 1), f"avg_model.{FIRST}": torch.ones(1, 3, 1, 1)}, source="x.ckpt"
    )
    assert found[FIRST].flatten().tolist() == [1, 1, 1]


def test_other_models_are_refused() -> None:
    with pytest.raises(ModelError, match=r"x\.pth: is no NanoDet checkpoint.*first: 'stem.weight'"):
        from_nanodet({"stem.weight": torch.zeros(1)}, source="x.pth")


def test_their_block_of_convolution_and_norm_is_ours_and_of_a_convolution_alone_our_convolution() -> None:
    found = from_nanodet(
        _state(
            **{
                "fpn.reduce_layers.1.conv.weight": torch.ones(2, 5, 1, 1),
                "fpn.reduce_layers.1.bn.weight": torch.ones(2),
                "fpn.transformer.conv.conv.weight": torch.ones(2, 5, 1, 1),
                "backbone.blocks.0.1._bn0.weight": torch.ones(2),
            }
        ),
        source="x.pth",
    )
    assert set(found) - {FIRST} == {
        "neck.reduce_layers.1.conv.weight",
        "neck.reduce_layers.1.norm.weight",
        "neck.transformer.conv.weight",
        "backbone.blocks.0.1.bn0.weight",
    }


def test_all_convolutions_that_see_colours_are_turned() -> None:
    branches = [f"backbone.stage0.{branch}.0.weight" for branch in ("rbr_dense", "rbr_1x1")]
    found = from_nanodet({name: torch.arange(3.0).view(1, 3, 1, 1) for name in branches}, source="x.pth")
    assert [found[name].flatten().tolist() for name in branches] == [[2, 1, 0], [2, 1, 0]]


def test_the_branch_that_guides_keeps_its_names_to_be_listed_as_left_out() -> None:
    names = {"aux_fpn.reduce_layers.0.bn.weight", "aux_head.cls_convs.0.conv.weight"}
    assert set(from_nanodet(_state(**dict.fromkeys(names, torch.ones(2))), source="x.pth")) == names | {FIRST}
