"""The works on PyTorch's side: plain PyTorch, fused attention, bfloat16.

A work has sizes to measure and tiny ones; it starts from what wu's side saved, or from random numbers of its own. step(mode):
"eager", "compiled" and, of attention on a GPU, "cudnn", which asks for that library's kernel.
"""

import contextlib
import copy
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch import nn

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peers"))
from torch_generator import Generator  # noqa: E402
from torch_training import adapted  # noqa: E402

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16}

TINY_MODEL = {"n": 17, "h": 10, "tokens_A": 5, "r": 8, "d": 16, "width": 32, "head_width": 16, "joined": 4, "blocks": 2,
              "condition_width": 32, "length": 5}
RELEASED_MODEL = {"n": 32, "h": 1379, "tokens_A": 719, "r": 16, "d": 1024, "width": 4096, "head_width": 128, "joined": 4,
                  "blocks": 24, "condition_width": 4096, "length": 1024}
MIDDLE_MODEL = {"n": 32, "h": 48, "tokens_A": 20, "r": 16, "d": 256, "width": 2048, "head_width": 128, "joined": 4, "blocks": 12,
                "condition_width": 2048, "length": 1024}


class Work:
    """self.run: {mode: what step calls}. results(): {name: tensor} of the last step."""

    checked_steps = 1

    def __init__(self, kind, dtype, given, whole):
        self.kind, self.dtype, self.given, self.whole = kind, dtype, given, whole

    def tensor(self, name, *shape, deviation=1.0):
        if self.given is not None:
            return self.given.pop(name).view(shape)
        return torch.randn(shape, dtype=self.dtype) * deviation

    def layer(self, inputs, outputs):
        """The frozen layer's weight and bias."""
        return self.tensor("weight", outputs, inputs, deviation=inputs**-0.5), self.tensor("bias", outputs, deviation=0.02)

    def modes(self, function):
        return {"eager": function, "compiled": torch.compile(function)}

    def step(self, mode):
        with torch.inference_mode():
            self.out = self.run[mode]()

    def results(self):
        return {"y": self.out}


class Product(Work):
    def __init__(self, *arguments, size):
        super().__init__(*arguments)
        weight, bias = self.layer(size, size)
        x = self.tensor("x", size, size)
        self.run = {"eager": lambda: F.linear(x, weight, bias)}


class Linear(Work):
    def __init__(self, *arguments, inputs, outputs, rank, rows):
        super().__init__(*arguments)
        samples = 8
        weight, bias = self.layer(inputs, outputs)
        x = self.tensor("x", samples, rows, inputs)
        if self.kind == "linear":
            self.run = {"eager": lambda: F.linear(x, weight, bias)}
            return
        both = self.tensor("adapters", samples, rank * (inputs + outputs))

        def forward(x, both):
            A, B = both[:, : rank * inputs].unflatten(1, (rank, -1)), both[:, rank * inputs :].unflatten(1, (-1, rank))
            return adapted(lambda rows: F.linear(rows, weight, bias), x, (A, B), 1 / rank)

        self.run = {mode: lambda f=f: f(x, both) for mode, f in self.modes(forward).items()}


class Attention(Work):
    def __init__(self, *arguments, groups, length, heads, head_width):
        super().__init__(*arguments)
        self.backward = self.kind.endswith("backward")

        def rows(name):
            return self.tensor(name, groups, length, heads, head_width)

        leaves = [rows(name).requires_grad_(self.backward) for name in ("q", "k", "v")]
        dout = rows("cotangent").transpose(1, 2) if self.backward else None

        def backend(mode):
            if mode == "eager":
                return contextlib.nullcontext()
            return nn.attention.sdpa_kernel(nn.attention.SDPBackend.CUDNN_ATTENTION)

        def forward(mode):
            with backend(mode):
                return F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in leaves))

        def add(mode):
            out = forward(mode)
            if self.backward:
                self.out = out.detach()
                self.run[mode] = lambda: torch.autograd.grad(out, leaves, dout, retain_graph=True)
            else:
                self.run[mode] = lambda: forward(mode)

        self.run = {}
        add("eager")
        if leaves[0].is_cuda:
            with contextlib.suppress(RuntimeError):  # where cuDNN has no such kernel
                add("cudnn")

    def step(self, mode):
        if self.backward:
            self.gradients = self.run[mode]()
        else:
            super().step(mode)

    def results(self):
        out = {"out": self.out.transpose(1, 2)}
        return out | {f"grad.{name}": g for name, g in zip("qkv", self.gradients)} if self.backward else out


