# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks share: tools to measure, interleaved runs, tables.

A tool is an allocator or a tracer: what is done to the environment and the
command of a program.  A workload is a program and its input.  All tools run
one after the other in every round, and a figure is the median, over the
rounds, of a tool's value by that of glibc in the same round.
"""

import glob
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

SOURCE = os.path.abspath(os.environ.get("MT_SRCDIR") or os.path.join(
    os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("MT_BUILDDIR") or SOURCE)
PROGRAMS = os.path.join(BUILD, "tests", "bench")
LAUNCH = os.path.join(PROGRAMS, "launch")
PRELOAD = os.path.join(BUILD, "preload", ".libs", "libmemtrace-preload.so")
FOLDERS = ("/usr/lib/%s-linux-gnu" % platform.machine(), "/usr/lib64",
           "/usr/lib", "/lib64", "/usr/local/lib", "/usr/lib/heaptrack")
METRICS = ("cpu", "wall", "peak", "instructions")


def library(*names):
    """The path of the first of these libraries that is installed, or None."""
    for name in names:
        for folder in FOLDERS:
            found = sorted(glob.glob(os.path.join(folder, name)))
            if found:
                return found[0]
    return None


class Tool:
    """An allocator or tracer; `library` None means it is not installed."""

    def __init__(self, name, package, preload, env=None, prefix=(),
                 max_rounds=None):
        self.name, self.package, self.preload = name, package, preload
        self.env = dict(env or {})
        self.prefix = list(prefix)
        self.max_rounds = max_rounds
        self.missing = None
        if preload is None and not prefix and name != "glibc":
            self.missing = "Debian package %s is not installed" % package
        if prefix and not shutil.which(prefix[0]):
            self.missing = "Debian package %s is not installed" % package

    def environment(self, workload):
        """What changes in the program's environment."""
        env = dict(self.env)
        if self.preload:
            env["LD_PRELOAD"] = self.preload
        elif workload.own_malloc:
            # A program linked with another malloc: glibc's comes first.
            env["LD_PRELOAD"] = library("libc.so.6")
        return env


class Workload:
    """A program to measure.  `client` runs beside it; `output` is compared
    between tools; `own_malloc`: it is linked with a malloc of its own."""

    def __init__(self, name, kind, argv, input=None, env=None, client=None,
                 own_malloc=False, output=None):
        # pylint: disable=redefined-builtin
        self.name, self.kind, self.argv = name, kind, [str(a) for a in argv]
        self.input, self.env, self.client = input, dict(env or {}), client
        self.own_malloc, self.output = own_malloc, output


class Broken(Exception):
    """A program did not do what it should."""


def clean_environment():
    """The environment, without what could change a program's malloc."""
    return {key: value for key, value in os.environ.items()
            if key not in ("LD_PRELOAD", "MEMTRACE", "GLIBC_TUNABLES",
                           "HEAPPROFILE", "PYTHONMALLOC")
            and not key.startswith(("MALLOC_", "MIMALLOC_", "TCMALLOC_",
                                    "LSAN_"))}


def launch(tool, workload, folder):
    """Runs it once: what `launch` printed, and its program's errors."""
    out = os.path.join(folder, "output")
    command = [LAUNCH, "-o", out, "-u", "LD_PRELOAD"]
    env = {"LC_ALL": "C.UTF-8", **workload.env, **tool.environment(workload)}
    for name, value in env.items():
        command += ["-e", "%s=%s" % (name, value)]
    if workload.input:
        command += ["-i", workload.input]
    if workload.client:
        command += ["-c", workload.client]
    command += ["--", *tool.prefix, *workload.argv]
    return subprocess.run(command, cwd=folder, env=clean_environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)


def run_once(tool, workload, folder):
    """One run; returns its figures and a digest of its output."""
    done = launch(tool, workload, folder)
    fields = done.stdout.split()
    if done.returncode or len(fields) != 7 or fields[-1] != b"0":
        raise Broken("%s with %s: status %s: %s" % (
            workload.name, tool.name, fields[-1:] or done.returncode,
            done.stderr.decode(errors="replace")[-300:].strip()))
    wall, user, system, peak, instructions, _, _ = map(int, fields)
    with open(workload.output or os.path.join(folder, "output"),
              "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {"wall": wall / 1e6, "cpu": (user + system) / 1e6,
            "peak": peak / 1024, "instructions": instructions,
            "user": user / 1e6, "system": system / 1e6}, digest


def measure(workload, tools, folder, rounds, seconds):
    """Interleaved rounds of all tools; returns {tool: [figures]} and notes.
    After `seconds` no new round begins, if there were three."""
    samples, notes, wanted = {tool.name: [] for tool in tools}, [], None
    _, wanted = run_once(tools[0], workload, folder)  # warm: files, caches
    out = set()
    start = time.monotonic()
    for number in range(rounds):
        if number >= 3 and time.monotonic() - start > seconds:
            notes.append("%d rounds" % number)
            break
        for tool in tools[number % len(tools):] + tools[:number % len(tools)]:
            if tool.name in out or number >= (tool.max_rounds or rounds):
                continue
            try:
                figures, digest = run_once(tool, workload, folder)
            except Broken as error:
                notes.append(str(error))
                out.add(tool.name)
                samples[tool.name] = []
                continue
            if digest != wanted:
                notes.append("%s with %s: its output differs" % (
                    workload.name, tool.name))
                wanted_from = samples[tools[0].name]
                if tool is tools[0] and not wanted_from:
                    wanted = digest
            samples[tool.name].append(figures)
    return samples, notes


