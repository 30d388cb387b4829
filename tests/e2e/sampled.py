# SPDX-License-Identifier: BSD-2-Clause
"""Are the stacks of real programs' allocations those that other unwinders give
at the same allocation?  libunwind is asked in the process, GDB from outside.

Every stack goes the whole way: capture, memo, stack table, tag, reader.  With
libunwind, programs/stackshim.c samples allocations and tests/stacks_compare
compares them; one difference fails the test, and is printed with both stacks.
In GDB the program runs as it is, without the shim."""

import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                             "gdb"))
# pylint: disable=wrong-import-position
import harness
import session
from harness import check, equal

COMPARE = os.path.join(harness.BUILD, "tests", "stacks_compare")
RESULT = re.compile(r"(\d+) samples, (\d+) equal, (\d+) truncated, "
                    r"(\d+) different, (\d+) unknown\s*$")
LEAST = 10000 if harness.LONG else 1000
SAMPLES = LEAST + LEAST // 5
SCALE = 10 if harness.LONG else 1


def script(name):
    """The module of another script of this folder."""
    loader = importlib.machinery.SourceFileLoader(
        name, os.path.join(os.path.dirname(os.path.abspath(__file__)), name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def build_shim(folder):
    path = os.path.join(folder, "stackshim.so")
    if os.path.exists(path):
        return path
    if os.environ.get("MT_SANITIZED"):
        raise harness.Skip("libunwind and a sanitizer do not mix")
    have = harness.run([*harness.CC, "-E", "-"], status=None,
                       input=b"#include <libunwind.h>\n")
    if have.returncode:
        raise harness.Skip("there is no libunwind.h here (libunwind-dev)")
    harness.compile_once(
        [*harness.CC, "-std=gnu11", "-g", "-O2", "-fPIC", "-shared",
         "-fvisibility=hidden",
         os.path.join(harness.SOURCE, "tests", "programs", "stackshim.c"),
         "-lunwind", "-ldl"], path)
    return path


def stopped_samples(folder):
    """(pid, file) of the processes that stopped themselves."""
    found = []
    for name in os.listdir(folder):
        pid = name.rpartition("samples.")[2]
        if pid != name and harness.state_of("/proc/%s/stat" % pid) == "T" and \
                os.path.exists("/proc/%s" % pid):
            found.append((int(pid), os.path.join(folder, name)))
    return found


class Sampled:
    """A program, and those that it starts, sampled to the end; the sums of
    all of the comparisons."""

    def __init__(self, folder, argv, depth, every, word=None, enough=0, **more):
        env = harness.environment(
            True, "depth=%d" % depth, SHIM_OUTPUT=os.path.join(
                folder, "samples"), SHIM_EVERY=str(every),
            SHIM_SAMPLES=str(SAMPLES), **more.pop("extra", {}))
        env["LD_PRELOAD"] = build_shim(folder) + " " + env["LD_PRELOAD"]
        if word:
            env["SHIM_WORD"] = word
        self.folder, self.enough = folder, enough
        self.sums = [0] * 5
        self.done = set()
        # A group of its own: all that is left of it is ended with it.
        self.child = subprocess.Popen(
            argv, env=env, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def check_that_lies_are_found(self, pid, path):
        """Of samples with one other address and one other block, the first
        counts as different, the second as unknown."""
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        block, *pcs = lines[1].split()
        pcs[4] = "%x" % (int(pcs[4], 16) + 1)  # the shim has the first two
        lines[1] = " ".join([block, *pcs])
        lines[2] = "10" + lines[2]
        with open(path + ".lies", "w", encoding="utf-8") as file:
            file.write("\n".join(lines[:3]) + "\n")
        text = harness.run([COMPARE, str(pid), path + ".lies"],
                           status=1).stdout.decode(errors="replace")
        equal(text.splitlines()[-1], "2 samples, 0 equal, 0 truncated, "
              "1 different, 1 unknown", "result with lies")

    def compare_stopped(self):
        """Compares those that stopped themselves, and lets them go on."""
        for pid, path in stopped_samples(self.folder):
            if pid in self.done:
                continue
            self.done.add(pid)
            done = harness.run([COMPARE, str(pid), path], status=None)
            text = done.stdout.decode(errors="replace")
            result = RESULT.search(text)
            check(result, "no result: " + done.stderr.decode())
            check(done.returncode == 0, "process %d: %s" % (
                pid, harness.shorten(text, 6000)))
            self.sums = [a + int(b) for a, b in zip(self.sums,
                                                    result.groups())]
            if len(self.done) == 1:
                self.check_that_lies_are_found(pid, path)
            os.kill(pid, signal.SIGCONT)

    def to_the_end(self, timeout=280):
        end = time.monotonic() + timeout
        while self.child.poll() is None:
            check(time.monotonic() < end, "the program takes too long")
            self.compare_stopped()
            if self.enough and self.sums[0] >= self.enough:
                return
            time.sleep(0.01)
        equal(self.child.returncode, 0, "status of the program")


def compare(folder, name, argv, every, least=None, **more):
    """At depth 32, and with MT_LONG at 1024."""
    texts = []
    for depth in (32, 1024) if harness.LONG else (32,):
        with Sampled(folder, argv, depth, every, **more) as program:
            program.to_the_end()
        check(program.sums[0] >= (least or LEAST), "%d samples only" %
              program.sums[0])
        check(program.sums[1] > 0 and program.sums[3:] == [0, 0], "differences")
        if depth > 32:
            equal(program.sums[2], 0, "truncated stacks at depth 1024")
        texts.append("depth %d: %d equal, %d of them truncated" % (
            depth, program.sums[1] + program.sums[2], program.sums[2]))
    print("  %s: %s" % (name, "; ".join(texts)))


# --- GDB ---

IN_GDB = r"""
import gdb, json

def stack(frame):
    pcs = []
    while frame is not None:
        if frame.type() in (gdb.NORMAL_FRAME, gdb.SIGTRAMP_FRAME):
            pcs.append(frame.pc())
        frame = frame.older()
    return pcs

def register(name):
    return int(gdb.parse_and_eval("(unsigned long) $" + name))

def run_to(address, condition=None, ignore=0):
    stop = gdb.Breakpoint("*" + hex(address), internal=True)
    stop.silent = True
    if condition:
        stop.condition = condition
    stop.ignore_count = ignore
    gdb.execute("continue", to_string=True)
    reached = gdb.selected_thread() is not None and register("pc") == address
    stop.delete()
    return reached

def sample(entry, ignore):
    if not run_to(entry, ignore=ignore):
        return None
    sp = register("sp")
    pcs = stack(gdb.selected_frame().older())
    if not run_to(pcs[0], "$sp == " + hex(sp + 8)):
        return None
    report = json.loads(gdb.execute("memtrace whatis --json " +
                                    hex(register("rax")), to_string=True))
    block = report["addresses"][0].get("block", {})
    return {"block": block.get("state"), "gdb": pcs,
            "trace": [int(str(f["pc"]), 16) for f in block.get("frames", [])
                      if not f.get("inlined")]}

for setting in ("past-main on", "past-entry on", "limit unlimited"):
    gdb.execute("set backtrace " + setting)
library = [o for o in gdb.objfiles() if "libmemtrace-preload" in o.filename][0]
entry = int(library.lookup_global_symbol("malloc").value().address)
found = []
while len(found) < %(samples)d:
    one = sample(entry, %(every)d * (1 + len(found) %% 7))
    if one is None:
        break
    found.append(one)
json.dump(found, open(%(output)r, "w"))
gdb.execute("kill")
"""


def compare_in_gdb(folder, name, samples, every, argv, **extra):
    session.need_gdb()
    output = os.path.join(folder, "samples.json")
    steps = os.path.join(folder, "steps.py")
    with open(steps, "w", encoding="utf-8") as file:
        file.write(IN_GDB % {"samples": samples, "every": every,
                             "output": output})
    env = harness.environment(True, "depth=1024", **extra)
    wrapper = "set exec-wrapper env " + " ".join(
        "'%s=%s'" % (key, env[key]) for key in (
            "LD_PRELOAD", "MEMTRACE", *extra))
    results = session.gdb(
        folder, ["--args", *argv], wrapper, "set breakpoint pending on",
        "tbreak __libc_start_main", "run", "source " + steps,
        timeout=280)
    check(all(r.ok for r in results) and os.path.exists(output),
          [r.text for r in results])
    with open(output, encoding="utf-8") as file:
        found = session.json.load(file)
    check(len(found) >= samples * 0.9, "%d samples only" % len(found))
    for one in found:
        equal(one["block"], "live", "state of the block")
        equal([hex(pc) for pc in one["trace"]],
              [hex(pc) for pc in one["gdb"]], "stack (GDB's behind `wanted`)")
    print("  %s: %d equal" % (name, len(found)))
