"""The generator in plain PyTorch: the formulas of include/wu/generator, with the names of its checkpoint.

Shapes: b requests, n layers, p = h * r / a positions in a layer, C the width, L rows of a condition.
"""

import torch
import torch.nn.functional as F
from torch import nn


def angles(width, positions):
    """Rotary angles of one axis: (positions, width / 2).    position * 10000^(-2 i / width)"""
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return positions.to(torch.float64)[:, None] * frequencies


class Rotary(nn.Module):
    """Turns neighbouring channels (2 i, 2 i + 1) of each head by the axes' angles.    x: (..., length, heads, D)"""

    def __init__(self, *axes):
        super().__init__()
        turn = torch.cat(axes, -1)[:, None]  # (length, 1, D / 2), for all heads
        self.cos, self.sin = turn.cos().float(), turn.sin().float()
        self.unit = torch.complex(self.cos, self.sin)

    def forward(self, x):
        if not torch.compiler.is_compiling():  # one kernel; the compiler fuses real numbers and not complex ones
            return torch.view_as_real(torch.view_as_complex(x.float().unflatten(-1, (-1, 2))) * self.unit).flatten(-2).to(x.dtype)
        even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), -1).flatten(-2).to(x.dtype)


def attend(q, k, v):
    """(..., heads, length, D) each. So few keys as a generator's layers are faster without the fused kernel."""
    if k.shape[-2] <= 16:
        return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v
    if q.dim() > 4:  # a GPU's fused kernels take four dimensions
        return attend(*(part.flatten(0, -4) for part in (q, k, v))).view(q.shape)
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Four projections, rotary positions, scaled dot products.    x: (..., length, C)   u: (..., memory length, C)"""

    def __init__(self, width, head_width):
        super().__init__()
        self.heads = width // head_width
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, u, turn_q=None, turn_k=None):
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (self.W_q(x), self.W_k(u), self.W_v(u)))
        if turn_q is not None:
            q, k = turn_q(q), turn_k(k)
        q, k, v = (part.transpose(-3, -2) for part in (q, k, v))
        return self.W_o(attend(q, k, v).transpose(-3, -2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.silu(self.fc1(x)))


def rms_norm(width):
    return nn.RMSNorm(width, eps=1e-6)


class Block(nn.Module):
    """x: (b, n, p, C), b = 1 before anything depends on the condition   u: (b, L, C)"""

    def __init__(self, width, head_width, within):
        super().__init__()
        self.norm1, self.norm2, self.norm3, self.norm4 = (rms_norm(width) for _ in range(4))
        self.self_attn_n = Attention(width, head_width)
        self.within = within  # "hw": over a layer's positions; "rank": over those of a token
        self.add_module(f"self_attn_{within}", Attention(width, head_width))
        self.self_attn_cross = Attention(width, head_width)
        self.feed_forward = FeedForward(width)

    def over_layers(self, x, turn):
        x = x.transpose(1, 2)
        return self.self_attn_n(x, x, turn, turn).transpose(1, 2)

    def over_positions(self, x, turn, ranks):
        groups = x.flatten(0, 1) if self.within == "hw" else x.reshape(-1, ranks, x.shape[-1])
        return self.get_submodule(f"self_attn_{self.within}")(groups, groups, turn, turn).view_as(x)

    def forward(self, x, u, turns, ranks):
        x = x + self.over_layers(self.norm1(x), turns["layers"])
        x = x + self.over_positions(self.norm2(x), turns["positions"], ranks)
        rows = x.flatten(1, 2).expand(u.shape[0], -1, -1)
        rows = rows + self.self_attn_cross(self.norm3(rows), u, turns["cross_q"], turns["cross_k"])
        rows = rows + self.feed_forward(self.norm4(rows))
        return rows.unflatten(1, x.shape[1:3])


class Trunk(nn.Module):
    def __init__(self, n, h, r, d, width, head_width, joined, blocks, within):
        super().__init__()
        row = width // joined
        self.norm_input, self.norm_tokens, self.norm_final = (rms_norm(width) for _ in range(3))
        self.hw_pos, self.layer_pos = nn.Embedding(h * r, row), nn.Embedding(n, row)
        self.blocks = nn.ModuleList(Block(width, head_width, within) for _ in range(blocks))
        self.proj_out_A, self.proj_out_B = nn.Linear(row, d), nn.Linear(row, d)


class Generator(nn.Module):
    """tokens (b, n, h, r, d) from a condition (b, L, condition width). within: see Block. tokens_A: those of all A in a layer."""

    def __init__(self, n, h, tokens_A, r, d, width, head_width, joined, blocks, condition_width, length, within="hw"):
        super().__init__()
        self.hidden_in = nn.Linear(condition_width, width)
        self.model = Trunk(n, h, r, d, width, head_width, joined, blocks, within)
        self.n, self.h, self.tokens_A, self.r, self.ranks = n, h, tokens_A, r, r // joined
        D, p = head_width, h * self.ranks
        layer, place, rank = torch.arange(n), torch.arange(p), torch.arange(self.ranks)
        along = torch.arange(length) + max(h, self.ranks)
        inner = [angles(D // 2, place // self.ranks), angles(D // 2, place % self.ranks)] if within == "hw" else [angles(D, rank)]
        self.turns = {
            "layers": Rotary(angles(D, layer)),
            "positions": Rotary(*inner),
            "cross_q": Rotary(angles(D // 2, layer.repeat_interleave(p)), angles(D // 2, place.repeat(n))),
            "cross_k": Rotary(angles(D // 2, along), angles(D // 2, along)),
        }

    def forward(self, condition):
        m = self.model
        u = m.norm_input(self.hidden_in(condition))
        x = m.hw_pos.weight + m.layer_pos.weight[:, None]  # (n, h r, row): neighbouring rows are joined to positions
        x = m.norm_tokens(x.view(1, self.n, self.h * self.ranks, -1))
        for block in m.blocks:
            x = block(x, u, self.turns, self.ranks)
        x = m.norm_final(x).view(-1, self.n, self.h, self.r, m.hw_pos.weight.shape[1])
        return torch.cat((m.proj_out_A(x[:, :, : self.tokens_A]), m.proj_out_B(x[:, :, self.tokens_A :])), 2)
