"""The networks of the training step in plain PyTorch: condition encoders, the backbone with adapters, the loss. The formulas are
those of include/wu/condition, backbone and diffusion, the names those of their checkpoints.

Shapes: b requests with a picture each, pictures (b, H, W, 3).
"""

import torch
import torch.nn.functional as F
from torch import nn

from torch_generator import Attention, FeedForward, Rotary, angles, attend, rms_norm


def patches(x, side):
    """(b, H, W, c) -> (b, H / side, W / side, side side c)"""
    b, height, width, c = x.shape
    return x.view(b, height // side, side, width // side, side, c).transpose(2, 3).flatten(3)


def pictures(x, side):
    """The inverse of patches."""
    b, rows, columns, values = x.shape
    return x.view(b, rows, columns, side, side, -1).transpose(2, 3).reshape(b, rows * side, columns * side, -1)


# ---- condition -----------------------------------------------------------------------------------------------------------


class EncoderBlock(nn.Module):
    def __init__(self, width, head_width):
        super().__init__()
        self.norm1, self.norm2 = rms_norm(width), rms_norm(width)
        self.attention, self.feed_forward = Attention(width, head_width), FeedForward(width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y)
        return x + self.feed_forward(self.norm2(x))


class ImageEncoder(nn.Module):
    def __init__(self, size=64, patch=16, width=64, head_width=16, blocks=2):
        super().__init__()
        self.side = patch
        self.patch, self.position = nn.Linear(patch * patch * 3, width), nn.Embedding((size // patch) ** 2, width)
        self.blocks = nn.Sequential(*(EncoderBlock(width, head_width) for _ in range(blocks)))

    def forward(self, seen):
        return self.blocks(self.patch(patches(seen, self.side).flatten(1, 2)) + self.position.weight)


class TextEncoder(nn.Module):
    def __init__(self, vocabulary=2048, length=24, width=64, head_width=16, blocks=1):
        super().__init__()
        self.table, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(EncoderBlock(width, head_width) for _ in range(blocks)))

    def forward(self, pieces):
        return self.blocks(self.table(pieces) + self.position.weight)


class Condition(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = ImageEncoder(), TextEncoder()

    def forward(self, seen, pieces):
        return torch.cat((self.image(seen), self.text(pieces)), 1)


def padded(x, by):
    """(b, c, H, W) -> (b, c, H + 2 by, W + 2 by), edges repeated. torch.compile gets it in pieces: for the gradient of the padding
    as one operation it expects another memory format (2.15) and stops."""
    if not torch.compiler.is_compiling():
        return F.pad(x, (by,) * 4, mode="replicate")
    x = torch.cat((x[:, :, :1].expand(-1, -1, by, -1), x, x[:, :, -1:].expand(-1, -1, by, -1)), 2)
    return torch.cat((x[..., :1].expand(-1, -1, -1, by), x, x[..., -1:].expand(-1, -1, -1, by)), 3)


# ---- backbone ------------------------------------------------------------------------------------------------------------


def adapted(layer, x, adapter, scale):
    """x W^T + b + scale (x A^T) B^T, another adapter for each sample.    x: (b, ..., in)   A: (b, r, in)   B: (b, out, r)"""
    A, B = adapter
    rows = x.flatten(1, -2)
    y = torch.baddbmm(layer(rows), torch.bmm(rows, A.mT), B.mT, alpha=scale)
    return y.view(*x.shape[:-1], -1)


class Adapters:
    """Where the adapters lie among the tokens (b, n, h, r, d), layout `flat`."""

    def __init__(self, modules, rank, width):
        self.rank, self.places, at = rank, {}, 0
        for part, size in (("A", 0), ("B", 1)):
            for name, widths in modules.items():
                self.places[name, part] = (at, rank * widths[size])
                at += -(-rank * widths[size] // (rank * width)) * rank * width
        self.tokens_A, self.tokens = self.places[next(iter(modules)), "B"][0] // (rank * width), at // (rank * width)

    def of(self, layer, name):
        """layer: (b, h r d)"""
        (a, size_a), (b, size_b) = self.places[name, "A"], self.places[name, "B"]
        return layer[:, a : a + size_a].unflatten(1, (self.rank, -1)), layer[:, b : b + size_b].unflatten(1, (-1, self.rank))


class Layer(nn.Module):
    def __init__(self, W, P, inputs, outputs):
        super().__init__()
        self.modulation = nn.Linear(W, 6 * W)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(W, 3 * W), "out": nn.Linear(W, W)})
        self.mlp = nn.ModuleDict({"up": nn.Linear(W, 2 * W), "down": nn.Linear(2 * W, W)})
        self.token = nn.ModuleDict({"in": nn.Linear(P, W), "out": nn.Linear(W, 2 * P)})
        self.pixel = nn.ModuleDict(
            {"in": nn.Linear(inputs, P), "up": nn.Linear(P, 2 * P), "down": nn.Linear(2 * P, P), "out": nn.Linear(P, outputs)})
        self.pixel.register_parameter("filters", nn.Parameter(torch.empty(25, P)))


class Backbone(nn.Module):
    """The edit (b, H, W, 3) of a source picture; grid: rows and columns of its tokens of 8 x 8 pixels."""

    def __init__(self, grid, layers=4, W=128, P=64, head_width=32, instruction_width=64, rank=8, adapter_width=128):
        super().__init__()
        inputs, outputs, self.time_width, self.heads = 24, 12, 64, W // head_width
        self.time, self.instruction = nn.Linear(self.time_width, W), nn.Linear(instruction_width, W)
        self.layers = nn.ModuleList(Layer(W, P, inputs, outputs) for _ in range(layers))
        place = torch.arange(grid[0] * grid[1])
        self.turn = Rotary(angles(head_width // 2, place // grid[1]), angles(head_width // 2, place % grid[1]))
        self.scale = 1 / rank
        self.adapters = Adapters(
            {"attn.qkv": (W, 3 * W), "attn.out": (W, W), "mlp.up": (W, 2 * W), "mlp.down": (2 * W, W), "token.in": (P, W),
             "token.out": (W, 2 * P), "pixel.in": (inputs, P), "pixel.up": (P, 2 * P), "pixel.down": (2 * P, P),
             "pixel.out": (P, outputs)}, rank, adapter_width)

    def waves(self, t):
        turn = 1000 * t[:, None] * 10000.0 ** (-torch.arange(0, self.time_width, 2, dtype=torch.float64) / self.time_width)
        return torch.stack((turn.cos(), turn.sin()), -1).flatten(1).to(self.time.weight.dtype)

    def on_tokens(self, layer, x, c, adapt):
        shift1, scale1, gate1, shift2, scale2, gate2 = layer.modulation(c)[:, None].chunk(6, -1)
        y = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale1) + shift1
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in adapt(layer, "attn.qkv", y).chunk(3, -1))
        mixed = attend(*(part.transpose(1, 2) for part in (self.turn(q), self.turn(k), v))).transpose(1, 2).flatten(2)
        x = x + gate1 * adapt(layer, "attn.out", mixed)
        y = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * adapt(layer, "mlp.down", F.gelu(adapt(layer, "mlp.up", y), approximate="tanh"))

    def on_pixels(self, layer, x, tokens, adapt):
        normed = F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)
        steer = adapt(layer, "token.out", normed).permute(0, 3, 1, 2)
        fine = F.interpolate(steer, scale_factor=4, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        shift, scale = fine.chunk(2, -1)
        steered = padded((x * (1 + scale) + shift).permute(0, 3, 1, 2), 2)
        filters = layer.pixel.filters.T.reshape(-1, 1, 5, 5)
        f = F.conv2d(steered, filters, groups=filters.shape[0]).permute(0, 2, 3, 1)
        return f + adapt(layer, "pixel.down", F.gelu(adapt(layer, "pixel.up", f), approximate="tanh"))

    def forward(self, x_t, source, t, instruction, generated):
        def adapt(layer, name, x):
            group, part = name.split(".")
            return adapted(layer.get_submodule(group)[part], x, self.adapters.of(layer_tokens, name), self.scale)

        c = F.silu(self.time(self.waves(t)) + self.instruction(instruction))
        e = torch.cat((patches(x_t, 2), patches(source, 2)), -1)
        x = tokens = edit = 0
        for index, layer in enumerate(self.layers):
            layer_tokens = generated[:, index].flatten(1)
            x = x + adapt(layer, "pixel.in", e)
            pooled = F.avg_pool2d(x.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
            tokens = tokens + adapt(layer, "token.in", pooled)
            tokens = self.on_tokens(layer, tokens.flatten(1, 2), c, adapt).view_as(tokens)
            x = self.on_pixels(layer, x, tokens, adapt)
            edit = edit + adapt(layer, "pixel.out", x)
        return pictures(edit, 2)


def flow_loss(edit, x_t, source, noise, target, t):
    """The velocity that the edit gives, compared with the rectified flow's; the mean of log(mean squared error + 1 / 2000)."""
    edit, x_t, source, noise, target = (x.float() for x in (edit, x_t, source, noise, target))
    left = (1 - t)[:, None, None, None].float()
    error = (source + edit - x_t) / left.clamp(min=0.05) - (target - noise) * (left / 0.05).clamp(max=1)
    return (error.square().mean((1, 2, 3)) + 1 / 2000).log().mean()
