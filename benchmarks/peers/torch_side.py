"""PyTorch's side of the comparison: sets up a work, runs it when told to, and is idle in between.

usage: torch_side.py eager|compiled THREADS      commands on standard input, each answered with one line of JSON:
  version            of PyTorch
  open WORK FOLDER   from the weights and inputs that wu's side saved in the folder
  check FOLDER       the first steps' results against wu's: the largest relative difference of a tensor, and which one's
  run SECONDS        the seconds of each of so many steps as fit, at least one, after one that is not timed
  memory             bytes in memory before a step and at most during it, and those kept between steps
"""

import ctypes
import gc
import json
import re
import sys
import time

import torch
from safetensors.torch import load_file

from torch_difference import largest_difference
from torch_works import open_work


def memory_of(field):
    with open("/proc/self/status", encoding="ascii") as status:
        return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.MULTILINE)[1])


def check(work, folder):
    for _ in range(work.checked_steps):
        work.step()
    return largest_difference(work.results(), load_file(f"{folder}/computed.safetensors"), work.dtype)


def run(work, seconds):
    work.step()
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        work.step()
        times.append(time.perf_counter() - start)
    return {"seconds": times}


def memory(work):
    """After some steps, so that what is compiled and set up once does not count; before each reading what is free is given back."""
    for _ in range(3):
        work.step()
    work.forget()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = memory_of("VmRSS")
    with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")  # the peak counts from here on
    for _ in range(2):
        work.step()
    return {"before": before, "peak": memory_of("VmHWM"), "kept": work.kept_bytes}


def main():
    mode, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    work = None
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "version":
            answer = {"version": torch.__version__}
        elif command == "open":
            work = None
            given = load_file(f"{arguments[1]}/given.safetensors")
            work, answer = open_work(arguments[0], given, torch.compile if mode == "compiled" else lambda f: f), {}
        elif command == "check":
            answer = check(work, arguments[0])
        elif command == "run":
            answer = run(work, float(arguments[0]))
        elif command == "memory":
            answer = memory(work)
        else:
            raise ValueError(f"expected version, open, check, run or memory, found {command}")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # compare.py says it
