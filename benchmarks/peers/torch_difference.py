"""How far what PyTorch has computed is from what wu has."""

import torch


def rms(tensors):
    """The root of the mean square of all values."""
    return (sum(t.double().square().sum() for t in tensors) / sum(t.numel() for t in tensors)).sqrt().item()


def largest_difference(found, expected, dtype):
    """Of {name: tensor} each, relative to a tensor's size. A gradient that is 0 but for rounding, as that of an encoder's W_k.bias, is
    compared with a thousandth of the usual size, in bfloat16 with a tenth."""
    if found.keys() != expected.keys():
        raise ValueError(f"only one side has computed: {sorted(found.keys() ^ expected.keys())}")
    usual = rms([t for name, t in expected.items() if name.startswith("grad.")] or [torch.zeros(1)])

    least = usual / (1000 if dtype == torch.float32 else 10)

    def difference(name):
        size = max(rms([expected[name]]), least if name.startswith("grad.") else 0)
        return rms([found[name].double().view_as(expected[name]) - expected[name].double()]) / size

    worst = max((difference(name), name) for name in expected)
    return {"difference": worst[0], "of": worst[1], "tensors": len(expected)}
