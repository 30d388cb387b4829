# SPDX-License-Identifier: BSD-2-Clause
"""The commands: `memtrace` and a sub-command for each verb of the reader.

Their help, options and output are the reader's, which the shell's `memtrace`
has too: only TARGET is left out, which is the selected inferior.
"""

import codecs
import importlib
import sys

import gdb

from . import constants
from .verbs import VERBS

STOPS = "--no-stop"  # of verbs that look at one moment of the process
STATUS = "_memtrace_status"  # a convenience variable, as $_exitcode is
# Commands that the shell alone has, and what serves in their place.
OF_THE_SHELL = {
    "run": "GDB's own `run`, after `memtrace gdb --args PROGRAM`",
    "gdb": "this is GDB",
    "check": "shell memtrace check -- PROGRAM",
    "top": "shell memtrace top PID",
    "watch": "shell memtrace watch PID",
    "box": "shell memtrace box",
    "core-handler": "shell memtrace core-handler --help",
}


def part(name):
    """A module of this package, which is loaded when it is first needed: GDB
    defines the commands at each of its starts."""
    full = __package__ + "." + name
    if full in sys.modules:
        return sys.modules[full]
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the folder may be root's
    try:
        return importlib.import_module(full)
    finally:
        sys.dont_write_bytecode = before


def library():
    """libmemtrace-read.  Raises gdb.GdbError if it cannot be used."""
    return part("readers").library()


class Memtrace(gdb.Command):
    """Show who allocated the memory of a process that runs on the traced heap.

Usage: memtrace COMMAND [OPTIONS]

The commands read the selected inferior, be it a process, one on a
gdbserver, or a core.  They call no function of it, and only `on` and `off`
write: one word.  `memtrace COMMAND --help` lists the options of a command;
$_memtrace_status is the status of the last one, 0 if it did its work."""

    def __init__(self):
        super().__init__("memtrace", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        library()  # says what is wrong with it
        words = argument.split()
        if words and words[0] in OF_THE_SHELL:
            raise gdb.GdbError("memtrace: '%s' is a command of the shell: %s" %
                               (words[0], OF_THE_SHELL[words[0]]))
        if words:
            import difflib  # pylint: disable=import-outside-toplevel
            near = difflib.get_close_matches(words[0], VERBS, 1)
            raise gdb.GdbError("memtrace: unknown command '%s'%s "
                               "(see help memtrace)" % (
                                   words[0], ": did you mean %s?" % near[0]
                                   if near else ""))
        gdb.execute("help memtrace", from_tty)


class Verb(gdb.Command):
    """A verb of the reader; each is a subclass with its own help."""

    verb = None

    def __init__(self):
        super().__init__("memtrace " + self.verb, gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        words = gdb.string_to_argv(argument)
        gdb.set_convenience_variable(STATUS, 1)
        if set(words) & {"--help", "-h"}:
            gdb.write(library().help_text(self.verb))
            status = 0
        elif set(words) & {"|", ">", ">>"}:
            raise gdb.GdbError("memtrace: %s: for output elsewhere, write "
                               "`pipe memtrace %s | COMMAND`" % (self.verb,
                                                                self.verb))
        else:
            words = self._usual_options() + self._operands(words)
            status, text, error = part("readers").use(
                lambda reader: reader.run(self.verb, *words),
                STOPS in library().option_names(self.verb))
            self._print(text)
            if error:
                gdb.set_convenience_variable(STATUS, status)
                raise gdb.GdbError("memtrace: " + error)
        gdb.set_convenience_variable(STATUS, status)

    def _operands(self, words):
        """The words as the reader takes them."""
        return words

    def _print(self, text):
        write(text)

    def complete(self, text, word):
        options = library().option_names(self.verb)
        found, raw = part("completion").complete(text, options,
                                                  self._values)
        # What GDB takes for the word may start inside of it.
        cut = len(raw) - len(word or "")
        return [candidate[cut:] for candidate in found]

    def _usual_options(self):
        """Where GDB looks for files, if that is not where everybody does; what
        the user gives comes later, and wins."""
        options = library().option_names(self.verb)
        words = []
        if "--debug-dir" in options:
            for folder in gdb.parameter("debug-file-directory").split(":"):
                if folder not in ("", constants.USUAL_DEBUG_DIR):
                    words += ["--debug-dir", folder]
        width = gdb.parameter("width")
        if "--width" in options and width:
            words += ["--width", str(width)]
        sysroot = gdb.parameter("sysroot")
        if "--sysroot" in options and sysroot not in (
                "", "/", part("tables").REMOTE):
            words += ["--sysroot", sysroot]
        return words

    @staticmethod
    def _values(option):
        try:
            return part("readers").use(lambda reader: reader.values(option))
        except gdb.GdbError:
            return None


class AtAddresses(Verb):
    """A verb whose operands are addresses: in GDB any expressions."""

    def _operands(self, words):
        expressions = part("expressions")
        options, others = expressions.split_options(
            words, expressions.options_with_values(VERBS[self.verb]))
        try:
            return options + [hex(address)
                              for address in expressions.addresses(others)]
        except gdb.error as error:
            raise gdb.GdbError("memtrace: " + " ".join(
                str(error).split())) from None


class Show(Verb):
    """`show` numbers its rows, which `blocks` takes."""

    def _operands(self, words):
        Blocks.rows = part("rows").of_rows(words)
        return words


class Blocks(Verb):
    """`blocks` puts addresses into the value history."""

    rows = []  # the options of the last `show` that number the rows

    def _operands(self, words):
        self.as_json = "--json" in words
        return self.rows + words

    def _print(self, text):
        write(text if self.as_json else part("rows").with_history(text))


def write(text):
    """Write to GDB's output, through its pager.  What the host's character set
    lacks is escaped as in JSON: GDB before 18 cannot write it, and later ones
    cannot return it from gdb.execute()."""
    try:
        text.encode(host_charset())
        gdb.write(text)
    except UnicodeEncodeError:
        gdb.write("".join(
            c if c.isascii() else "".join(
                "\\u%04x" % int.from_bytes(pair, "big") for pair in pairs(c))
            for c in text))


def host_charset():
    """The host's character set by a name that Python knows, UTF-8 if it does
    not, or if GDB does not say it (before 12)."""
    try:
        return codecs.lookup(gdb.host_charset()).name
    except (AttributeError, LookupError):
        return "utf-8"


def pairs(character):
    """The UTF-16 units of a character."""
    data = character.encode("utf-16-be")
    return [data[i:i + 2] for i in range(0, len(data), 2)]


def documentation(text):
    """The reader's help as GDB wants it: a sentence, and then the usage."""
    usage, _, rest = text.partition("\n\n")
    sentence, _, details = rest.partition("\n\n")
    return "\n\n".join(part.strip("\n") for part in (
        sentence, usage, details) if part.strip("\n"))


def register():
    """Define the commands.  Nothing is loaded before one is used."""
    kinds = {"whatis": AtAddresses, "refs": AtAddresses, "show": Show,
             "blocks": Blocks}
    Memtrace()
    for verb, text in VERBS.items():
        type("Memtrace" + verb.capitalize(), (kinds.get(verb, Verb),), {
            "verb": verb, "__doc__": documentation(text)})()