def with_compiled_blocks(model):
    """The same weights; each block is a function of its own to the compiler, which compiles it once for all of them."""
    twin, trunk = copy.copy(model), copy.copy(model.model)
    twin._modules, trunk._modules = dict(twin._modules), dict(trunk._modules)
    trunk.blocks = nn.ModuleList(torch.compile(block) for block in trunk.blocks)
    twin.model = trunk
    return twin


class GeneratorWork(Work):
    def make(self, sizes, dtype):
        """dtype: of the weights."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        model = Generator(**sizes)
        torch.set_default_dtype(before)
        self.condition = self.tensor("condition", 1, sizes["length"], sizes["condition_width"])
        if self.kind == "training":
            self.cotangent = self.tensor("cotangent", 1, *(sizes[name] for name in ("n", "h", "r", "d")))
        if self.given is not None:
            model.load_state_dict(self.given)
        self.run = {"eager": model, "compiled": torch.compile(model) if self.whole else with_compiled_blocks(model)}
        return model


class Generation(GeneratorWork):
    def __init__(self, *arguments, **sizes):
        super().__init__(*arguments)
        self.make(sizes, self.dtype)

    def step(self, mode):
        with torch.inference_mode():
            self.out = self.run[mode](self.condition)

    def results(self):
        return {"tokens": self.out}


class Training(GeneratorWork):
    """Forward, backward, clipping, AdamW. In bfloat16 the weights are float32, under autocast."""

    checked_steps = 3

    def __init__(self, *arguments, **sizes):
        super().__init__(*arguments)
        self.model = self.make(sizes, torch.float32)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0,
                                           fused=True)

    def step(self, mode):
        self.optimiser.zero_grad()
        with torch.autocast(self.condition.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            tokens = self.run[mode](self.condition)
        tokens.backward(self.cotangent)
        self.norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1)
        self.optimiser.step()

    def results(self):
        """Gradients as they were before clipping."""
        return {f"grad.{name}": leaf.grad * self.norm.clamp(min=1) for name, leaf in self.model.named_parameters()}


# Kind: class, tiny sizes, sizes to measure.
KINDS = {
    "product": (Product, {"size": 24}, {"size": 8192}),
    "linear": (Linear, {"inputs": 24, "outputs": 40, "rank": 4, "rows": 5},
               {"inputs": 4096, "outputs": 6144, "rank": 16, "rows": 1024}),
    "attention": (Attention, {"groups": 3, "length": 37, "heads": 2, "head_width": 16},
                  {"groups": 32, "length": 5516, "heads": 32, "head_width": 128}),
    "generation": (Generation, TINY_MODEL, RELEASED_MODEL),
    "training": (Training, TINY_MODEL, MIDDLE_MODEL),
}
KINDS["adapted_linear"] = KINDS["linear"]


def open_work(name, given, tiny, device, whole):
    """given: {name: tensor}, or None for random numbers. whole: the compiler gets a generator as one function instead of block by
    block, which takes it much longer."""
    first, scalar, *part = name.split("/")
    kind = "/".join([first, *part]) if first == "attention" else first
    make, tiny_sizes, sizes = KINDS[first]
    with torch.device(device):
        return make(kind, DTYPES[scalar], given, whole, **(tiny_sizes if tiny else sizes))
