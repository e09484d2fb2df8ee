"""PyTorch's side of the comparison on a GPU: sets up a work, runs it when told to, and is idle in between.

usage: torch_side.py cuda|cpu [--tiny] [--whole]      commands on standard input, each answered with one line of JSON:
  version              of PyTorch and cuDNN
  open WORK [FOLDER]   from the weights and inputs that wu's side saved in the folder, or from random numbers
  modes                in which the open work runs: eager, compiled, cudnn
  check FOLDER MODE    the first steps' results against wu's: the largest relative difference of a tensor, and which one's
  run SECONDS MODE     the seconds of a step, several times, as often as fits, at least once
  memory MODE          bytes of the device that are in use at most during two steps, weights and inputs with them
--whole: see open_work. What goes wrong is answered as {"error": ...}.
"""

import gc
import json
import math
import sys
import time

import torch

from torch_works import DTYPES, open_work
from torch_difference import largest_difference  # torch_works has told where that is


def load(path, device):
    """{name: tensor} of a safetensors file, in float32 and bfloat16."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(data, dtype=DTYPES[one["dtype"]], offset=one["data_offsets"][0], count=math.prod(one["shape"]))
            .clone().view(one["shape"]).to(device) for name, one in header.items()}


class Side:
    def __init__(self, device, tiny, whole):
        self.device, self.tiny, self.whole, self.work = device, tiny, whole, None

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def steps(self, count, mode):
        for _ in range(count):
            self.work.step(mode)
        self.wait()

    def version(self):
        return {"version": torch.__version__, "cudnn": torch.backends.cudnn.version() if self.device == "cuda" else None}

    def open(self, name, folder=None):
        self.work = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
        given = load(f"{folder}/given.safetensors", self.device) if folder else None
        self.work, self.warm = open_work(name, given, self.tiny, self.device, self.whole), set()
        return {}

    def modes(self):
        return {"modes": list(self.work.run)}

    def check(self, folder, mode):
        self.steps(self.work.checked_steps, mode)
        found = {name: tensor.cpu() for name, tensor in self.work.results().items()}
        return largest_difference(found, load(f"{folder}/computed.safetensors", "cpu"), self.work.dtype)

    def run(self, seconds, mode):
        """As wu's side does it."""
        if mode not in self.warm:
            self.steps(2, mode)
            self.warm.add(mode)
        begin = time.perf_counter()
        self.steps(1, mode)
        first = time.perf_counter() - begin
        times, count = [first] if first >= 0.02 else [], min(max(math.ceil(0.02 / first), 1), 1000)
        while not times or time.perf_counter() - begin < float(seconds):
            start = time.perf_counter()
            self.steps(count, mode)
            times.append((time.perf_counter() - start) / count)
        return {"seconds": times}

    def memory(self, mode):
        if self.device != "cuda":
            return {"used": None}
        if mode not in self.warm:
            self.steps(2, mode)
            self.warm.add(mode)
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        self.steps(1, mode)
        return {"used": torch.cuda.max_memory_allocated()}


def main():
    side = Side(sys.argv[1], "--tiny" in sys.argv, "--whole" in sys.argv)
    torch.manual_seed(1)
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            answer = getattr(side, command)(*arguments)
        except Exception as error:  # the other works may still be measured
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # compare.py says it
