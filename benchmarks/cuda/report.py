#!/usr/bin/env python3
"""What scripts/gpu-check.sh found, as one Markdown table and one JSON file, from what its parts have left in a folder.

usage: report.py FOLDER      reads machine.json, parity.log, sanitize.tsv and bench.json, those of them that are there; writes
                             gpu-check.md and gpu-check.json
"""

import json
import math
import pathlib
import re
import statistics
import sys

GIB = 1 << 30
PARITY = {"float64": None, "float32": 1e-4, "bfloat16": 2e-2}  # largest relative difference that is the target


def parity(log):
    """The tests' log, written with --log_level=all: what each case has checked, and how far it was off."""
    cases, case = {}, None
    for line in log.splitlines():
        if entered := re.search(r'Entering test case "(.+)"', line):
            case = cases.setdefault(entered[1], {"ended": False, "failed": 0, "passed": 0, "off": {}})
        if case is None:
            continue
        if re.search(r"Leaving test case", line):
            case["ended"], case = True, None
            continue
        case["failed"] += bool(re.search(r"\): (fatal )?error: ", line))
        case["passed"] += bool(re.search(r"\): info: .* has passed", line))
        if off := re.search(r"(float64|float32|bfloat16): .* is off by (-?nan|inf|[0-9.e+-]+)", line):
            value = float(off[2].lstrip("-"))
            case["off"][off[1]] = max(case["off"].get(off[1], 0.0), math.inf if math.isnan(value) else value)
    return cases


def good(case):
    return case["ended"] and case["failed"] == 0 and case["passed"] > 0


def sanitized(lines):
    """One run for each line: tool, what it ran on, exit status, seconds, its last summary."""
    runs = []
    for line in lines.splitlines():
        tool, what, status, seconds, summary = line.split("\t")
        runs.append({"tool": tool, "on": what, "status": int(status), "seconds": int(seconds), "summary": summary})
    return runs


def found(status):
    return {0: "nothing found", 77: "no device", 124: "cut off by the time limit",
            137: "cut off by the time limit"}.get(status, "found something")


def time_of(works, name, side):
    turns = works.get(name, {}).get("times", {}).get(side)
    return statistics.median(turns) if turns else None


def rate(works):
    """The device's rate: operations per second of the large product, the fastest turn of either side."""
    return max((entry["operations"] / min(turns) for name, entry in works.items() if name.startswith("product/")
                for turns in entry["times"].values()), default=None)


def ratio(a, b):
    return a / b if a is not None and b else None


def targets(bench):
    """(what, value or None, the target as text, whether it is met or None)"""
    works = bench["works"]
    peak = rate(works)

    def row(what, value, form, least=None, most=None):
        met = None if value is None else (least is None or value >= least) and (most is None or value <= most)
        goal = f"at least {least:{form}}" if least is not None else f"at most {most:{form}}"
        return what, None if value is None else f"{value:{form}}", goal, met

    def share(name):
        return ratio(ratio(works[name]["operations"], time_of(works, name, "wu")), peak) if name in works else None

    def times_wu(name, side, of=None):
        return ratio(time_of(works, of or name, side), time_of(works, name, "wu"))

    quickest = min((name for name in ("generation/BF16", "generation/BF16/graph") if time_of(works, name, "wu") is not None),
                   key=lambda name: time_of(works, name, "wu"), default="generation/BF16")
    memory = works.get("generation/BF16", {}).get("memory", {}).get("wu")
    beside = (memory["used"] - memory["weights"]) / GIB if memory else None
    rows = [row(f"{quickest}: share of the product's rate", share(quickest), ".2f", least=0.7),
            row(f"{quickest}: PyTorch's time over wu's", times_wu(quickest, "eager", "generation/BF16"), ".2f", least=1.3),
            row(f"{quickest}: compiled PyTorch's time over wu's", times_wu(quickest, "compiled", "generation/BF16"), ".2f",
                least=1.15),
            row("generation/BF16: memory beside the weights, GiB", beside, ".2f", most=8),
            row("generation/FP8: time over that of generation/BF16",
                ratio(time_of(works, "generation/FP8", "wu"), time_of(works, "generation/BF16", "wu")), ".2f", most=0.65),
            row("training/BF16: share of the product's rate", share("training/BF16"), ".2f", least=0.6),
            row("training/BF16: PyTorch's time over wu's", times_wu("training/BF16", "eager"), ".2f", least=1.3)]
    for part in ("forward", "backward"):
        name = f"attention/BF16/{part}"
        rows.append(row(f"{name}: PyTorch's time over wu's", times_wu(name, "eager"), ".2f", least=1.0))
    rows.append(row("adapted_linear/BF16: time over that of linear/BF16",
                    ratio(time_of(works, "adapted_linear/BF16", "wu"), time_of(works, "linear/BF16", "wu")), ".3f", most=1.1))
    return rows


def table(lines):
    cells = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([cells[0], "| --- |" + " ---: |" * (len(lines[0]) - 1), *cells[1:]])


