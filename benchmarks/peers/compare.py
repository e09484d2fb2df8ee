#!/usr/bin/env python3
"""Runs wu and PyTorch on the same works, in turns, and prints one table. scripts/bench.sh --peers builds and starts all of it.

Each side is a process that stays: wu's program, PyTorch, PyTorch with torch.compile. Only one of them works at a time; after each
turn there is a pause in which its threads fall asleep, and the processor time of those that wait is measured, so that a side
that does not rest is seen. Memory is measured in processes of their own. Needs nothing but Python 3; PYTHON has PyTorch.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import table

HERE = pathlib.Path(__file__).parent
SIDES = ("wu", "eager", "compiled")
TOLERANCE = {"F32": 1e-4, "BF16": 0.1}  # of the check: the largest relative difference of a tensor
# What only PyTorch's side runs: the product of its other library. Its float32 products go to MKL.
MORE_PRODUCTS = {"product/onednn/F32/forward": "product/square/F32/forward"}


class Side:
    def __init__(self, name, options):
        self.name = name
        threads = str(options.threads)
        command = [options.wu, threads] if name == "wu" else [options.python, str(HERE / "torch_side.py"), name, threads]
        cache = str(pathlib.Path(options.out).resolve() / "inductor")  # what torch.compile has made is kept for another run
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache})
        except OSError as error:
            sys.exit(f"compare.py: {command[0]} cannot be started: {error.strerror}")

    def ask(self, *words):
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            sys.exit(f"compare.py: the side '{self.name}' gave no answer to: {' '.join(map(str, words))}")

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        with contextlib.suppress(OSError):  # a side that has ended reads no more
            self.process.stdin.close()
        if failure:  # it may be in the middle of a long step
            self.process.terminate()
        self.process.wait()


def sides_of(name, chosen):
    """Which sides run a work: products are not compiled, growth and recompute are wu's alone."""
    kind = name.split("/")[0]
    if kind == "product":
        sides = ("eager",) if name in MORE_PRODUCTS else ("wu", "eager") if "square" in name else ("wu",)
    else:
        sides = ("wu",) if kind in ("growth", "recompute") else SIDES
    return [side for side in sides if side in chosen]


def turns(sides, rounds, seconds):
    """{side: the median of each turn's median step}, and the largest share of a processor that one which waited has taken."""
    times, restless = {side.name: [] for side in sides}, 0
    for index in range(rounds):
        for side in sides if index % 2 == 0 else reversed(sides):
            time.sleep(0.1)
            before, start = {other: other.processor_seconds() for other in sides}, time.perf_counter()
            times[side.name].append(statistics.median(side.ask("run", seconds)["seconds"]))
            for other in sides:
                if other is not side:
                    restless = max(restless, (other.processor_seconds() - before[other]) / (time.perf_counter() - start))
    return times, restless


def open_work(side, name, folder):
    if side.name == "wu":
        side.ask("open", name)
    else:
        side.ask("open", name, folder)


def measure(work, sides, options):
    """One entry of the result."""
    name, given = work["name"], MORE_PRODUCTS.get(work["name"], work["name"])
    entry = {"operations": work["operations"], "check": {}, "times": {}, "memory": {}}
    taking_part = [sides[side] for side in sides_of(name, options.sides)]
    with tempfile.TemporaryDirectory() as folder:
        peers = [side for side in taking_part if side.name != "wu"]
        if peers:  # they are given wu's numbers
            sides["wu"].ask("open", given)
            sides["wu"].ask("save", folder)
        for side in taking_part:
            open_work(side, name, folder)
        if name not in MORE_PRODUCTS:
            for side in peers:
                entry["check"][side.name] = side.ask("check", folder)
        entry["times"], entry["restless"] = turns(taking_part, options.rounds, options.seconds)
        if not name.startswith("product"):
            for side in taking_part:
                with Side(side.name, options) as alone:
                    open_work(alone, name, folder)
                    entry["memory"][side.name] = alone.ask("memory")
    return entry


def wrong(results):
    """What the checks found."""
    return [f"{name}: {side} computes something else than wu: {check['of']} differs by {check['difference']:.1e}, "
            f"more than {TOLERANCE[dtype]:.0e}"
            for name, entry in results["works"].items() for side, check in entry["check"].items()
            for dtype in (part for part in name.split("/") if part in TOLERANCE) if not check["difference"] <= TOLERANCE[dtype]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wu", required=True, metavar="PROGRAM", help="wu-bench-peers")
    parser.add_argument("--python", required=True, metavar="PYTHON", help="a Python with PyTorch and safetensors")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each side (default: 2)")
    parser.add_argument("--only", default=".", metavar="REGEX", help="only works whose name matches; products are always measured")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES, help="which sides run (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--keep", action="store_true", help="works measured by an earlier run into the same folder stay in the result")
    parser.add_argument("--out", default="out", metavar="DIR", help="where peers.json and peers.txt go (default: ./out)")
    parser.add_argument("--markdown", metavar="FILE", help="also replace the tables in a page")
    options = parser.parse_args()
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f"--only: {options.only}: {error}")
    options.rounds, options.seconds = (2, 0.3) if options.quick else (5, 0.5)

    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "peers.json"
    results = {"works": {}}
    if options.keep and file.exists():
        try:
            results = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            sys.exit(f"compare.py: {file}: expected the result of an earlier run; remove it or leave --keep out")
    with Side("wu", options) as wu, Side("eager", options) as eager, Side("compiled", options) as compiled:
        sides = {"wu": wu, "eager": eager, "compiled": compiled}
        works = wu.ask("list")["works"]
        operations = {work["name"]: work["operations"] for work in works}
        works[:0] = [{"name": name, "operations": operations[same]} for name, same in MORE_PRODUCTS.items()]
        results |= {"pytorch": eager.ask("version")["version"], "threads": options.threads, "machine": table.machine(),
                    "date": time.strftime("%Y-%m-%d")}
        for work in works:
            if work["name"].startswith("product/") or re.search(options.only, work["name"]):
                print(work["name"], flush=True, file=sys.stderr)
                results["works"][work["name"]] = measure(work, sides, options)
                file.write_text(json.dumps(results, indent=1), encoding="utf-8")
    results["works"] = {name: results["works"][name] for name in [w["name"] for w in works] if name in results["works"]}
    file.write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = table.text(results)
    (out / "peers.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    failures = wrong(results)
    for line in failures:
        print(f"compare.py: {line}", file=sys.stderr)
    if options.markdown and not failures:
        table.write_markdown(options.markdown, results)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("compare.py: interrupted; what was measured is in peers.json, and --keep goes on from there")
