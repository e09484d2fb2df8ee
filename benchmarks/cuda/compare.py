#!/usr/bin/env python3
"""Runs wu and PyTorch on the same works on one GPU, in turns, and writes what was measured. scripts/gpu-check.sh starts it.

Each side is a process that stays and is idle while the other works; PyTorch's runs its works eagerly and compiled. With --tiny both
begin with the same numbers, and it is checked that they compute the same. Needs nothing but Python 3; PYTHON has PyTorch.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
TOLERANCE = {"F32": 1e-4, "BF16": 0.1}  # of the check: the largest relative difference of a tensor


def has_peer(name):
    """Recordings, products in FP8 and attention on wu's own kernels are wu's alone; the same work has a name without these."""
    return not name.endswith(("/graph", "/FP8", "/own"))


class Failed(Exception):
    """A side answered with an error, or not at all."""


class Side:
    """A process that reads commands, and is started when there is something to ask."""

    def __init__(self, *command, environment=None, ends_on_error=False):
        self.command, self.environment, self.process = command, environment or {}, None
        self.ends_on_error = ends_on_error

    def ask(self, *words):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            env=os.environ | self.environment)
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.end()
            raise Failed(f"no answer to: {' '.join(map(str, words))}") from None
        if "error" in answer:
            if self.ends_on_error:
                self.end()
            raise Failed(answer["error"])
        return answer

    def end(self):
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            self.process.terminate()
            self.process.wait()
            self.process = None


class Comparison:
    def __init__(self, options):
        self.options, self.end = options, time.monotonic() + options.limit
        # After an error of the device nothing else works in the same process.
        self.wu = Side(options.wu, *(["--tiny"] if options.tiny else []), ends_on_error=True)
        cache = str(pathlib.Path(options.cache or f"{options.out}/inductor").resolve())
        flags = (["--tiny"] if options.tiny else []) + (["--whole"] if options.whole else [])
        self.torch = options.python and Side(options.python, str(HERE / "torch_side.py"), options.device, *flags,
                                             environment={"TORCHINDUCTOR_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"})
        self.file = pathlib.Path(options.out) / "bench.json"
        self.results = {"works": {}}

    def write(self):
        self.file.write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    @contextlib.contextmanager
    def noting(self, entry, side):
        """What fails is written down; the other sides go on."""
        try:
            yield
        except Failed as failure:
            entry["failed"][side] = str(failure)

    def check(self, name, entry):
        """Both sides from the same numbers."""
        with tempfile.TemporaryDirectory() as folder:
            self.wu.ask("open", name)
            self.wu.ask("save", folder)
            self.torch.ask("open", name, folder)
            for mode in self.torch.ask("modes")["modes"]:
                if mode in self.options.modes:
                    with self.noting(entry, mode):
                        self.torch.ask("open", name, folder)  # training has moved the weights
                        entry["check"][mode] = self.torch.ask("check", folder, mode)

    def measure(self, name, entry):
        runs = {}
        with self.noting(entry, "wu"):
            self.wu.ask("open", name)
            # Now, for it counts what the whole device has less, and PyTorch's side is idle until it is asked.
            entry["memory"]["wu"] = self.wu.ask("memory")
            runs["wu"] = lambda: self.wu.ask("run", self.options.seconds)
        if self.torch and has_peer(name):
            with self.noting(entry, "torch"):
                self.torch.ask("open", name)
                for mode in self.torch.ask("modes")["modes"]:
                    if mode in self.options.modes:
                        runs[mode] = lambda mode=mode: self.torch.ask("run", self.options.seconds, mode)
        for turn in range(self.options.rounds):
            for side in list(runs) if turn % 2 == 0 else reversed(list(runs)):
                with self.noting(entry, side):
                    if side not in entry["failed"]:
                        entry["times"].setdefault(side, []).append(statistics.median(runs[side]()["seconds"]))
                self.write()
        for side in runs:
            with self.noting(entry, side):
                if side != "wu" and side not in entry["failed"]:
                    entry["memory"][side] = self.torch.ask("memory", side)

    def run(self):
        if self.options.keep and self.file.exists():
            self.results = json.loads(self.file.read_text(encoding="utf-8"))
        listed = self.wu.ask("list")
        if self.results.get("device", listed["device"]) != listed["device"]:
            sys.exit(f"compare.py: {self.file}: expected a run on {listed['device']} to go on with, found one on "
                     f"{self.results['device']}")
        works = [work for work in listed["works"] if self.options.only in work["name"] or work["name"].startswith("product/")]
        self.results |= {"device": listed["device"], "tiny": self.options.tiny, "whole": self.options.whole,
                         "pytorch": self.torch.ask("version") if self.torch else None}
        for work in works:
            if self.options.keep and self.results["works"].get(work["name"], {}).get("complete"):
                continue
            entry = {"operations": work["operations"], "times": {}, "memory": {}, "check": {}, "failed": {}, "complete": False}
            self.results["works"][work["name"]] = entry
            if time.monotonic() > self.end:
                self.write()
                continue
            print(work["name"], flush=True, file=sys.stderr)
            if self.options.tiny and self.torch and has_peer(work["name"]):
                with self.noting(entry, "check"):
                    self.check(work["name"], entry)
            if self.options.rounds > 0:
                self.measure(work["name"], entry)
            entry["complete"] = not {"wu", "check"} & set(entry["failed"])
            self.write()
        self.results["works"] = {work["name"]: self.results["works"][work["name"]] for work in listed["works"]
                                 if work["name"] in self.results["works"]}
        self.write()

    def failures(self):
        for name, entry in self.results["works"].items():
            if self.options.rounds > 0 and not entry["times"] and not entry["failed"]:
                yield f"{name}: not measured, for the time was up"
            for side, what in entry["failed"].items():
                yield f"{name}: {side}: {what}"
            for side, check in entry["check"].items():
                tolerance = TOLERANCE[name.split("/")[1]]
                if not check["difference"] <= tolerance:
                    yield (f"{name}: {side} computes something else than wu: {check['of']} differs by {check['difference']:.1e}, "
                           f"more than {tolerance:.0e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wu", required=True, metavar="PROGRAM", help="wu-bench-cuda")
    parser.add_argument("--python", metavar="PYTHON", help="a Python with PyTorch (default: wu alone is measured)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="PyTorch's (default: cuda)")
    parser.add_argument("--modes", nargs="+", choices=("eager", "compiled", "cudnn"), default=("eager", "compiled", "cudnn"),
                        help="of PyTorch (default: all)")
    parser.add_argument("--whole", action="store_true", help="compile a generator as one function, not block by block: takes longer")
    parser.add_argument("--tiny", action="store_true", help="sizes that a processor can do; the results are compared")
    parser.add_argument("--only", default="", metavar="TEXT", help="works whose name has it; products are always measured")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default: 3); 0: with --tiny only compare results")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, at least one step (default: 0.5)")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which no other work is begun")
    parser.add_argument("--keep", action="store_true", help="works that an earlier run into the same folder has completed stay")
    parser.add_argument("--out", default="out", metavar="DIR", help="where bench.json goes (default: ./out)")
    parser.add_argument("--cache", metavar="DIR", help="where what torch.compile makes is kept for another run (default: DIR/inductor)")
    options = parser.parse_args()
    pathlib.Path(options.out).mkdir(parents=True, exist_ok=True)
    comparison = Comparison(options)
    try:
        comparison.run()
    except Failed as failure:
        sys.exit(f"compare.py: {failure}")
    finally:
        comparison.wu.end()
        if comparison.torch:
            comparison.torch.end()
    failures = list(comparison.failures())
    for line in failures:
        print(f"compare.py: {line}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("compare.py: interrupted; what was measured is in bench.json, and --keep goes on from there")
