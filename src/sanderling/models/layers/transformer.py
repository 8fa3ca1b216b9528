"""A transformer's encoder layer: self-attention and a small network per token, each on a normalised copy.

https://arxiv.org/abs/1706.03762, normalised first as in https://arxiv.org/abs/2002.04745. Axes: B pictures, N tokens,
D channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.layers.activations import Activation, activation


class SelfAttention(nn.Module):
    """Every token asks every token, by `heads` questions at once; key names as in torch's own attention.

    Written out, because torch's takes another path in eval mode, which cannot be exported.
    """

    def __init__(self, channels: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        joined = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        query, key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in joined.chunk(3, 2))
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention, then two linear layers with `mlp_ratio` times the channels between them; both add to the input."""

    def __init__(self, channels: int, *, heads: int, mlp_ratio: int, dropout: float, act: Activation) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = SelfAttention(channels, heads=heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Mlp(channels, mlp_ratio * channels, dropout=dropout, act=act)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _Mlp(nn.Module):
    def __init__(self, channels: int, hidden: int, *, dropout: float, act: Activation) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.act = activation(act)
        self.fc2 = nn.Linear(hidden, channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(tokens)))))
