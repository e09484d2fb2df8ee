#!/usr/bin/env python3
"""Small random generators and what they must generate, for the tests of wu-generate. Needs Python 3 and numpy.

  make_fixtures.py                  writes tests/fixtures/generate/*/
  make_fixtures.py --check [DIR]    compares forward() below with fixtures made elsewhere (tests/fixtures/generator)

A fixture is a checkpoint folder (config.json, model.safetensors or shards and their index) with condition.safetensors and
expected.safetensors, which holds in float64 `tokens` and every adapter in both layouts: `flat.*`, and `rank_anchored.*`
where the token width divides every adapted width. The generator is the one that was released; it is written here from its
formulas in numpy and float64, and shares nothing with the library that it tests.

Letters: b batch, n layers of the backbone, h tokens of a layer, r rank, d token width, a joined rank rows, w = r / a,
C = a * c model width, D head width, L condition length, E experts.
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"

# ---- safetensors: u64 size of the header, the header as JSON, the data -----------------------------------------------

TYPES = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "BF16": np.dtype("<u2")}


def to_bfloat16(values):
    """float32 to the upper half of its bits, to the nearest and in the middle to the even one."""
    bits = np.asarray(values, dtype="<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def from_bfloat16(bits):
    return (bits.astype("<u4") << 16).view("<f4")


def write_safetensors(path, tensors, dtype):
    """tensors: {name: array}, all stored as dtype, by name."""
    header, parts, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name])
        data = (to_bfloat16(values) if dtype == "BF16" else values.astype(TYPES[dtype])).tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    return end


def read_safetensors(path):
    """{name: float64 array}."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            values = from_bfloat16(values)
        tensors[name] = values.astype(np.float64).reshape(entry["shape"])
    return tensors


def read_checkpoint(folder):
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read_safetensors(folder / "model.safetensors")
    places = json.loads(index.read_text())["weight_map"]
    shards = {file: read_safetensors(folder / file) for file in set(places.values())}
    return {name: shards[file][name] for name, file in places.items()}


# ---- the shape that a config.json states -----------------------------------------------------------------------------


class Shape:
    def __init__(self, config):
        self.n, self.r, self.d = config["num_base_model_layers"], config["rank"], config["token_dim"]
        self.a, self.C, self.D = config["dim_accumulation"], config["d_model"], config["head_dim"]
        self.N, self.input_dim, self.prefix = config["num_pg_layers"], config["input_dim"], config["prefix"]
        assert config["output_dim"] == self.d
        assert self.r % self.a == 0 and self.C % self.a == 0 and self.C % self.D == 0 and self.D % 4 == 0
        self.w, self.c = self.r // self.a, self.C // self.a
        self.modules = []  # (name, E, d_in, d_out), E = 0 for a linear layer; in the file's order
        for name, entry in config["pg_mapping"].items():
            if entry.get("type") == "grouped":
                for sub, widths in entry["sub_weights"].items():
                    self.modules.append((f"{name}.{sub}", entry["num_experts"], widths["lora_A_dim"], widths["lora_B_dim"]))
            else:
                self.modules.append((name, 0, entry["lora_A_dim"], entry["lora_B_dim"]))
        self.h_A = sum(self.token_count(E, d_in) for _, E, d_in, _ in self.modules)
        self.h_B = sum(self.token_count(E, d_out) for _, E, _, d_out in self.modules)
        self.h = self.h_A + self.h_B

    def token_count(self, E, width):
        return math.ceil(max(E, 1) * self.r * width / (self.r * self.d))

    def has_rank_anchored(self):
        return all(d_in % self.d == 0 and d_out % self.d == 0 for _, _, d_in, d_out in self.modules)


# ---- the generator ---------------------------------------------------------------------------------------------------


def rms_norm(x, gain):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * gain