def mark(met):
    return {None: "not measured", True: "yes", False: "**no**"}[met]


def of_parity(cases):
    lines = [["test", "checks", *PARITY, "passed"]]
    for name, case in cases.items():
        off = [f"{case['off'][dtype]:.0e}" if dtype in case["off"] else "" for dtype in PARITY]
        lines.append([name, str(case["passed"] + case["failed"]), *off, mark(good(case))])
    return "## Parity: the largest difference from the reference, relative to the largest value\n\n" + table(lines)


def of_sanitizer(runs):
    return "## compute-sanitizer\n\n" + table([["tool", "on", "seconds", "result", "summary"]] + [
        [run["tool"], run["on"], str(run["seconds"]), found(run["status"]), run["summary"]] for run in runs])


def of_bench(bench):
    works, peak = bench["works"], rate(bench["works"])

    def cell(value, form, factor=1.0):
        return "" if value is None else f"{value * factor:{form}}"

    lines = [["work", "wu ms", "wu TFLOP/s", "of the product", "eager ms", "compiled ms", "cuDNN ms", "eager / wu", "compiled / wu",
              "wu GiB", "of them weights", "eager GiB", "compiled GiB", "remark"]]
    for name, entry in works.items():
        wu, eager, compiled, cudnn = (time_of(works, name, side) for side in ("wu", "eager", "compiled", "cudnn"))
        speed, memory = ratio(entry["operations"], wu), entry["memory"]
        remarks = [f"{side}: {what}" for side, what in entry["failed"].items()]
        if not entry["times"] and not entry["failed"]:
            remarks.append("not measured, for the time was up")
        if (error := memory.get("wu", {}).get("relative_error")) is not None:
            remarks.append(f"relative error {error:.1e} against bfloat16")
        if (kernel := memory.get("wu", {}).get("attention")) is not None:
            remarks.append(f"attention: {kernel}")
        used = [memory.get(side, {}).get("used") for side in ("wu", "eager", "compiled")]
        lines.append([name, cell(wu, ".3f", 1e3), cell(speed, ".1f", 1e-12), cell(ratio(speed, peak), ".2f"), cell(eager, ".3f", 1e3),
                      cell(compiled, ".3f", 1e3), cell(cudnn, ".3f", 1e3), cell(ratio(eager, wu), ".2f"),
                      cell(ratio(compiled, wu), ".2f"), cell(used[0], ".2f", 1 / GIB),
                      cell(memory.get("wu", {}).get("weights"), ".2f", 1 / GIB), cell(used[1], ".2f", 1 / GIB),
                      cell(used[2], ".2f", 1 / GIB), "; ".join(remarks).replace("|", "/")])
    goals = [["target", "measured", "wanted", "met"]]
    goals += [[what, value or "", goal, mark(met)] for what, value, goal, met in targets(bench)]
    pytorch = bench.get("pytorch")
    caption = f"PyTorch {pytorch['version']}, cuDNN {pytorch['cudnn']}" if pytorch else "no PyTorch: wu alone"
    if bench.get("whole"):
        caption += "; generators compiled as one function"
    return f"## Works\n\n{caption}. Medians of turns that alternate.\n\n{table(lines)}\n\n## Targets\n\n{table(goals)}"


def main():
    folder = pathlib.Path(sys.argv[1])

    def read(name, use):
        file = folder / name
        return use(file.read_text(encoding="utf-8", errors="replace")) if file.exists() else None

    result = {"machine": read("machine.json", json.loads), "parity": read("parity.log", parity),
              "sanitize": read("sanitize.tsv", sanitized), "bench": read("bench.json", json.loads)}
    blocks = ["# GPU check"]
    if result["machine"]:
        blocks.append("\n".join(f"- {what}: {value}" for what, value in result["machine"].items()))
    for part, write in (("parity", of_parity), ("sanitize", of_sanitizer), ("bench", of_bench)):
        if result[part] is not None:
            blocks.append(write(result[part]))
        else:
            blocks.append(f"## {part}\n\nNot run into this folder.")
    if result["parity"] is not None:
        result["parity_met"] = {dtype: all(case["off"].get(dtype, 0) <= most for case in result["parity"].values())
                                for dtype, most in PARITY.items() if most}
        blocks.append("\n".join(f"- {dtype} within {PARITY[dtype]:.0e} in every test: {mark(met)}"
                                for dtype, met in result["parity_met"].items()))
    (folder / "gpu-check.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    for case in (result["parity"] or {}).values():  # JSON has no infinity
        case["off"] = {dtype: off if math.isfinite(off) else str(off) for dtype, off in case["off"].items()}
    (folder / "gpu-check.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    bad = [name for name, case in (result["parity"] or {}).items() if not good(case)]
    bad += [f"{run['tool']} on {run['on']}: {found(run['status'])}" for run in result["sanitize"] or [] if run["status"] != 0]
    for what in bad:
        print(f"gpu-check: failed: {what}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
