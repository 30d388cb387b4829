# SPDX-License-Identifier: BSD-2-Clause
"""A plugin for pytest: each test is an epoch of memtrace, and fails if it
loses memory, or keeps more than a limit.

    PYTHONPATH=/usr/share/memtrace/pytest pytest -p memtrace_pytest --memtrace

--memtrace runs pytest again on the traced heap, unless it is there already,
with PYTHONMALLOC=malloc, so that Python's own objects are traced too.  A test
then fails if blocks that were allocated in it are definitely lost at its end:
nothing points to them, so no code can ever free them.  With
--memtrace-limit BYTES (K, M and G may follow) it also fails if more than that
was allocated in it and is still live at its end.  A test can have limits of
its own:

    @pytest.mark.memtrace(limit="64K", lost=0)

`lost` is the number of definitely lost bytes to allow.  A test that could not
be checked fails, and says why.  Each check runs the command `memtrace` once or
twice, 0.1 s and more.
"""

import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys

import pytest

ROWS = 3
PR_SET_PTRACER = 0x59616d61
AGAIN = "MEMTRACE_PYTEST_AGAIN"


def parse_bytes(text):
    """The number of bytes in "64K" and the like."""
    text = str(text).strip()
    shift = "KMGT".find(text[-1:].upper()) + 1 if text else 0
    try:
        return int(text[:-1] if shift else text, 0) << 10 * shift
    except ValueError:
        raise pytest.UsageError(
            "--memtrace-limit: expected bytes (a suffix K, M, G or T may "
            "follow), not %r" % text) from None


def find_command():
    """The command of this installation, or the one in the path."""
    here = os.path.dirname(os.path.realpath(__file__))
    for place in (os.environ.get("MEMTRACE_COMMAND"),
                  os.path.join(here, "../../../bin/memtrace"),
                  shutil.which("memtrace")):
        if place and os.access(place, os.X_OK):
            return os.path.normpath(place)
    raise pytest.UsageError(
        "--memtrace: the command memtrace is not found; put it into PATH, or "
        "set MEMTRACE_COMMAND")


def find_mark():
    """memtrace_mark of the library in this process, or None."""
    function = getattr(ctypes.CDLL(None), "memtrace_mark", None)
    if function:
        function.argtypes = [ctypes.c_char_p]
    return function


def pytest_addoption(parser):
    """The options of the plugin."""
    group = parser.getgroup("memtrace")
    group.addoption("--memtrace", action="store_true",
                    help="run on the traced heap; fail tests that lose memory")
    group.addoption("--memtrace-limit", metavar="BYTES",
                    help="also fail a test that keeps more than BYTES")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config, args):
    """Start again on the traced heap."""
    known = early_config.known_args_namespace
    if not getattr(known, "memtrace", False) or find_mark():
        return
    if os.environ.get(AGAIN):
        raise pytest.UsageError(
            "--memtrace: this python is not on the traced heap, although "
            "`memtrace run` started it")
    command = find_command()
    capture = early_config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.suspend(in_=True)
    sys.stdout.flush()
    os.environ[AGAIN] = "1"
    os.environ.setdefault("PYTHONMALLOC", "malloc")
    os.execv(command, [command, "run", "--", sys.executable, "-m", "pytest",
                       *args])


def pytest_configure(config):
    """Register what checks the tests."""
    config.addinivalue_line(
        "markers", "memtrace(limit, lost): bytes that the test may keep, and "
        "bytes that it may lose")
    if config.getoption("memtrace"):
        config.pluginmanager.register(Checker(config), "memtrace-checker")


class Checker:
    """Marks each test and looks at the heap when it ends."""

    def __init__(self, config):
        self.command = find_command()
        self.mark = find_mark()
        text = config.getoption("memtrace_limit")
        self.limit = parse_bytes(text) if text is not None else None
        self.passed = None  # the test that has passed, until its teardown

    def ask(self, label, *words):
        """The JSON of a verb of the command about this test."""
        libc = ctypes.CDLL(None)
        env = {key: value for key, value in os.environ.items()
               if key not in ("LD_PRELOAD", "MEMTRACE", "PYTHONMALLOC")}
        libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
        try:
            done = subprocess.run(
                [self.command, *words, "--json", "--since", label,
                 str(os.getpid())], env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        finally:
            libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(0), 0, 0, 0)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip())
        return json.loads(done.stdout)

    def problems(self, label, limit, lost):
        """What is wrong with the test that began with the mark."""
        gc.collect()
        report = self.ask(label, "leaks", "--show-kinds", "definite")
        sums = report["kinds"]
        found = sums["definite"]["bytes"] + sums["indirect"]["bytes"]
        if found > lost:
            yield "%d bytes are definitely lost (%d allowed)%s" % (
                found, lost, stacks_text(report["stacks"]))
        elif not report["checked"]["complete"]:
            yield "not checked: not all memory could be searched"
        if limit is not None:
            report = self.ask(label, "show")
            kept = sum(row["bytes"] for row in report["stacks"])
            if kept > limit:
                yield "%d bytes are still live (%d allowed)%s" % (
                    kept, limit, stacks_text(report["stacks"]))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Fails a test that passed otherwise; at its teardown, when fixtures
        have freed what is theirs."""
        outcome = yield
        report = outcome.get_result()
        if call.when == "setup":
            return
        if call.when == "call":
            self.passed = item.nodeid if report.passed else None
            return
        if not report.passed or self.passed != item.nodeid:
            return
        marker = item.get_closest_marker("memtrace")
        limits = marker.kwargs if marker else {}
        limit = limits.get("limit", self.limit)
        try:
            found = list(self.problems(
                label_of(item),
                parse_bytes(limit) if limit is not None else None,
                parse_bytes(limits.get("lost", 0))))
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            found = ["not checked: %s" % error]
        if found:
            report.outcome = "failed"
            report.longrepr = "memtrace: " + item.nodeid + ": " + \
                "\nmemtrace: ".join(found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Marks the beginning of the test."""
        gc.collect()
        self.mark(label_of(item).encode())


def label_of(item):
    """The mark that a test begins with."""
    return "test: " + item.nodeid


def frame_text(frame):
    """Function and line of a frame of a report."""
    name = frame.get("function") or str(frame.get("pc", "?"))
    if frame.get("file"):
        return "%s (%s:%d)" % (name, os.path.basename(frame["file"]),
                               frame.get("line") or 0)
    return name


def stacks_text(stacks):
    """The first rows of a report, a line each."""
    lines = ["\n  %d bytes in %d blocks: %s" % (
        row["bytes"], row["count"],
        " < ".join(frame_text(f) for f in row["frames"][:4]) or "untraced")
        for row in stacks[:ROWS]]
    if len(stacks) > ROWS:
        lines.append("\n  and %d more stacks" % (len(stacks) - ROWS))
    return "".join(lines)
