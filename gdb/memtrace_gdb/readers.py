# SPDX-License-Identifier: BSD-2-Clause
"""One reader per inferior, kept until the inferior changes.

A reader holds tables of the inferior: its mappings, modules and threads.  It
is dropped when the inferior runs on, maps or unmaps a library, is written to
by GDB, or ends; not kept when some thread of it is running; and not used when
the inferior has become another one.
"""

import os

import gdb

from . import inferior as inferiors
from .library import Library, LibraryError, Reader

ARCHITECTURES = ("i386:x86-64", "i386:x86-64:intel")

_library = None
_readers = {}  # number of the inferior: (key, reader)
_busy = False  # a reader is at work: GDB's events come from what it asks
_stale = False


def library():
    """libmemtrace-read.  Raises gdb.GdbError if it cannot be used."""
    global _library  # pylint: disable=global-statement
    if _library is None:
        try:
            _library = Library()
            watch()
        except LibraryError as error:
            raise gdb.GdbError("memtrace: %s" % error) from None
    return _library


def _key(inferior):
    connection = inferiors.connection(inferior)
    core = inferiors.core(inferior)
    try:
        written = os.stat(core).st_mtime_ns if core else 0
    except OSError:
        written = 0
    return (inferior.pid, connection[0] if connection else 0, core, written,
            inferiors.program())


def _open(inferior):
    if not inferiors.has_target(inferior):
        raise gdb.GdbError("memtrace: no process and no core: start "
                           "a program, attach, or open a core")
    architecture = inferior.architecture().name()
    if architecture not in ARCHITECTURES:
        raise gdb.GdbError("memtrace: the target is not x86-64 but %s"
                           % architecture)
    return Reader(library(), inferiors.describe(inferior))


def use(action, of_one_moment=False):
    """Call `action` with the reader of the selected inferior, which stands
    still if it needs a picture `of_one_moment`.

    Errors of GDB and of the reader come out as gdb.GdbError."""
    global _busy, _stale  # pylint: disable=global-statement
    inferior = gdb.selected_inferior()
    if of_one_moment and not inferiors.stands_still(inferior):
        raise gdb.GdbError("memtrace: the process is running: interrupt it "
                           "first")
    if _busy:
        raise gdb.GdbError("memtrace: a memtrace command is at work")
    _busy, _stale = True, False
    try:
        with inferiors.bytes_as_text():
            key = _key(inferior)
            kept, reader = _readers.get(inferior.num, (None, None))
            if reader is None or kept != key:
                _drop_one(inferior.num)
                reader = _open(inferior)
                _readers[inferior.num] = (key, reader)
            return action(reader)
    except LibraryError as error:
        raise gdb.GdbError("memtrace: %s" % error) from None
    except gdb.error as error:
        _stale = True
        raise gdb.GdbError("memtrace: %s" % " ".join(
            str(error).split())) from None
    finally:
        _busy = False
        if _stale or not inferiors.stands_still(inferior):
            drop()


def _drop_one(number):
    _, reader = _readers.pop(number, (None, None))
    if reader:
        reader.close()


def drop(*_event):
    """Forget all readers; later, if one is at work."""
    global _stale  # pylint: disable=global-statement
    _stale = True
    if not _busy:
        for number in list(_readers):
            _drop_one(number)


def watch():
    """Drop readers when GDB says that something has changed."""
    for name in ("cont", "exited", "new_objfile", "clear_objfiles",
                 "free_objfile", "inferior_deleted", "memory_changed",
                 "register_changed", "connection_removed"):
        registry = getattr(gdb.events, name, None)
        if registry is not None:
            registry.connect(drop)
