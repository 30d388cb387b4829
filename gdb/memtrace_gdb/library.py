# SPDX-License-Identifier: BSD-2-Clause
"""libmemtrace-read by ctypes.

`Library` is the loaded library, `Reader` one open target of it.  What the
reader needs to know of the target is a `Target`; its functions are methods of
an object that the caller gives (`Callbacks`).
"""

import ctypes
import os
import sys

from . import constants


class LibraryError(Exception):
    """The library cannot be used, or refuses; the text is one line."""


def _field_type(kind, items):
    """The ctypes type of a field, from its description in constants.py."""
    if " " in kind:
        names = kind.split()
        return ctypes.CFUNCTYPE(*[getattr(ctypes, name) for name in names])
    simple = getattr(ctypes, kind)
    return simple * items if items else simple


def _structures():
    """Classes of the structures of reader.h, by name without the prefix."""
    found = {}
    for name, size, fields in constants.STRUCTURES:
        made = type(name, (ctypes.Structure,), {"_fields_": [
            (field, _field_type(kind, items))
            for field, kind, items in fields]})
        if ctypes.sizeof(made) != size:
            raise LibraryError("constants.py does not fit this machine")
        found[name.replace("memtrace_reader_", "")] = made
    return found


TYPES = _structures()
Symbol = TYPES["symbol"]


def places():
    """Where the library may be, best first."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    named = os.environ.get("MEMTRACE_READER")
    if named:
        return [named]
    folders = [os.path.join(here, constants.BUILT_AT),
               os.path.join(here, constants.INSTALLED_AT), constants.LIBDIR]
    return [os.path.normpath(os.path.join(folder, constants.LIBRARY))
            for folder in folders]


def _load(path):
    # GDB has libraries with functions of the same names as those of libdwarf
    # (libdw has): each library is to find those that it was linked with.
    try:
        return ctypes.CDLL(path, os.RTLD_LOCAL | os.RTLD_DEEPBIND)
    except OSError as error:
        raise LibraryError("cannot load %s: %s" % (path, error)) from None


def _find():
    candidates = places()
    for path in candidates:
        if os.path.exists(path):
            return _load(path)
    raise LibraryError("%s is not found; MEMTRACE_READER can name it"
                       % candidates[-1])


def _strings(array):
    """The strings of a NULL-terminated array, which may be NULL."""
    found = []
    while array and array[len(found)] is not None:
        found.append(array[len(found)].decode("utf-8", "replace"))
    return found


class Library:
    """The loaded library.  Raises LibraryError if it is another version's."""

    def __init__(self):
        self.c = _find()
        names = ctypes.POINTER(ctypes.c_char_p)
        text = ctypes.POINTER(ctypes.c_char_p)
        try:
            self._declare("version", ctypes.c_char_p)
            self._declare("verbs", names)
            self._declare("help", ctypes.c_char_p, ctypes.c_char_p)
            self._declare("options", names, ctypes.c_char_p)
            self._declare("values", names, ctypes.c_void_p, ctypes.c_char_p)
            self._declare("open_target", ctypes.c_void_p,
                          ctypes.POINTER(TYPES["target"]), ctypes.c_char_p,
                          ctypes.c_size_t)
            self._declare("close", None, ctypes.c_void_p)
            self._declare("run", ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
                          ctypes.POINTER(ctypes.c_char_p), text, text)
        except AttributeError as error:
            raise LibraryError("%s is another version: %s" % (
                self.c._name, error)) from None
        version = self.version().decode()
        if version != constants.VERSION:
            raise LibraryError("%s is version %s, and these commands are "
                               "version %s" % (self.c._name, version,
                                               constants.VERSION))

    def _declare(self, name, result, *parameters):
        function = getattr(self.c, "memtrace_reader_" + name)
        function.restype, function.argtypes = result, parameters
        setattr(self, name, function)

    def verb_names(self):
        return _strings(self.verbs())

    def help_text(self, verb):
        return (self.help(verb.encode()) or b"").decode("utf-8", "replace")

    def option_names(self, verb):
        return _strings(self.options(verb.encode()))


class Callbacks:
    """What a Reader asks of its target; a subclass answers.

    A callback that raises has failed, and so do all later ones until the verb
    returns; `Reader.run` raises the exception then.
    """

    def read(self, address, buffer, size):
        """Copy memory to the address `buffer`; returns the bytes copied, from
        the start."""
        raise NotImplementedError

    def write(self, address, data):
        """Write memory; True if all was written."""
        raise NotImplementedError

    def symbol(self, pc):
        """(function, offset, file, line) of a pc, or None.  Function and file
        may be None."""
        raise NotImplementedError


