# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end tests share: where things are, processes, and results.

A test file defines functions `test_*` whose docstring is the test's name and
ends with `harness.main()`.  A test fails by an exception; harness.Skip says
why it cannot be judged on this machine.
"""

import contextlib
import glob
import inspect
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = os.path.abspath(os.environ.get("MT_SRCDIR") or os.path.join(
    os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("MT_BUILDDIR") or SOURCE)
CC = (os.environ.get("CC") or "gcc").split()
CXX = (os.environ.get("CXX") or "g++").split()
LONG = bool(os.environ.get("MT_LONG"))
PRELOAD = os.path.join(BUILD, "preload", ".libs", "libmemtrace-preload.so")
COMMAND = os.path.join(BUILD, "coreanalyze", "memtrace")
os.environ.pop("DEBUGINFOD_URLS", None)  # GDB asks no server


def make_folders(*names):
    """Folders that `make install` uses, by make's names of them, such as bindir:
    as make says, or as the build's Makefile has them."""
    values = {}
    with contextlib.suppress(OSError), open(os.path.join(
            BUILD, "Makefile"), encoding="utf-8") as file:
        values = dict(re.findall(r"^(\w+) = (.*)$", file.read(), re.M))

    def value(name):
        return re.sub(r"\$[({](\w+)[)}]", lambda m: value(m.group(1)),
                      values.get(name, ""))
    return [os.environ.get("MT_" + name.upper()) or value(name)
            for name in names]


# Notes that a report on a healthy program cannot have.
NOTES = re.compile(
    r"note: [^\n]*(?: damaged|makes? no sense|goe?s? back in time| was full|"
    r"not recorded|of the trace could not be read|got no room for tags)[^\n]*|"
    r'"(?:skipped_\w+|bad_tags|bad_notes|unreadable_bytes|section_overflow|'
    r'epoch_overflow|module_overflow|maps_missed|untagged_spans)": ?[1-9]\d*')
NOTED = []  # what the current test has seen of them
ALLOWED = []  # parts of those that it expects


def allow_notes(*parts):
    """The current test looks at a target that is not healthy: notes that
    contain one of the parts do not fail it."""
    ALLOWED.extend(parts)


def take_notes(argv, output):
    """Keeps what a report should not have noted."""
    if any(str(word).endswith("/memtrace") for word in argv[:8]):
        NOTED.extend(note for note in NOTES.findall(
            output.decode(errors="replace"))
            if not any(part in note for part in ALLOWED))


class Skip(Exception):
    """The test cannot be judged here; the text says why."""


class Failure(AssertionError):
    """A test's expectation that did not hold."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, wanted, what):
    if got != wanted:
        raise Failure("%s: got %s, wanted %s" % (what, shorten(got),
                                                 shorten(wanted)))


def shorten(value, limit=600):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def need(program):
    """The path of a program that Debian has, or Skip."""
    path = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if not path:
        raise Skip("there is no %s here" % program)
    return path


def environment(traced, options="", **more):
    """The environment of a program, on the traced heap or on glibc's."""
    env = {key: value for key, value in os.environ.items()
           if key not in ("LD_PRELOAD", "MEMTRACE")}
    env["LC_ALL"] = "C.UTF-8"
    if traced:
        env["LD_PRELOAD"] = PRELOAD
        env["MEMTRACE"] = options or "trace=on"
    env.update(more)
    return env


def run(argv, timeout=120, status=0, **more):
    """Run to the end; returns the CompletedProcess.  status None: any."""
    if "input" not in more:
        more.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, check=False, **more)
    take_notes(argv, done.stdout + done.stderr)
    if status is not None and done.returncode != status:
        raise Failure("%s ended with %d, not %d: %s" % (
            shorten(" ".join(argv), 200), done.returncode, status,
            shorten((done.stderr + done.stdout)[-800:].decode(
                errors="replace"), 800)))
    return done


def memtrace(*argv, status=0, timeout=120, **more):
    """Run the `memtrace` command; returns its standard output as text."""
    return run([COMMAND, *[str(a) for a in argv]], timeout, status,
               **more).stdout.decode(errors="replace")


def show(target, *options):
    """`memtrace show --json`, parsed."""
    return json.loads(memtrace("show", "--json", *options, target))


class Process:
    """A child that is ended, by its pid, when the block is left."""

    def __init__(self, argv, traced=True, options="", cores=False, **more):
        more.setdefault("env", environment(traced, options))
        more.setdefault("stdin", subprocess.PIPE)
        more.setdefault("stdout", subprocess.PIPE)
        if cores:
            more["preexec_fn"] = allow_cores
        self.child = subprocess.Popen(argv, **more)
        self.pid = self.child.pid
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def line(self, timeout=60):
        """The next line that the child prints."""
        end = time.monotonic() + timeout
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            ready = select.select([self.child.stdout], [], [], max(left, 0))[0]
            if not ready:
                raise Failure("the program said nothing for %d s" % timeout)
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                raise Failure("the program ended with %s after %r" % (
                    self.child.wait(), self.pending))
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode(errors="replace")

    def until(self, wanted, timeout=60):
        """Read lines up to one that equals `wanted`; returns those before."""
        lines = []
        while not lines or lines[-1] != wanted:
            lines.append(self.line(timeout))
        return lines[:-1]

    def tell(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, text, timeout=60):
        self.tell(text)
        return self.line(timeout)

    @contextlib.contextmanager
    def stopped(self):
        """All threads of the process stand still inside the block."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: all(state_of(task) in "Tt" for task in glob.glob(
            "/proc/%d/task/*/stat" % self.pid)), "stop of all threads")
        try:
            yield self
        finally:
            os.kill(self.pid, signal.SIGCONT)


def state_of(stat):
    try:
        with open(stat, encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "T"


def wait_until(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise Failure("waited %d s for %s" % (timeout, what))
        time.sleep(0.02)


def allow_cores():
    import resource  # pylint: disable=import-outside-toplevel
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def core_of(process, folder):
    """The core file that a dead child left in its folder, or Skip."""
    process.child.wait(60)
    found = [path for path in glob.glob(os.path.join(folder, "core*"))
             if os.path.getsize(path)]
    if not found:
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
            raise Skip("no core file: core_pattern is " + file.read().strip())
    return found[0]


def gcore(pid, folder):
    """A core of a live process, made by GDB."""
    if not shutil.which("gdb"):
        raise Skip("there is no gdb here")
    path = os.path.join(folder, "gcore.%d" % pid)
    done = run(["gdb", "-q", "-batch", "-nx", "-p", str(pid), "-ex",
                "gcore " + path], status=None)
    if not os.path.exists(path):
        raise Failure("gcore: " + shorten(done.stderr.decode()[-600:]))
    return path


def gdb_version():
    """The major number of GDB's version."""
    said = run(["gdb", "--version"]).stdout.decode().splitlines()[0]
    return int(re.search(r"(\d+)\.\d+", said.rsplit(") ")[-1]).group(1))


