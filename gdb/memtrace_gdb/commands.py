# SPDX-License-Identifier: BSD-2-Clause
"""The commands: `memtrace` and a sub-command for each verb of the reader.

Their help, options and output are the reader's, which the shell's `memtrace`
has too: only TARGET is left out, which is the selected inferior.
"""

import gdb

from . import completion, readers, tables
from .library import LibraryError

USUAL_DEBUG_DIR = "/usr/lib/debug"
STOPS = "--no-stop"  # of verbs that look at one moment of the process
STATUS = "_memtrace_status"  # a convenience variable, as $_exitcode is


class Memtrace(gdb.Command):
    """Show who allocated the memory of a process that runs on the traced heap.

Usage: memtrace COMMAND [OPTIONS]

The commands read the selected inferior, be it a process, one behind a
gdbserver, or a core.  They call no function of it, and only `on` and `off`
write: one word.  `memtrace COMMAND --help` tells the options of a command;
$_memtrace_status is the status of the last one, 0 if it did its work."""

    def __init__(self):
        super().__init__("memtrace", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        readers.library()  # says what is wrong with it
        words = argument.split()
        if words:
            raise gdb.GdbError("memtrace: no command %s (see help memtrace)"
                               % words[0])
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
            gdb.write(readers.library().help_text(self.verb))
            status = 0
        else:
            words = self._usual_options() + words
            status, text, error = readers.use(
                lambda reader: reader.run(self.verb, *words),
                STOPS in readers.library().option_names(self.verb))
            write(text)
            if error:
                gdb.set_convenience_variable(STATUS, status)
                raise gdb.GdbError("memtrace: " + error)
        gdb.set_convenience_variable(STATUS, status)

    def complete(self, text, word):
        options = readers.library().option_names(self.verb)
        found, raw = completion.complete(text, options, self._values)
        # What GDB takes for the word may start inside of it.
        cut = len(raw) - len(word or "")
        return [candidate[cut:] for candidate in found]

    def _usual_options(self):
        """Where GDB looks for files, if that is not where everybody does; what
        the user gives comes later, and wins."""
        options = readers.library().option_names(self.verb)
        words = []
        if "--debug-dir" in options:
            for folder in gdb.parameter("debug-file-directory").split(":"):
                if folder not in ("", USUAL_DEBUG_DIR):
                    words += ["--debug-dir", folder]
        sysroot = gdb.parameter("sysroot")
        if "--sysroot" in options and sysroot not in ("", "/", tables.REMOTE):
            words += ["--sysroot", sysroot]
        return words

    @staticmethod
    def _values(option):
        try:
            return readers.use(lambda reader: reader.values(option))
        except gdb.GdbError:
            return None


def write(text):
    """Write to GDB's output, through its pager.  What the host's character set
    lacks is escaped as in JSON."""
    try:
        gdb.write(text)
    except UnicodeEncodeError:
        gdb.write("".join(
            c if c.isascii() else "".join(
                "\\u%04x" % int.from_bytes(pair, "big") for pair in pairs(c))
            for c in text))


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
    """Define the commands.  Without the library there is `memtrace` alone,
    which says what is missing."""
    Memtrace()
    try:
        library = readers.library()
    except (gdb.GdbError, LibraryError):
        return
    for verb in library.verb_names():
        type("Memtrace" + verb.capitalize(), (Verb,), {
            "verb": verb,
            "__doc__": documentation(library.help_text(verb))})()
    readers.watch()