class Target:
    """What a reader must know of a target; see reader.h."""

    def __init__(self, callbacks):
        self.callbacks = callbacks
        self.pid = 0
        self.core = None
        self.local_process = False
        self.exe = None
        self.mappings = []  # of tables.Mapping
        self.threads = []  # of (tid, name, registers or None)
        self.root_symbol = 0
        self.incomplete = False  # not all mappings are known


class Reader:
    """One open target."""

    def __init__(self, library, target):
        self.library = library
        self.callbacks = target.callbacks
        self.failure = None
        self.handle = None
        self.target = self._fill(target)
        error = ctypes.create_string_buffer(1024)

        def open_target():
            self.handle = library.open_target(ctypes.byref(self.target), error,
                                              len(error))
        try:
            self._guarded(open_target)
        except BaseException:
            self.close()
            raise
        if not self.handle:
            raise LibraryError(error.value.decode("utf-8", "replace"))

    def close(self):
        """The reader is not used any more."""
        if self.handle:
            self.library.close(self.handle)
        self.handle = None

    def run(self, *argv):
        """Run a verb; returns (exit status, text, error)."""
        words = (ctypes.c_char_p * (len(argv) + 1))(
            *[word.encode("utf-8", "surrogateescape") for word in argv])
        text, error = ctypes.c_char_p(), ctypes.c_char_p()
        status = self._guarded(lambda: self.library.run(
            self.handle, len(argv), words, ctypes.byref(text),
            ctypes.byref(error)))
        return (status, text.value.decode("utf-8", "replace"),
                error.value.decode("utf-8", "replace"))

    def values(self, option):
        """What may follow an option: names of heaps, marks, keys; None if
        the option takes no value."""
        found = self._guarded(lambda: self.library.values(
            self.handle, option.encode()))
        return _strings(found) if found else None

    def _guarded(self, call):
        """Call into the library; raise what a callback has raised.

        An exception that comes before the first line of a callback, as that
        of Ctrl-C does, ends in sys.unraisablehook; the callback's result is
        then arbitrary, and the reader takes memory for hostile anyway."""
        def note(unraisable):
            self.failure = self.failure or unraisable.exc_value or \
                unraisable.exc_type()
        self.failure = None
        before, sys.unraisablehook = sys.unraisablehook, note
        try:
            result = call()
        finally:
            sys.unraisablehook = before
        if self.failure:
            raise self.failure
        return result

    def _callback(self, field, function, failed):
        """The C function of a field of the target, from a Python function."""
        def guarded(_context, *arguments):
            if self.failure:
                return failed
            try:
                return function(*arguments)
            except BaseException as error:  # pylint: disable=broad-except
                self.failure = error
                return failed
        return dict(TYPES["target"]._fields_)[field](guarded)

    def _fill(self, target):
        def encoded(text):
            return text.encode("utf-8", "surrogateescape") if text else None

        mappings = (TYPES["mapping"] * len(target.mappings))(*[
            TYPES["mapping"](start=m.start, end=m.end, file_offset=m.offset,
                             flags=m.flags, path=encoded(m.path))
            for m in target.mappings])
        threads = (TYPES["thread"] * len(target.threads))()
        for to, (tid, name, registers) in zip(threads, target.threads):
            to.tid, to.name = tid, encoded(name)
            if registers:
                to.has_registers = 1
                to.registers[:] = registers
        self.tables = (mappings, threads)  # they live as long as the reader
        return TYPES["target"](
            abi=constants.ABI, pid=target.pid, core=encoded(target.core),
            local_process=target.local_process, exe=encoded(target.exe),
            n_mappings=len(mappings), n_threads=len(threads),
            mappings=ctypes.cast(mappings, ctypes.c_void_p),
            threads=ctypes.cast(threads, ctypes.c_void_p),
            root_symbol=target.root_symbol,
            tables_incomplete=target.incomplete,
            read=self._callback("read", self.callbacks.read, 0),
            write=self._callback("write", self._write, 0),
            symbol=self._callback("symbol", self._symbol, 0),
            progress=self._callback("progress", lambda *_: 0, 1))

    def _write(self, address, buffer, size):
        return bool(self.callbacks.write(address,
                                         ctypes.string_at(buffer, size)))

    def _symbol(self, pc, at):
        found = self.callbacks.symbol(pc)
        if not found:
            return 0
        function, offset, file, line = found
        symbol = Symbol.from_address(at)
        symbol.function = _fitting(function)
        symbol.file = _fitting(file)
        symbol.offset, symbol.line = offset, line
        return 1


def _fitting(text):
    """The bytes of a text, cut to what a field of a symbol holds."""
    room = Symbol.function.size - 1
    return (text or "").encode("utf-8", "surrogateescape")[:room]
