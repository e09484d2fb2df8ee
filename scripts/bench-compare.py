#!/usr/bin/env python3
"""Compares two files of benchmarks, or shows one as a table. Needs nothing but Python 3.

  bench-compare.py before.json after.json    name, time before and after, ratio, share of the machine's best before and after
  bench-compare.py bench.json                every benchmark of one file
  bench-compare.py bench.json --roofline     the generator's operations: what bounds each and how near it comes

The files are Google Benchmark's (--benchmark_out=FILE). Where a benchmark was repeated, its median counts. A share
is of_peak, of the matrix product, or of_copy, of the copy, both measured in the same run.
"""

import argparse
import json
import re
import statistics
import sys

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
SHARES = {"of_peak": "peak", "of_copy": "copy"}
RATES = {"of_peak": "GFLOP/s", "of_copy": "GB/s"}
BYTES = {"F64": 8, "F32": 4, "BF16": 2}


def stop(what):
    """An error is exit code 2; 1 says that something became slower."""
    print(f"bench-compare: {what}", file=sys.stderr)
    sys.exit(2)


def read(path):
    """{name: {"time": seconds, "share": number or None, "of": "peak" or "copy" or "", "rate": of that a second}} in the order of registration, and the
    context."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        single, medians = {}, {}
        for entry in content["benchmarks"]:
            key = (entry.get("family_index", 0), entry["run_name"])
            if entry.get("run_type", "iteration") == "iteration":
                single.setdefault(key, []).append(entry)
            elif entry.get("aggregate_name") == "median":
                medians.setdefault(key, []).append(entry)
        results = {}
        for (_, name), entries in sorted((medians | single).items(), key=lambda item: item[0][0]):
            name = name.removesuffix("/real_time")
            if any(entry.get("error_occurred") for entry in entries):
                print(f"bench-compare: {path}: {name} failed: {entries[0].get('error_message', '')}", file=sys.stderr)
                continue
            counter = next((c for c in SHARES if c in entries[0]), None)
            results[name] = {
                "time": statistics.median(entry["real_time"] * UNITS[entry["time_unit"]] for entry in entries),
                "share": statistics.median(entry[counter] for entry in entries) if counter else None,
                "of": SHARES.get(counter, ""),
                "rate": statistics.median(entry[RATES[counter]] for entry in entries) * 1e9 if counter else None,
            }
            if not results[name]["time"] > 0:
                raise ValueError(f"{name} took no time")
    except OSError as error:
        stop(f"{path}: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        stop(f"{path}: expected a file that Google Benchmark wrote as JSON, found another ({error!r})")
    if not results:
        stop(f"{path}: expected at least one benchmark, found none")
    return results, content.get("context", {})


def time_text(seconds):
    for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}" if seconds / unit < 1000 else f"{seconds / unit:.0f} {name}"
    return f"{seconds * 1e9:.3g} ns"


def share_text(result):
    return "" if result["share"] is None else f"{100 * result['share']:.0f} % of {result['of']}"


def columns(rows, left=1):
    """Rows of text, the first `left` columns flush left, the others right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


# ---- one file ------------------------------------------------------------------------------------------------------------


def table(results):
    """One row for each shape, type and direction; two columns, time and share, for each number of threads."""
    rows, threads = {}, []
    for name, result in results.items():
        match = re.fullmatch(r"(.*)/threads:(\d+)", name)
        what, count = (match[1], int(match[2])) if match else (name, 1)
        rows.setdefault(what, {})[count] = result
        if count not in threads:
            threads.append(count)
    threads.sort()
    lines = [["benchmark"]]
    for count in threads:
        lines[0] += [f"{count} thread" + "s" * (count > 1), "share"]
    for what, by_threads in rows.items():
        lines.append([what])
        for count in threads:
            result = by_threads.get(count)
            lines[-1] += [time_text(result["time"]), share_text(result)] if result else ["", ""]
    return lines


def caption(context):
    parts = [f"{context.get('num_cpus', '?')} cores"]
    if context.get("vectors"):
        parts.append(f"vectors: {context['vectors']}")
    if context.get("compiler"):
        parts.append(f"compiler {context['compiler']}")
    if context.get("load_avg"):
        parts.append(f"load average {context['load_avg'][0]:.1f} when the run began")
    if context.get("date"):
        parts.append(context["date"][:10])
    return ", ".join(parts)


