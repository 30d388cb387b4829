# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of GDB's commands share: GDB itself, run in batch mode over a
list of commands, whose output comes back one by one."""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
import harness  # pylint: disable=wrong-import-position

SCRIPT = os.path.join(harness.BUILD, "gdb", "memtrace.py")
STEPS = """
import gdb, json
results = []
for step in json.load(open(%r)):
    try:
        results.append((True, gdb.execute(step, to_string=True)))
    except gdb.error as error:
        results.append((False, str(error)))
    except KeyboardInterrupt:
        results.append((False, "Quit"))
json.dump(results, open(%r, "w"))
"""
QUIET = ("set pagination off", "set confirm off", "set width 0")


class Result:
    """What one command did: `ok`, and its output or its error."""

    def __init__(self, ok, text):
        self.ok, self.text = ok, text

    def json(self):
        harness.check(self.ok, "error: " + self.text)
        return json.loads(self.text)


def need_gdb():
    """GDB, where it can load the library; else Skip."""
    if os.environ.get("MT_SANITIZED"):
        raise harness.Skip("GDB cannot load a library of a sanitizer's")
    if not shutil.which("gdb"):
        raise harness.Skip("there is no gdb here")


def environment(**more):
    """GDB's own: never on the traced heap."""
    return harness.environment(False, **more)


def start(folder, words, commands, load=True):
    """(GDB's command line, the file that the results will be in)."""
    files = [os.path.join(folder, "gdb-%s.%d" % (what, len(os.listdir(folder))))
             for what in ("steps", "results", "script")]
    with open(files[0], "w", encoding="utf-8") as file:
        json.dump(list(commands), file)
    with open(files[2], "w", encoding="utf-8") as file:
        file.write(STEPS % tuple(files[:2]))
    line = ["gdb", "-q", "--batch", "-nx"]
    for command in QUIET:
        line += ["-iex", command]
    if load:
        line += ["-iex", "source " + SCRIPT]
    os.rename(files[2], files[2] + ".py")
    return [*line, "-x", files[2] + ".py", *words], files[1]


def results(path, what):
    if not os.path.exists(path):
        raise harness.Failure("GDB did not get to the end: %s" % what)
    with open(path, encoding="utf-8") as file:
        return [Result(ok, text) for ok, text in json.load(file)]


def gdb(folder, words, *commands, load=True, env=None, timeout=120, **more):
    """Run GDB; `words` are its arguments.  Returns a Result per command."""
    need_gdb()
    line, path = start(folder, [str(word) for word in words], commands, load)
    done = harness.run(line, timeout, status=None, env=env or environment(),
                       **more)
    return results(path, harness.shorten((done.stderr + done.stdout).decode(
        errors="replace")))


def shell(folder, *words):
    """(a command of GDB's that runs `memtrace` in the shell while the process
    stands still, a function that returns its output)."""
    path = os.path.join(folder, "shell.%d" % len(os.listdir(folder)))
    with open(path, "w", encoding="utf-8"):
        pass  # its name is taken
    command = "shell '%s' %s >'%s' 2>&1" % (
        harness.COMMAND, " ".join("'%s'" % word for word in words), path)

    def output():
        with open(path, encoding="utf-8") as file:
            return file.read()
    return command, output


def trace_of(report):
    """What a report says of the trace, which a process and its core share."""
    return {key: report[key] for key in ("heaps", "stacks", "untraced")}


def same(got, wanted, what):
    """Equal texts, or a Failure that shows the first difference."""
    if got == wanted:
        return
    one, two = got.splitlines(), wanted.splitlines()
    for number, (a, b) in enumerate(zip(one, two), 1):
        if a != b:
            raise harness.Failure("%s: line %d is %r, wanted %r" % (
                what, number, a, b))
    raise harness.Failure("%s: %d lines, wanted %d" % (
        what, len(one), len(two)))


def refused(result, *words):
    """The command failed with one line, in which the words are."""
    harness.check(not result.ok, "it did not fail: " + result.text)
    harness.equal(len(result.text.splitlines()), 1, "lines of " + result.text)
    harness.check("Error" not in result.text and "Python" not in result.text,
                  "an exception: " + result.text)
    for word in words:
        harness.check(word in result.text, "%r is not in %r" % (
            word, result.text))


def known(folder, *flags, traced=True, options="", library=None, **more):
    """A process of tests/programs/known.c that has done `all`."""
    program = os.path.join(folder, "known")
    if not os.path.exists(program):
        program = harness.compile_program(folder, "known", *(flags or ("-O2",)))
    env = harness.environment(traced, options)
    if library:
        env["LD_PRELOAD"] = library
    process = harness.Process([program], cwd=folder, cores=True, env=env,
                              **more)
    process.until("ready")
    process.ask("all")
    return process


def blocks(report, function):
    """(blocks, bytes) of the stacks with this function in them."""
    found = [s for s in report["stacks"] if function in harness.functions(s)]
    return sum(s["count"] for s in found), sum(s["bytes"] for s in found)


def strip(path, to):
    """A copy of a program or library without any symbol that it can miss."""
    shutil.copy(path, to)
    harness.run(["strip", "--strip-all", to])
    return to
