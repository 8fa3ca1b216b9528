from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.models.layers.transformer import EncoderLayer, SelfAttention


def _with_torchs_weights(channels: int, heads: int, *, dropout: float = 0.0) -> tuple[SelfAttention, nn.Module]:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(channels, heads, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    ours = SelfAttention(channels, heads=heads, dropout=dropout)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("tokens", [1, 7, 24])
def test_attention_is_torchs_with_the_same_key_names(tokens: int) -> None:
    ours, theirs = _with_torchs_weights(12, 3)
    x = torch.randn(2, tokens, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-4, atol=1e-5)


def test_attention_forgets_at_random_while_training_only() -> None:
    ours, _ = _with_torchs_weights(12, 3, dropout=0.5)
    x = torch.randn(1, 9, 12)
    assert not torch.equal(ours.train()(x), ours(x))
    assert torch.equal(ours.eval()(x), ours(x))


def test_a_layer_adds_to_its_input_what_it_makes_of_normalised_copies() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(8, heads=2, mlp_ratio=3, dropout=0.1, act="leaky_relu").eval()
    x = torch.randn(2, 5, 8) * 3 + 1
    middle = x + layer.attn(nn.functional.layer_norm(x, [8]))
    hidden = nn.functional.leaky_relu(layer.mlp.fc1(nn.functional.layer_norm(middle, [8])), 0.1)
    assert hidden.shape[-1] == 24
    torch.testing.assert_close(layer(x), middle + layer.mlp.fc2(hidden))