def ratios(samples, base, metric):
    """Median, least and greatest of a tool's values by glibc's in the same
    round; None where there is none."""
    pairs = [(mine[metric], theirs[metric])
             for mine, theirs in zip(samples, base)]
    values = [a / b for a, b in pairs if a > 0 and b > 0]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values),
            "max": max(values), "rounds": len(values)}


def geometric_mean(values):
    values = [v for v in values if v]
    if not values:
        return None
    return math.exp(sum(map(math.log, values)) / len(values))


def cell(ratio):
    if ratio is None:
        return "-"
    return "%.2f (%.2f-%.2f)" % (ratio["median"], ratio["min"], ratio["max"])


def print_table(header, rows, out=sys.stdout):
    """A Markdown table whose columns are aligned."""
    rows = [header] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])] + [
            text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        print("| " + " | ".join(cells) + " |", file=out)
        if number == 0:
            print("|" + "|".join("-" * (w + 1) + (":" if i else "-")
                                 for i, w in enumerate(widths)) + "|",
                  file=out)


class Results:
    """All samples of a run, its tables, and its JSON."""

    def __init__(self, tools):
        self.tools = tools
        self.workloads, self.samples, self.notes = [], {}, []

    def add(self, workload, samples, notes):
        self.workloads.append(workload)
        self.samples[workload.name] = samples
        self.notes += notes

    def ratio(self, workload, tool, metric):
        samples = self.samples[workload.name]
        return ratios(samples[tool.name], samples[self.tools[0].name], metric)

    def means(self, tool, metric, kind=None):
        found = [self.ratio(w, tool, metric) for w in self.workloads
                 if kind in (None, w.kind)]
        return geometric_mean([r["median"] for r in found if r])

    def kinds(self):
        return list(dict.fromkeys(w.kind for w in self.workloads))

    def base(self, workload, metric):
        values = [s[metric] for s in
                  self.samples[workload.name][self.tools[0].name]]
        return statistics.median(values) if values else 0

    def print(self, titles):
        """One table per metric, in the order of `titles`."""
        others = self.tools[1:]
        for metric, (title, unit, scale) in titles.items():
            if not any(self.base(w, metric) for w in self.workloads):
                continue
            print("\n%s, by glibc's: median (least-greatest) of the rounds\n" %
                  title)
            rows = [[w.name, "%.*f %s" % (0 if scale != 1 or metric == "peak"
                                          else 2,
                                          self.base(w, metric) / scale, unit)]
                    + [cell(self.ratio(w, t, metric)) for t in others]
                    for w in self.workloads]
            kinds = self.kinds()
            for kind in kinds + ([None] if len(kinds) > 1 else []):
                means = [self.means(t, metric, kind) for t in others]
                rows.append(["geometric mean, " + (kind or "all"), ""] + [
                    "%.3f" % m if m else "-" for m in means])
            print_table(["", "glibc"] + [t.name for t in others], rows)

    def print_brief(self):
        """One table: CPU time and peak memory of each workload, medians."""
        others = self.tools[1:]

        def pair(values, form="%.2f"):
            return ", ".join(form % v if v else "-" for v in values)

        rows = [[w.name, "%.2f s, %.0f MiB" % (self.base(w, "cpu"),
                                               self.base(w, "peak"))] +
                [pair([(self.ratio(w, t, m) or {}).get("median")
                       for m in ("cpu", "peak")]) for t in others]
                for w in self.workloads]
        kinds = self.kinds()
        for kind in kinds + ([None] if len(kinds) > 1 else []):
            rows.append(["**geometric mean, %s**" % (kind or "all"), ""] + [
                pair([self.means(t, m, kind) for m in ("cpu", "peak")],
                     "%.3f") for t in others])
        print("\nCPU time and peak resident memory, by glibc's in the same "
              "round; medians\n")
        print_table(["", "glibc"] + [t.name for t in others], rows)

    def document(self, command):
        """What goes into the JSON file."""
        return {
            "version": 1, "command": command, "date": time.strftime("%F %T"),
            "machine": {"cpus": os.cpu_count(), "kernel": platform.release(),
                        "cpu": cpu_model(), "libc": platform.libc_ver()[1],
                        "load": os.getloadavg()},
            "tools": [{"name": t.name, "package": t.package, "env": t.env,
                       "preload": t.preload} for t in self.tools],
            "workloads": [{
                "name": w.name, "kind": w.kind,
                "samples": self.samples[w.name],
                "ratios": {t.name: {m: self.ratio(w, t, m) for m in METRICS}
                           for t in self.tools[1:]}}
                for w in self.workloads],
            "geometric_means": {t.name: {m: {
                k or "all": self.means(t, m, k)
                for k in self.kinds() + [None]} for m in METRICS}
                for t in self.tools[1:]},
            "notes": self.notes,
        }


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def stop_politely():
    """Let SIGTERM end the run as ^C does: with the tables of what is done."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)


def say(text):
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


def select_tools(tools, names):
    """Those that are installed (and named); says what is left out."""
    wanted = names.split(",") if names else None
    left, kept = [], []
    for tool in tools:
        if tool.name != "glibc" and wanted and not any(
                name in tool.name for name in wanted):
            continue
        if tool.missing:
            left.append("%s: skipped, %s" % (tool.name, tool.missing))
        else:
            kept.append(tool)
    return kept, left