def write_markdown(path, lines, context, mark):
    """Replaces what stands between the two marks in a page."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->"
    try:
        with open(path, encoding="utf-8") as file:
            page = file.read()
    except OSError as error:
        stop(f"{path}: {error.strerror}")
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        stop(f"{path}: expected the marks {begin.strip()} and {end}, once each and in this order")
    cells = [f"| {' | '.join(row)} |" for row in lines]
    cells.insert(1, "| --- |" + " ---: |" * (len(lines[0]) - 1))
    text = f"Measured on: {caption(context)}.\n\n" + "\n".join(cells) + "\n"
    before, after = page[: page.index(begin) + len(begin)], page[page.index(end) :]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + text + after)


# ---- roofline ------------------------------------------------------------------------------------------------------------


def least_values(name):
    """How many values an operation that multiplies moves at least: inputs and outputs once, what is added to twice. None for
    names that are not known here."""
    sizes = {key: int(value) for key, value in re.findall(r"(\w+):(\d+)", name)}
    widths, backward = re.search(r"/(\d+)x(\d+)/", name), "/backward" in name
    if name.startswith("linear/") and widths:  # x, W, y; backward: dy, x, W, dx, and dW twice
        n, k, m = sizes["rows"], int(widths[1]), int(widths[2])
        gradient = 4 if "/BF16/" in name else 2  # dW, read and written, is float32 where the others are bfloat16
        return n * m + 2 * n * k + (1 + gradient) * k * m if backward else n * k + k * m + n * m
    if name.startswith("attention/"):  # q, k, v, y; backward: dy and three gradients beside them
        width = int(re.search(r"/(\d+)/head:", name)[1])
        return sizes["groups"] * width * (sizes["queries"] + sizes["keys"]) * (4 if backward else 2)
    return None


def roofline(results, pattern):
    """For most threads. An operation can be done no sooner than its products at the peak or its bytes at the rate of the copy,
    whichever takes longer; `reached` is that time as a share of the measured one."""
    threads = max((int(match[1]) for name in results if (match := re.search(r"/threads:(\d+)$", name))), default=0)
    if not threads:
        stop("a roofline needs benchmarks whose names say on how many threads they ran")
    chosen = {name.removesuffix(f"/threads:{threads}"): result for name, result in results.items()
              if name.endswith(f"/threads:{threads}")}
    peaks, copies = {}, []
    for name, result in chosen.items():
        dtype = next((part for part in name.split("/") if part in BYTES), None)
        if result["share"] and result["of"] == "peak":
            peaks.setdefault(dtype, []).append(result["rate"] / result["share"])
        elif result["share"]:
            copies.append(result["rate"] / result["share"])
    if not copies:
        stop("a roofline needs at least one benchmark that is compared with the copy")
    copy = statistics.median(copies)
    rows = [["operation", "MFLOP", "MB", "FLOP / byte", "bound by", "time", "reached"]]
    for name, result in chosen.items():
        dtype = next((part for part in name.split("/") if part in BYTES), None)
        if not re.search(pattern, name) or dtype not in BYTES or result["rate"] is None:
            continue
        multiplies = result["of"] == "peak"
        values = least_values(name) if multiplies else None
        if multiplies and values is None:
            continue
        flops = result["rate"] * result["time"] if multiplies else 0
        bytes_ = values * BYTES[dtype] if multiplies else result["rate"] * result["time"]
        by_products = flops / statistics.median(peaks[dtype]) if multiplies else 0
        by_memory = bytes_ / copy
        rows.append([name, f"{flops / 1e6:.0f}", f"{bytes_ / 1e6:.2f}", f"{flops / bytes_:.0f}",
                     "products" if by_products > by_memory else "memory", time_text(result["time"]),
                     f"{100 * max(by_products, by_memory) / result['time']:.0f} %"])
    if len(rows) == 1:
        stop(f"no operation matches {pattern}")
    return rows


# ---- two files -----------------------------------------------------------------------------------------------------------


def compare(before, after, threshold):
    """Rows sorted by ratio, the slowest growth first; those whose ratio is nearer to 1 than the threshold are left out."""
    both = [name for name in before if name in after]
    ratios = {name: after[name]["time"] / before[name]["time"] for name in both}
    shown = [name for name in both if max(ratios[name], 1 / ratios[name]) >= 1 + threshold]
    shown.sort(key=lambda name: ratios[name], reverse=True)
    rows = [["benchmark", "before", "after", "ratio", "share before", "share after"]]
    for name in shown:
        a, b = before[name], after[name]
        rows.append([name, time_text(a["time"]), time_text(b["time"]), f"{ratios[name]:.3f}", share_text(a), share_text(b)])
    return rows, ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?")
    parser.add_argument("--threshold", type=float, default=0, metavar="X",
                        help="show only what became slower or faster by this factor less 1 (0.05: by 5 %%)")
    parser.add_argument("--fail-above", type=float, metavar="RATIO",
                        help="exit with 1 if a benchmark's time after is more than RATIO times that before")
    parser.add_argument("--markdown", metavar="FILE", help="with one file: replace the table of measurements in a page")
    parser.add_argument("--roofline", nargs="?", metavar="REGEX",
                        const=r"^(linear/512|attention/.*/512/|(rms_norm|rope|silu|add)/512/).*/(F32|BF16)/",
                        help="with one file: what bounds an operation, of those that match (default: the generator's)")
    options = parser.parse_args()
    if options.after is None and (options.fail_above is not None or options.threshold):
        parser.error("--threshold and --fail-above compare two files")
    if options.after is not None and (options.markdown or options.roofline):
        parser.error("--markdown and --roofline take one file of benchmarks")
    if options.threshold < 0:
        parser.error("--threshold is 0 or more")

    before, context = read(options.before)
    if options.after is None:
        lines = roofline(before, options.roofline) if options.roofline else table(before)
        if options.markdown:
            write_markdown(options.markdown, lines, context, "roofline" if options.roofline else "measured")
        else:
            print(caption(context))
            print(columns(lines))
        return 0

    after, _ = read(options.after)
    rows, ratios = compare(before, after, options.threshold)
    if not ratios:
        stop("the two files have no benchmark in common")
    print(columns(rows))
    for only, names in (("before", before.keys() - after.keys()), ("after", after.keys() - before.keys())):
        for name in sorted(names):
            print(f"only {only}: {name}")
    slower = [name for name in ratios if options.fail_above is not None and ratios[name] > options.fail_above]
    if slower:
        print(f"bench-compare: {len(slower)} of {len(ratios)} benchmarks took more than {options.fail_above} times as long",
              file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
