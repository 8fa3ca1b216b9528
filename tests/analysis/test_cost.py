from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sanderling.analysis.cost import _Multiplications, measure_cost
from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.layers.deformable import DeformableConv

DEBUG = zoo.config("nanodet-debug", ("fire", "smoke"))


def test_stages_sum_to_the_totals() -> None:
    cost = measure_cost(DEBUG)
    assert sum(stage.parameters for stage in cost.stages) == cost.parameters
    assert sum(stage.macs for stage in cost.stages) == cost.macs
    assert cost.parameters == sum(parameter.numel() for parameter in DEBUG.build().parameters())


def test_stages_in_a_list_are_counted_one_by_one() -> None:
    cost = measure_cost(zoo.config("nanodet-g"), (64, 96))
    assert sum(stage.macs for stage in cost.stages) == cost.macs
    blocks = [stage for stage in cost.stages if stage.name.startswith("backbone.stages.")]
    assert [stage.name.rpartition(".")[2] for stage in blocks] == ["0", "2", "3", "4", "5"]
    assert blocks[-1].outputs == ("512x2x3",)


class _EveryProduct(nn.Module):
    """Each kind of layer that multiplies, once."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=2)
        self.along = nn.Conv1d(4, 6, 3)
        self.full = nn.Linear(6, 10)

    def forward(self, images: Tensor) -> Tensor:
        rows = self.full(self.along(self.up(self.grouped(images)).flatten(2)).transpose(1, 2))
        weights = torch.matmul(rows, rows.transpose(1, 2)) + torch.bmm(rows, rows.transpose(1, 2))
        return weights @ rows


def test_every_product_counts_as_in_torchs_own_counter() -> None:
    module, images = _EveryProduct().eval(), torch.zeros(2, 6, 9, 13)
    with _Multiplications() as ours, torch.no_grad():
        module(images)
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        module(images)
    assert ours.total == theirs.get_total_flops() // 2 > 0


def test_attention_is_two_products() -> None:
    # Torch's own counter passes over this one on the processor.
    query, key = torch.zeros(2, 3, 5, 8), torch.zeros(2, 3, 7, 8)
    with _Multiplications() as ours:
        F.scaled_dot_product_attention(query, key, torch.zeros(2, 3, 7, 4))
    assert ours.total == 2 * 3 * (5 * 8 * 7 + 5 * 7 * 4)


@pytest.mark.parametrize("name", [name for name in zoo.names() if name.endswith("-debug")])
def test_every_family_costs_what_torchs_own_counter_says(name: str) -> None:
    network = zoo.config(name).build().eval()
    deformable = [module for module in network.modules() if isinstance(module, DeformableConv)]
    unseen: list[int] = []
    for module in deformable:
        # Torch's own counter knows no deformable convolution; the one of its offsets it sees.
        rows = module.weight[0].numel()
        module.register_forward_hook(lambda _module, _inputs, output, rows=rows: unseen.append(output.numel() * rows))
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        network(torch.zeros(1, 3, 64, 96))
    assert len(unseen) == len(deformable)
    assert measure_cost(zoo.config(name), (64, 96)).macs == theirs.get_total_flops() // 2 + sum(unseen)


def test_counting_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    measure_cost(DEBUG, (64, 96))
    assert torch.equal(torch.rand(3), wanted)


def test_the_stem_by_hand() -> None:
    stem = measure_cost(DEBUG, (64, 96)).part("backbone.conv1")
    assert stem.macs == 32 * 48 * 16 * 3 * 3 * 3
    assert stem.parameters == 16 * 3 * 3 * 3 + 2 * 16
    assert stem.outputs == ("16x32x48",)


def test_the_head_by_hand_at_a_size_that_is_not_square() -> None:
    head = measure_cost(DEBUG, (64, 96)).part("head")
    points = 8 * 12 + 4 * 6 + 2 * 3
    outputs = 2 + 32
    assert head.macs == points * (48 * 9 + 48 * 48 + 48 * outputs)
    assert head.outputs == (f"{points}x{outputs}",)


def test_cost_grows_with_the_picture_and_parameters_do_not() -> None:
    small, large = measure_cost(DEBUG, (64, 96)), measure_cost(DEBUG, (128, 192))
    assert large.macs == 4 * small.macs
    assert large.parameters == small.parameters


def test_the_size_is_the_models_own_by_default() -> None:
    assert measure_cost(DEBUG).size_hw == DEBUG.picture.size_hw


def test_parts_and_sizes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no stage 'tail'.*head"):
        measure_cost(DEBUG).part("tail")
    with pytest.raises(ModelError, match="70x64"):
        measure_cost(DEBUG, (70, 64))
