"""The works on PyTorch's side, from the weights and inputs that wu's side wrote.

bfloat16: weights and activations are bfloat16, as model.to(torch.bfloat16) makes them. In the training step the weights that learn
are float32, and torch.autocast makes bfloat16 of them (see TrainingStep).
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from torch_generator import Generator
from torch_training import Backbone, Condition, TextEncoder, adapted, flow_loss

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16}


def load(module, given, prefix, dtype):
    """The module with its weights out of `given`, where nothing of that prefix may be left over."""
    module.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)})
    return module.to(dtype)


class Work:
    """step() is what is timed; results(): {name: tensor} of the last step, which forget() drops."""

    checked_steps = 1
    kept_bytes = 0  # of what is no weight and no input and exists between two steps too

    def __init__(self):
        self.out, self.leaves = None, {}

    def step(self):
        raise NotImplementedError

    def results(self):
        return {self.output: self.out.detach()} | {f"grad.{name}": leaf.grad for name, leaf in self.leaves.items()}

    def forget(self):
        self.out = None
        for leaf in self.leaves.values():
            leaf.grad = None

    def backward(self, out, cotangent):
        for leaf in self.leaves.values():
            leaf.grad = None
        self.out = out()
        self.out.backward(cotangent)


class Product(Work):
    output = "y"

    def __init__(self, given, name, dtype, transform):
        super().__init__()
        self.x, self.weight, self.bias = given["x"], given["weight"], given["bias"]
        if "onednn" in name:  # PyTorch's own float32 products go to MKL
            x, weight = self.x.to_mkldnn(), self.weight.to_mkldnn()
            self.run = lambda: torch._C._nn.mkldnn_linear(x, weight)
        else:
            self.run = lambda: F.linear(self.x, self.weight, self.bias)

    def step(self):
        with torch.inference_mode():
            self.out = self.run()


class GeneratorWork(Work):
    output = "tokens"

    def __init__(self, given, name, dtype, transform):
        super().__init__()
        self.condition, self.cotangent = given.pop("condition"), given.pop("cotangent", None)
        joined = int(name.split("/")[1].removeprefix("a:"))
        model = Generator(n=8, h=24, tokens_A=10, r=16, d=128, width=512, head_width=64, joined=joined, blocks=4,
                          condition_width=512, length=self.condition.shape[1])
        self.model = load(model, given, "", dtype)
        if self.cotangent is not None:
            self.leaves = {"condition": self.condition.requires_grad_()} | dict(self.model.named_parameters())
        self.run = transform(self.model)

    def step(self):
        if self.cotangent is None:
            with torch.inference_mode():
                self.out = self.run(self.condition)
        else:
            self.backward(lambda: self.run(self.condition), self.cotangent)


class AdaptedLinear(Work):
    """x W^T and, for each sample, its own (x A^T) B^T: a linear layer and two batched products."""

    output = "y"
    samples, rank = 8, 16

    def __init__(self, given, name, dtype, transform):
        super().__init__()
        weight, bias, x, self.adapters = given["weight"], given["bias"], given["x"], given["adapters"]
        self.x, self.cotangent = x.unflatten(0, (self.samples, -1)), given.get("cotangent")
        size = self.rank * x.shape[-1]
        self.layer = nn.Linear(x.shape[-1], weight.shape[0])
        load(self.layer, {"weight": weight, "bias": bias}, "", dtype).requires_grad_(False)

        def forward(x, adapters):
            A, B = adapters[:, :size].unflatten(1, (self.rank, -1)), adapters[:, size:].unflatten(1, (-1, self.rank))
            return adapted(self.layer, x, (A, B), 1 / self.rank)

        self.run = transform(forward)
        if self.cotangent is not None:
            self.cotangent = self.cotangent.unflatten(0, (self.samples, -1))
            self.leaves = {"x": self.x.requires_grad_(), "adapters": self.adapters.requires_grad_()}

    def step(self):
        if self.cotangent is None:
            with torch.inference_mode():
                self.out = self.run(self.x, self.adapters)
        else:
            self.backward(lambda: self.run(self.x, self.adapters), self.cotangent)


class Memory(nn.Module):
    """What learns."""

    def __init__(self, backbone):
        super().__init__()
        self.condition = Condition()
        self.generator = Generator(n=len(backbone.layers), h=backbone.adapters.tokens, tokens_A=backbone.adapters.tokens_A, r=8,
                                   d=128, width=64, head_width=16, joined=1, blocks=2, condition_width=64, length=40, within="rank")


class TrainingStep(Work):
    """Forward, backward, clipping, AdamW. In bfloat16 the frozen weights are bfloat16, what learns is float32 under autocast."""

    checked_steps = 3

    def __init__(self, given, name, dtype, transform):
        super().__init__()
        self.losses = []
        side = given["source"].shape[1]
        self.backbone = load(Backbone((side // 8, side // 8)), given, "frozen.backbone.", dtype).requires_grad_(False)
        self.text = load(TextEncoder(), given, "frozen.text.", dtype).requires_grad_(False)
        self.memory = load(Memory(self.backbone), given, "learned.", torch.float32)
        self.given = {name: given[name] for name in ("seen", "pieces", "source", "noise", "target", "t")}
        self.leaves = dict(self.memory.named_parameters())
        self.optimiser = torch.optim.AdamW(self.memory.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0, fused=True)
        self.run = transform(self.loss)

    def loss(self, seen, pieces, source, noise, target, t):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            tokens = self.memory.generator(self.memory.condition(seen, pieces))
            instruction = self.text(pieces).mean(1)
            at = t.to(source.dtype)[:, None, None, None]
            x_t = (1 - at) * noise + at * target
            edit = self.backbone(x_t, source, t, instruction, tokens)
        return flow_loss(edit, x_t, source, noise, target, t)

    def step(self):
        self.optimiser.zero_grad()
        loss = self.run(**self.given)
        loss.backward()
        self.norm = nn.utils.clip_grad_norm_(self.memory.parameters(), 1)
        self.optimiser.step()
        self.losses.append(loss.item())

    @property
    def kept_bytes(self):
        states = itertools.chain.from_iterable(state.values() for state in self.optimiser.state.values())
        return sum(x.nbytes for x in states if torch.is_tensor(x))

    def results(self):
        """Gradients as they were before clipping."""
        gradients = {f"grad.{name}": leaf.grad * self.norm.clamp(min=1) for name, leaf in self.leaves.items()}
        return gradients | {"losses": torch.tensor(self.losses, dtype=torch.float64)}


KINDS = {"product": Product, "generator": GeneratorWork, "adapted_linear": AdaptedLinear, "training_step": TrainingStep}


def open_work(name, given, transform):
    """transform: what makes a function or module quicker, such as torch.compile."""
    dtype = next(DTYPES[part] for part in name.split("/") if part in DTYPES)
    work = KINDS[name.split("/")[0]](given, name, dtype, transform)
    work.dtype = dtype
    return work
