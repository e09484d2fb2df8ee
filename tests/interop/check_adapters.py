#!/usr/bin/env python3
"""Do other programs apply an adapter file of wu as wu means it? Run by hand; needs requirements.txt.

  check_adapters.py --truth HY_WU [--peft FOLDER] [--diffusers FILE] [--kohya FILE]

HY_WU is what wu-generate --format hy-wu wrote; the others must hold the same adapters. For each, a model of linear layers with
the right names and widths is made, the file is loaded with the real loaders of peft and diffusers, and every layer's output is
compared with y = W x + scale * B (A x) of HY_WU in float64. Prints a table; exit status 1 if anything differs by more than
--tolerance, was not adapted, was adapted although HY_WU has nothing for it, or if a loader warned.

Experts are linear layers of their own: layer w of expert e of a group is {group}.{e}.{w}. Where a group has w1, w2 and w3,
w3 and w1 are one layer {group}.{e}.gate_and_up_proj, rows of w3 first, and w2 is down_proj: the layout of HunyuanImage-3.0.

What each row loads with:
  peft           PeftModel.from_pretrained
  peft, merged   the same, and then merge_and_unload
  model          ModelMixin.load_lora_adapter(FILE) of diffusers, which does not look at the file's metadata
  model, st      load_lora_adapter(FILE, use_safetensors=True), which does
  pipeline       load_lora_weights of a pipeline with QwenImageLoraLoaderMixin: its conversions and the file's metadata. For
                 kohya, only where all names are Qwen-Image's (transformer_blocks.*): it knows no others, and diffusers has no
                 converter for flattened names of HunyuanImage-3.0
  network_alphas load_lora_adapter of diffusers after renaming: lora_unet_{path with _} is looked up among the model's paths
                 here, and the alphas go in by that argument
"""

import argparse
import logging
import pathlib
import sys
import warnings

import diffusers
import peft
import safetensors.torch
import torch
import transformers
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.loaders.lora_pipeline import QwenImageLoraLoaderMixin
from diffusers.models.modeling_utils import ModelMixin
from peft.tuners.tuners_utils import BaseTunerLayer

DTYPE = torch.float64


class Layer:
    """One linear layer, weight (out, in), and the adapters (A (r, in), B (rows, r)) of its rows, from above to below."""

    def __init__(self, adapters, scale, generator):
        width, out = adapters[0][0].shape[1], sum(B.shape[0] for _, B in adapters)
        self.weight = torch.randn(out, width, generator=generator, dtype=DTYPE) / width**0.5
        self.x = torch.randn(5, width, generator=generator, dtype=DTYPE)
        self.base = self.x @ self.weight.T
        self.update = scale * torch.cat([(self.x @ A.to(DTYPE).T) @ B.to(DTYPE).T for A, B in adapters], dim=1)
        if not self.update.norm() > 1e-3 * self.base.norm():
            sys.exit("check_adapters: an update of the truth is next to nothing, so that comparing outputs would show nothing")


def read_truth(path):
    """{path of the linear layer: Layer} of a file with names {module}.lora_A, .lora_B, batch axis of 1, and scale."""
    tensors = safetensors.torch.load_file(path)
    scale = float(tensors.pop("scale"))
    pairs = {}
    for name, values in tensors.items():
        module, role = name.rsplit(".", 1)
        if role not in ("lora_A", "lora_B") or values.shape[0] != 1:
            found = f"{name} {tuple(values.shape)}"
            sys.exit(f"check_adapters: {path}: expected .lora_A and .lora_B with a batch axis of 1, found {found}")
        pairs.setdefault(module, {})[role] = values[0]
    generator = torch.Generator().manual_seed(7)
    layers = {}
    for module, pair in pairs.items():
        A, B = pair["lora_A"], pair["lora_B"]
        if A.ndim == 2:
            layers[module] = Layer([(A, B)], scale, generator)
            continue
        group, sub = module.rsplit(".", 1)
        hunyuan_image = all(f"{group}.{w}" in pairs for w in ("w1", "w2", "w3"))
        for e in range(A.shape[0]):
            if not hunyuan_image:
                layers[f"{group}.{e}.{sub}"] = Layer([(A[e], B[e])], scale, generator)
            elif sub == "w2":
                layers[f"{group}.{e}.down_proj"] = Layer([(A[e], B[e])], scale, generator)
            elif sub == "w3":
                w1 = pairs[f"{group}.w1"]
                both = [(A[e], B[e]), (w1["lora_A"][e], w1["lora_B"][e])]
                layers[f"{group}.{e}.gate_and_up_proj"] = Layer(both, scale, generator)
    return layers


def beside(path):
    return "unadapted." + path.split(".", 1)[1]


def add_layers(root, layers):
    """The linear layers, each at its path, and others that nothing may adapt: the same names in another part of a model."""
    for path, layer in layers.items():
        for where in (path, beside(path)):
            parent = root
            *parts, last = where.split(".")
            for part in parts:
                if part not in parent._modules:
                    parent.add_module(part, torch.nn.Module())
                parent = parent._modules[part]
            linear = torch.nn.Linear(layer.weight.shape[1], layer.weight.shape[0], bias=False, dtype=DTYPE)
            linear.weight.data.copy_(layer.weight)
            parent.add_module(last, linear)
    return root


class Transformer(ModelMixin, ConfigMixin, PeftAdapterMixin):
    @register_to_config
    def __init__(self):
        super().__init__()


