"""The comparison's result as a table, for a terminal and for a page."""

import statistics
import sys


def machine():
    """The processor, as the system names it."""
    name, cores = "unknown processor", 0
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                key, _, value = line.partition(":")
                cores += key.strip() == "processor"
                if key.strip() == "model name":
                    name = value.strip()
    except OSError:
        pass
    return f"{name}, {cores} cores"


def time_of(entry, side):
    """The median of the turns, in seconds; None where the side has none."""
    turns = entry["times"].get(side)
    return statistics.median(turns) if turns else None


def dtype_of(name):
    return next((part for part in name.split("/") if part in ("F32", "BF16")), "")


def peaks(results):
    """{dtype: (operations per second, product, side)}: the fastest turn of a large product on any side."""
    best = {}
    for name, entry in results["works"].items():
        if name.startswith("product/"):
            for side, turns in entry["times"].items():
                rate = (entry["operations"] / min(turns), name.split("/")[1], side)
                best[dtype_of(name)] = max(best.get(dtype_of(name), rate), rate)
    return best


def step_bytes(entry, side):
    """Beside weights and inputs: what a step takes at its peak, gradients and moments with it."""
    memory = entry["memory"].get(side)
    return memory["peak"] - memory["before"] + memory["kept"] if memory else None


def cell(value, form, factor=1.0):
    return "" if value is None else form.format(value * factor)


def over(a, b):
    return a / b if a is not None and b else None


def row(name, entry, best):
    wu, eager, compiled = (time_of(entry, side) for side in ("wu", "eager", "compiled"))
    peak = best[dtype_of(name)][0]
    memory = [step_bytes(entry, side) for side in ("wu", "eager", "compiled")]
    whole = [entry["memory"].get(side, {}).get("peak") for side in ("wu", "eager", "compiled")]
    checks = [check["difference"] for check in entry["check"].values()]
    rate = [entry["operations"] / time / peak if time else None for time in (wu, eager)]
    return [name, *(cell(time, "{:.1f}", 1e3) for time in (wu, eager, compiled)),
            cell(over(eager, wu), "{:.2f}"), cell(over(compiled, wu), "{:.2f}"), *(cell(share, "{:.0f} %", 100) for share in rate),
            *(cell(bytes_, "{:.0f}", 1e-6) for bytes_ in memory), cell(over(memory[0], memory[1]), "{:.0f} %", 100),
            *(cell(bytes_, "{:.0f}", 1e-6) for bytes_ in whole), cell(max(checks, default=None), "{:.0e}")]


HEAD = ["work", "wu ms", "eager ms", "compiled ms", "eager / wu", "compiled / wu", "wu of peak", "eager of peak", "wu MB",
        "eager MB", "compiled MB", "wu / eager", "wu all MB", "eager all MB", "compiled all MB", "difference"]


def rows(results):
    best = peaks(results)
    return [HEAD] + [row(name, entry, best) for name, entry in results["works"].items() if not name.startswith("growth/")]


def growth(results):
    """Time for each layer, or each sample of a batch, against that of one."""
    lines, first = [["growth", "ms", "ms for each", "against the first"]], {}
    for name, entry in results["works"].items():
        if name.startswith("growth/"):
            what, count = name.split("/")[1].split(":")
            each = time_of(entry, "wu") / int(count)
            first.setdefault(what, each)
            lines.append([f"{count} {what}", f"{each * int(count) * 1e3:.1f}", f"{each * 1e3:.1f}", f"{each / first[what]:.2f}"])
    return lines


def caption(results):
    parts = [f"{results['machine']}, {results['threads']} threads each", f"PyTorch {results['pytorch']}", results["date"]]
    for dtype, (rate, product, side) in peaks(results).items():
        of = "wu" if side == "wu" else "PyTorch"
        parts.append(f"peak {dtype}: {rate / 1e9:.0f} GFLOP/s ({of}, product/{product})")
    restless = max((entry.get("restless", 0) for entry in results["works"].values()), default=0)
    parts.append(f"a side that waited took at most {100 * restless:.1f} % of a core")
    return "; ".join(parts)


def text(results):
    blocks = [caption(results)]
    for lines in (rows(results), growth(results)):
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        if len(lines) > 1:
            blocks.append("\n".join("  ".join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(line, widths))).rstrip()
                                    for line in lines))
    return "\n\n".join(blocks) + "\n"


def markdown(lines):
    cells = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([cells[0], "| --- |" + " ---: |" * (len(lines[0]) - 1), *cells[1:]])


def write_markdown(path, results):
    """Replaces what stands between the two marks in a page."""
    begin, end = "<!-- peers: begin -->\n", "<!-- peers: end -->"
    with open(path, encoding="utf-8") as file:
        page = file.read()
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        sys.exit(f"compare.py: {path}: expected the marks {begin.strip()} and {end}, once each and in this order")
    blocks = [f"Measured on: {caption(results)}.", markdown(rows(results))]
    if len(growth(results)) > 1:
        blocks.append(markdown(growth(results)))
    before, after = page[: page.index(begin) + len(begin)], page[page.index(end):]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + "\n\n".join(blocks) + "\n" + after)