def in_gdb(command, *target):
    """What `memtrace` commands print in GDB, which finds them by itself."""
    if not shutil.which("gdb"):
        raise Skip("there is no gdb here")
    if os.environ.get("MT_SANITIZED"):
        raise Skip("GDB cannot load a library built with a sanitizer")
    with tempfile.NamedTemporaryFile("r", suffix=".json") as output:
        # A core names its library's file; the auto-load script lies beside.
        switch = "set logging " if gdb_version() < 12 else \
            "set logging enabled "
        done = run(["gdb", "-q", "-batch", "-nx", "-iex",
                    "add-auto-load-safe-path " + BUILD, *map(str, target),
                    "-ex", "set logging file " + output.name,
                    "-ex", "set logging redirect on",
                    "-ex", "set logging overwrite on",
                    "-ex", switch + "on", "-ex", command,
                    "-ex", switch + "off"], status=None)
        text = output.read()
    if done.returncode or not text:
        raise Failure("gdb: " + shorten(done.stderr[-600:].decode()))
    return text


COMPILED = {}  # what was compiled by which command: (folder, its output)


def compile_once(argv, output):
    """Runs a compiler's command, whose output is a file; the same command's
    output is copied when it is asked for again."""
    if tuple(argv) not in COMPILED:
        kept = tempfile.TemporaryDirectory(prefix="memtrace-e2e-")
        run([*argv, "-o", os.path.join(kept.name, "output")])
        COMPILED[tuple(argv)] = kept
    shutil.copy2(os.path.join(COMPILED[tuple(argv)].name, "output"), output)


def compile_program(folder, name, *flags, source=None):
    """Compile tests/programs/NAME.c or .cc; returns the path of the result."""
    source = source or name
    path = glob.glob(os.path.join(SOURCE, "tests", "programs", source + ".c*"))
    check(len(path) == 1, "one source of " + source)
    compiler = [*CXX, "-std=c++17", "-fsized-deallocation"] \
        if path[0].endswith(".cc") else CC
    output = os.path.join(folder, name)
    compile_once([*compiler, "-g", *flags, path[0], "-ldl", "-lrt", "-pthread"],
                 output)
    return output


def site_lines(name):
    """{label: line} of the `SITE label` comments in tests/programs/NAME."""
    with open(os.path.join(SOURCE, "tests", "programs", name),
              encoding="utf-8") as file:
        return {match.group(1): number
                for number, line in enumerate(file, 1)
                for match in re.finditer(r"/\* SITE (\w+) \*/", line)}


def functions(stack):
    """Names of a stack's frames, innermost first; `?` where unknown."""
    return [frame.get("function") or "?" for frame in stack["frames"]]


@contextlib.contextmanager
def scratch():
    folder = tempfile.mkdtemp(prefix="memtrace-e2e-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_notes():
    noted = [note for note in NOTED
             if not any(part in note for part in ALLOWED)]
    if os.environ.get("MT_COLLECT_NOTES") and noted:
        with open(os.environ["MT_COLLECT_NOTES"], "a") as f:
            f.write("%s %s %r\n" % (sys.argv[0], len(noted), noted[:4]))
        return
    check(not noted, "a report on a healthy program has notes: %s"
          % sorted(set(noted)))


def main():
    """Run the test functions of the calling file (or those named)."""
    names = inspect.stack()[1].frame.f_globals
    wanted = sys.argv[1:]
    passed, failed, skipped = 0, 0, 0
    for name, test in list(names.items()):
        if not name.startswith("test_") or not callable(test):
            continue
        if wanted and not any(word in name for word in wanted):
            continue
        title = " ".join(test.__doc__.split())
        NOTED.clear()
        ALLOWED.clear()
        try:
            with scratch() as folder:
                test(folder)
            check_notes()
            passed += 1
            print("PASS " + title)
        except Skip as reason:
            skipped += 1
            print("SKIP %s: %s" % (title, reason))
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print("FAIL %s" % title)
            if isinstance(error, Failure):
                where = traceback.extract_tb(error.__traceback__)[1]
                print("  line %s: %s" % (where.lineno, error))
            else:
                print("  " + traceback.format_exc().replace("\n", "\n  "))
        sys.stdout.flush()
    print("%d passed, %d failed%s" % (
        passed, failed, ", %d skipped" % skipped if skipped else ""))
    sys.exit(1 if failed or not passed + skipped else 0)