class Pipeline(diffusers.DiffusionPipeline, QwenImageLoraLoaderMixin):
    def __init__(self, transformer):
        super().__init__()
        self.transformer = transformer

    @property
    def components(self):
        return {"transformer": self.transformer}


# ---- the loaders: each returns the model that it adapted -----------------------------------------------------------------


def load_peft(layers, folder):
    return peft.PeftModel.from_pretrained(add_layers(torch.nn.Module(), layers), folder).base_model.model


def load_peft_merged(layers, folder):
    return peft.PeftModel.from_pretrained(add_layers(torch.nn.Module(), layers), folder).merge_and_unload()


def load_model(layers, file):
    model = add_layers(Transformer(), layers)
    model.load_lora_adapter(file, prefix="transformer")
    return model


def load_model_safetensors(layers, file):
    model = add_layers(Transformer(), layers)
    model.load_lora_adapter(file, prefix="transformer", use_safetensors=True)
    return model


def load_pipeline(layers, file):
    model = add_layers(Transformer(), layers)
    Pipeline(model).load_lora_weights(file)
    return model


def load_network_alphas(layers, file):
    paths = {path.replace(".", "_"): path for path in layers}
    state, alphas = {}, {}
    for name, values in safetensors.torch.load_file(file).items():
        flat, role = name.removeprefix("lora_unet_").split(".", 1)
        key = f"transformer.{paths[flat]}"
        if role == "alpha":
            alphas[f"{key}.alpha"] = values.item()
        else:
            state[f"{key}.{ {'lora_down.weight': 'lora_A', 'lora_up.weight': 'lora_B'}[role]}.weight"] = values
    model = add_layers(Transformer(), layers)
    model.load_lora_adapter(state, prefix="transformer", network_alphas=alphas)
    return model


# ---- comparing -----------------------------------------------------------------------------------------------------------


class Complaints(logging.Handler):
    """What loaders only warn of: keys that are missing or unexpected, modules that do not match."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def compare(model, layers, merged):
    """Worst relative error of outputs and of updates, how far outputs are without the adapter at least, adapted layers."""
    for parameter in model.parameters():  # some loaders keep the file's type, in which they would round
        parameter.data = parameter.data.to(DTYPE)
    outputs = updates = 0.0
    without = float("inf")
    for path, layer in layers.items():
        with torch.no_grad():
            y = model.get_submodule(path)(layer.x)
        other = model.get_submodule(beside(path))
        wanted = layer.base + layer.update
        outputs = max(outputs, float((y - wanted).norm() / wanted.norm()))
        updates = max(updates, float((y - layer.base - layer.update).norm() / layer.update.norm()))
        without = min(without, float(layer.update.norm() / wanted.norm()))
        if isinstance(other, BaseTunerLayer) or not torch.equal(other.weight, layer.weight):
            raise RuntimeError(f"{beside(path)} was adapted too")
    adapted = sum(isinstance(module, BaseTunerLayer) for module in model.modules())
    if not merged and adapted != len(layers):
        raise RuntimeError(f"{adapted} layers adapted, expected {len(layers)}")
    return outputs, updates, without


def run(row, loader, layers, path, tolerance):
    complaints = Complaints()
    loggers = [logging.getLogger(name) for name in ("diffusers", "peft", "transformers")]
    for logger in loggers:
        logger.addHandler(complaints)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = loader(layers, str(path))
            outputs, updates, without = compare(model, layers, loader is load_peft_merged)
        harmless = (DeprecationWarning, FutureWarning)
        texts = complaints.texts + [str(w.message) for w in caught if not issubclass(w.category, harmless)]
    except Exception as error:  # whatever a loader raises is the finding
        text = str(error).strip().splitlines() or [""]
        print(f"{row:28} {len(layers):6}   failed: {type(error).__name__}: {text[0][:300]}")
        return False
    finally:
        for logger in loggers:
            logger.removeHandler(complaints)
    good = outputs <= tolerance and updates <= tolerance and not texts
    print(f"{row:28} {len(layers):6} {outputs:9.1e} {updates:9.1e} {without:9.2f}   {'same' if good else 'OTHER'}")
    for text in texts:
        print(f"    warned: {text[:600]}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", required=True, type=pathlib.Path)
    parser.add_argument("--peft", action="append", default=[], type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--diffusers", action="append", default=[], type=pathlib.Path, metavar="FILE")
    parser.add_argument("--kohya", action="append", default=[], type=pathlib.Path, metavar="FILE")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    layers = read_truth(arguments.truth)
    rows = []
    for path in arguments.peft:
        rows += [("peft", load_peft, path), ("peft, merged", load_peft_merged, path)]
    for path in arguments.diffusers:
        rows += [("diffusers, model", load_model, path), ("diffusers, model, st", load_model_safetensors, path)]
        rows += [("diffusers, pipeline", load_pipeline, path)]
    for path in arguments.kohya:
        if all(name.startswith("transformer_blocks.") for name in layers):
            rows += [("kohya, pipeline", load_pipeline, path)]
        rows += [("kohya, network_alphas", load_network_alphas, path)]
    if not rows:
        parser.error("nothing to compare with the truth: give --peft, --diffusers or --kohya")
    versions = {"torch": torch, "peft": peft, "diffusers": diffusers, "transformers": transformers}
    print(f"{arguments.truth}: " + ", ".join(f"{name} {module.__version__}" for name, module in versions.items()))
    print(f"{'loaded with':28} {'layers':>6} {'output':>9} {'update':>9} {'without':>9}")
    results = [run(row, loader, layers, path, arguments.tolerance) for row, loader, path in rows]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