def linear(x, weights, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def silu(x):
    return x / (1 + np.exp(-x))


def rotate(x, axes):
    """x (..., positions, heads, D); axes: one array of positions for each slice of D, all slices equally wide."""
    k = x.shape[-1] // len(axes)
    out = np.empty_like(x)
    for slice_index, positions in enumerate(axes):
        for i in range(k // 2):
            angle = np.asarray(positions, dtype=np.float64) * 10000.0 ** (-2 * i / k)
            cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]  # (positions, 1): the same for every head
            even = slice_index * k + 2 * i
            x0, x1 = x[..., even], x[..., even + 1]
            out[..., even] = x0 * cos - x1 * sin
            out[..., even + 1] = x0 * sin + x1 * cos
    return out


def attention(weights, name, x, context, D, q_axes, k_axes):
    """x (..., Q, C) attends to context (..., K, C)."""
    heads = lambda y: y.reshape(*y.shape[:-1], -1, D)  # heads are contiguous slices
    q = rotate(heads(linear(x, weights, name + ".W_q")), q_axes)
    k = rotate(heads(linear(context, weights, name + ".W_k")), k_axes)
    v = heads(linear(context, weights, name + ".W_v"))
    logits = np.einsum("...qud,...kud->...uqk", q, k) / math.sqrt(D)
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    y = np.einsum("...uqk,...kud->...qud", p, v)
    return linear(y.reshape(x.shape), weights, name + ".W_o")


def prior(shape, weights):
    """(n, h*w, C): position token * w + v holds the rank rows v*a .. v*a + a-1 side by side."""
    hw = weights["model.hw_pos.weight"].reshape(shape.h, shape.r, shape.c)
    x = np.empty((shape.n, shape.h * shape.w, shape.C))
    for token in range(shape.h):
        for v in range(shape.w):
            rows = [weights["model.layer_pos.weight"] + hw[token, v * shape.a + q] for q in range(shape.a)]  # each (n, c)
            x[:, token * shape.w + v] = np.concatenate(rows, axis=-1)
    return x


def forward(shape, weights, condition):
    """condition (b, L, input_dim) -> tokens (b, n, h, r, d)."""
    n, h, w, r, a, c, D = shape.n, shape.h, shape.w, shape.r, shape.a, shape.c, shape.D
    b, L = condition.shape[:2]
    u = rms_norm(linear(condition, weights, "hidden_in"), weights["model.norm_input.weight"])
    x = rms_norm(prior(shape, weights), weights["model.norm_tokens.weight"])
    x = np.broadcast_to(x, (b, *x.shape))

    layers, positions = np.arange(n), np.arange(h * w)
    intra = [positions // w, positions % w]  # token, rank position
    query = [np.repeat(layers, h * w), np.tile(positions, n)]  # layer, flattened position
    key = [np.arange(L) + max(h, w)] * 2
    for i in range(shape.N):
        block = f"model.blocks.{i}."
        gain = lambda norm: weights[block + norm + ".weight"]
        y = np.swapaxes(rms_norm(x, gain("norm1")), 1, 2)  # (b, h*w, n, C)
        x = x + np.swapaxes(attention(weights, block + "self_attn_n", y, y, D, [layers], [layers]), 1, 2)
        y = rms_norm(x, gain("norm2"))
        x = x + attention(weights, block + "self_attn_hw", y, y, D, intra, intra)
        y = rms_norm(x, gain("norm3")).reshape(b, n * h * w, shape.C)
        x = x + attention(weights, block + "self_attn_cross", y, u, D, query, key).reshape(x.shape)
        y = silu(linear(rms_norm(x, gain("norm4")), weights, block + "feed_forward.fc1"))
        x = x + linear(y, weights, block + "feed_forward.fc2")
    x = rms_norm(x, weights["model.norm_final.weight"])
    x = x.reshape(b, n, h, w, a, c).reshape(b, n, h, r, c)  # rank = v * a + q
    A, B = linear(x[:, :, : shape.h_A], weights, "model.proj_out_A"), linear(x[:, :, shape.h_A :], weights, "model.proj_out_B")
    return np.concatenate([A, B], axis=2)


# ---- tokens to adapters ----------------------------------------------------------------------------------------------


def detokenize(shape, tokens, layout):
    """tokens (b, n, h, r, d) -> {name: A (b, [E,] r, d_in) or B (b, [E,] d_out, r)}. Every A, then every B."""
    b, r, d = tokens.shape[0], shape.r, shape.d
    adapters, next_token = {}, 0
    for role in ("lora_A", "lora_B"):
        for name, E, d_in, d_out in shape.modules:
            width = d_in if role == "lora_A" else d_out
            matrix = (r, width) if role == "lora_A" else (width, r)
            count = shape.token_count(E, width)
            part = tokens[:, :, next_token : next_token + count]
            next_token += count
            if layout == "flat":
                values = part.reshape(b, shape.n, -1)[:, :, : max(E, 1) * r * width].reshape(b, shape.n, max(E, 1), *matrix)
            else:  # token k of an expert is A[:, k*d : (k+1)*d], or the same of transpose(B)
                values = np.swapaxes(part.reshape(b, shape.n, max(E, 1), width // d, r, d), 3, 4)
                values = values.reshape(b, shape.n, max(E, 1), r, width)
                values = values if role == "lora_A" else np.swapaxes(values, 3, 4)
            for layer in range(shape.n):
                adapters[f"{shape.prefix}{layer}.{name}.{role}"] = values[:, layer] if E else values[:, layer, 0]
    assert next_token == shape.h
    return adapters


def expected(shape, weights, condition):
    """What expected.safetensors must hold."""
    tokens = forward(shape, weights, condition)
    result = {"tokens": tokens}
    for layout in ["flat"] + ["rank_anchored"] * shape.has_rank_anchored():
        result |= {f"{layout}.{name}": values for name, values in detokenize(shape, tokens, layout).items()}
    return result


# ---- random weights --------------------------------------------------------------------------------------------------


def random_weights(shape, rng):
    """Signals of order one everywhere, and no bias or gain that could be left out unseen."""
    weights = {}

    def add_linear(name, out, width, scale=1.0):
        weights[name + ".weight"] = rng.standard_normal((out, width)) * (scale / math.sqrt(width))
        weights[name + ".bias"] = rng.standard_normal(out) * 0.3

    def add_gain(name, width):
        weights[name + ".weight"] = rng.uniform(0.5, 1.5, width)

    C, c = shape.C, shape.c
    add_linear("hidden_in", C, shape.input_dim)
    add_gain("model.norm_input", C)
    weights["model.hw_pos.weight"] = rng.standard_normal((shape.h * shape.r, c))
    weights["model.layer_pos.weight"] = rng.standard_normal((shape.n, c))
    add_gain("model.norm_tokens", C)
    for i in range(shape.N):
        block = f"model.blocks.{i}."
        for norm in ("norm1", "norm2", "norm3", "norm4"):
            add_gain(block + norm, C)
        for part in ("self_attn_n", "self_attn_hw", "self_attn_cross"):
            for projection in ("W_q", "W_k", "W_v", "W_o"):
                add_linear(f"{block}{part}.{projection}", C, C)
        add_linear(block + "feed_forward.fc1", 4 * C, C)
        add_linear(block + "feed_forward.fc2", C, 4 * C, 1.5)
    add_gain("model.norm_final", C)
    add_linear("model.proj_out_A", shape.d, c)
    add_linear("model.proj_out_B", shape.d, c)
    return weights


# ---- the fixtures ----------------------------------------------------------------------------------------------------


def dense(d_in, d_out):
    return {"lora_A_dim": d_in, "lora_B_dim": d_out}


def grouped(E, **subs):
    return {"type": "grouped", "num_experts": E, "sub_weights": {name: dense(*widths) for name, widths in subs.items()}}


# Each differs from the others in what its name says. Together: batch 1 to 3, L = 1 to 300, h*w = 3 to 92, a = 1, between, and r.
FIXTURES_TO_MAKE = {
    # One condition vector for 92 positions of a layer; no joined ranks; scale below one.
    "one_vector": dict(
        seed=101, b=3, L=1, n=2, r=4, alpha=2, d=4, a=1, C=16, D=8, N=2, input_dim=7,
        mapping={"to_q": dense(8, 40), "to_v": dense(24, 20)},
    ),
    # 300 condition vectors for 3 positions of the only layer; one module; all ranks joined.
    "long_condition": dict(
        seed=102, b=2, L=300, n=1, r=4, alpha=4, d=16, a=4, C=32, D=16, N=2, input_dim=10,
        mapping={"attn.out": dense(16, 32)},
    ),
    # Experts before and between linear layers, E = 1 and E = 3, under names of their own; both layouts.
    "other_experts": dict(
        seed=103, b=2, L=5, n=3, r=2, alpha=6, d=4, a=1, C=12, D=4, N=1, input_dim=9, prefix="decoder.blocks.",
        mapping={
            "moe": grouped(3, up=(8, 12), down=(12, 8)),
            "attn.qkv": dense(8, 16),
            "moe.common": grouped(1, gate=(8, 4), back=(4, 8)),
            "attn.out": dense(8, 8),
        },
    ),
    # Every matrix leaves part of its last token unused, and a token holds parts of two experts; rank 6 joined by threes.
    "padded_tokens": dict(
        seed=104, b=2, L=11, n=4, r=6, alpha=9, d=8, a=3, C=36, D=12, N=1, input_dim=16,
        mapping={"self_attn.qkv_proj": dense(12, 20), "mlp.experts": grouped(3, w1=(12, 7), w2=(7, 12), w3=(12, 7))},
    ),
    # Three files whose tensors are dealt out in turn, so that no part of the model is in one file; what does not matter is in
    # config.json too. Modules named as in Qwen-Image, whose loader in diffusers knows no others.
    "sharded": dict(
        seed=105, b=1, L=40, n=5, r=8, alpha=16, d=8, a=2, C=24, D=8, N=2, input_dim=12, shards=3,
        extra={"transformers_version": "4.57.1", "dropout": 0.0}, prefix="transformer_blocks.",
        mapping={
            "attn.to_q": dense(8, 16),
            "attn.add_k_proj": dense(8, 16),
            "attn.to_out.0": dense(16, 8),
            "img_mlp.net.0.proj": dense(8, 24),
        },
    ),
    # Weights stored as bfloat16; expected is of the rounded weights. One head.
    "bfloat16": dict(
        seed=106, b=2, L=17, n=3, r=4, alpha=16, d=8, a=2, C=32, D=32, N=2, input_dim=20, dtype="BF16",
        mapping={"self_attn.qkv_proj": dense(16, 32), "self_attn.o_proj": dense(16, 16), "mlp.down_proj": dense(24, 16)},
    ),
}


def config_of(spec):
    return {
        "model_type": "parameter_generator",
        "architectures": ["ParameterGenerator"],
        "torch_dtype": "bfloat16" if spec.get("dtype") == "BF16" else "float32",
        "token_dim": spec["d"],
        "rank": spec["r"],
        "alpha": spec["alpha"],
        "input_dim": spec["input_dim"],
        "dim_accumulation": spec["a"],
        "d_model": spec["C"],
        "head_dim": spec["D"],
        "num_base_model_layers": spec["n"],
        "output_dim": spec["d"],
        "num_pg_layers": spec["N"],
        "prefix": spec.get("prefix", "model.layers."),
        "pg_mapping": spec["mapping"],
    } | spec.get("extra", {})


def write_sharded(folder, weights, count):
    files = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    places = {name: files[i % count] for i, name in enumerate(sorted(weights))}
    size = 0
    for file in files:
        size += write_safetensors(folder / file, {name: weights[name] for name in places if places[name] == file}, "F32")
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make(name, spec, folder):
    config = config_of(spec)
    shape = Shape(config)
    rng = np.random.default_rng(spec["seed"])
    weights = random_weights(shape, rng)
    condition = rng.standard_normal((spec["b"], spec["L"], spec["input_dim"]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if "shards" in spec:
        write_sharded(folder, weights, spec["shards"])
    else:
        write_safetensors(folder / "model.safetensors", weights, spec.get("dtype", "F32"))
    write_safetensors(folder / "condition.safetensors", {"condition": condition}, "F32")
    # What was stored is what counts, rounding included.
    result = expected(shape, read_checkpoint(folder), read_safetensors(folder / "condition.safetensors")["condition"])
    write_safetensors(folder / "expected.safetensors", result, "F64")
    rms = math.sqrt(np.mean(result["tokens"] ** 2))
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name:16} h {shape.h:3} w {shape.w} L {spec['L']:3} rms of tokens {rms:.2f} {size / 1024:6.0f} KiB")


def relative_error(found, wanted):
    """Norm of the difference over the norm of what is wanted."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def check(folder):
    """The largest relative errors of tokens and of adapters against the numbers in folder; None for another variant."""
    shape = Shape(json.loads((folder / "config.json").read_text()))
    wanted = read_safetensors(folder / "expected.safetensors")
    found = expected(shape, read_checkpoint(folder), read_safetensors(folder / "condition.safetensors")["condition"])
    adapters = [name for name in wanted if name.startswith(("flat.", "rank_anchored."))]
    assert sorted(adapters) == sorted(set(found) - {"tokens"}), "other adapters than expected"
    return relative_error(found["tokens"], wanted["tokens"]), max(relative_error(found[a], wanted[a]) for a in adapters)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="?", type=pathlib.Path, const=FIXTURES / "generator", metavar="DIR")
    arguments = parser.parse_args()
    if arguments.check is None:
        for name, spec in FIXTURES_TO_MAKE.items():
            make(name, spec, FIXTURES / "generate" / name)
        return 0
    worst = 0.0
    folders = sorted(path.parent for path in arguments.check.glob("*/config.json"))
    folders = [folder for folder in folders if folder.name != "paper"]  # the variant that the paper describes
    if not folders:
        sys.exit(f"make_fixtures: {arguments.check}: expected folders with a config.json, found none")
    for folder in folders:
        errors = check(folder)
        worst = max(worst, *errors)
        print(f"{folder.name:16} relative error of tokens {errors[0]:.1e}, of adapters {errors[1]:.1e}")
    return 0 if worst < 1e-12 else 1


if __name__ == "__main__":
    sys.exit(main())
