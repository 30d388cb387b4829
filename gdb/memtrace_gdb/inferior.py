# SPDX-License-Identifier: BSD-2-Clause
"""What GDB knows of an inferior, as the reader wants it.

Memory is read and written through GDB, always; nothing is called in the
target.  What GDB cannot tell (the mappings behind a bare remote stub) is left
out, and the reader's reports say so.
"""

import contextlib
import ctypes
import os

import gdb

from . import constants, symbols, tables
from .library import Callbacks, Target

PAGE = tables.PAGE
WORD = (1 << 64) - 1  # registers may come as signed
NO_PID = 42000  # what GDB makes up if a remote stub gives no pid


class Memory(Callbacks):
    """The memory and the symbols of an inferior."""

    def __init__(self, inferior):
        self.inferior = inferior

    def read(self, address, buffer, size):
        try:
            view = self.inferior.read_memory(address, size)
        except gdb.MemoryError:
            data = self._while_running(lambda file: file.read(size), address)
            if not data:
                return self._read_start(address, buffer, size)
            ctypes.memmove(buffer, data, len(data))
            return len(data)
        ctypes.memmove(buffer, (ctypes.c_char * size).from_buffer(view), size)
        return size

    def _read_start(self, address, buffer, size):
        """GDB reads all or nothing: halve, at pages, down to what exists."""
        first = address // PAGE
        last = (address + size - 1) // PAGE
        if first == last:
            return 0
        half = (first + (last - first + 1) // 2) * PAGE - address
        done = self.read(address, buffer, half)
        if done == half:
            done += self.read(address + half, buffer + half, size - half)
        return done

    def write(self, address, data):
        try:
            self.inferior.write_memory(address, data)
        except gdb.MemoryError:
            return self._while_running(lambda file: file.write(data),
                                       address) == len(data)
        return True

    def _while_running(self, action, address):
        """GDB before 11 has no access to a process of this machine while it
        runs; the kernel has.  None if that is not the case, or fails."""
        if kind(self.inferior) != "native" or stands_still(self.inferior):
            return None
        try:
            with open("/proc/%d/mem" % self.inferior.pid, "r+b",
                      buffering=0) as file:
                file.seek(address)
                return action(file)
        except (OSError, OverflowError):
            return None

    def symbol(self, pc):
        return symbols.describe(pc)


@contextlib.contextmanager
def bytes_as_text():
    """Inside of the block GDB gives all strings as Latin-1, in which any bytes
    are text; `tables.text` makes of it what they mean.  Else a name that the
    locale's character set lacks is an exception, wherever it comes up."""
    before = gdb.parameter("host-charset")
    gdb.execute("set host-charset " + tables.ANY_BYTES)
    try:
        yield
    finally:
        gdb.execute("set host-charset " + before)


def printed(*commands):
    """What the first of the commands that works prints; "" if none does."""
    for command in commands:
        try:
            return tables.text(gdb.execute(command, to_string=True))
        except gdb.error:
            continue
    return ""


def connection(inferior):
    """(number, type) of the connection of the inferior, which must be the
    selected one; None if it has none.  GDB 10 prints it only."""
    if not hasattr(inferior, "connection"):
        return tables.connection(printed("info connections"))
    found = inferior.connection
    return (found.num, found.type) if found else None


def has_target(inferior):
    """Is there a process or a core?"""
    return inferior.pid != 0 or connection(inferior) is not None


def kind(inferior):
    """native, core, remote, extended-remote, ..."""
    found = connection(inferior)
    return found[1] if found else ""


def stands_still(inferior):
    """Is no thread of it running?"""
    return inferior.is_valid() and all(
        thread.is_stopped() for thread in inferior.threads())


def describe(inferior):
    """The Target of the inferior, which must be the selected one."""
    target = Target(Memory(inferior))
    target.core = core(inferior)
    if target.core:
        return target
    target.pid = 0 if inferior.pid == NO_PID else inferior.pid
    target.threads = threads(inferior)
    target.local_process = kind(inferior) == "native" and \
        os.access("/proc/%d/maps" % target.pid, os.R_OK)
    if target.local_process:
        return target
    target.exe = tables.proc_exe(printed("info proc"))
    if not target.exe:
        target.exe = tables.local_path(program())
    target.mappings = tables.proc_mappings(printed("info proc mappings"))
    target.incomplete = not target.mappings
    if not target.mappings:
        target.mappings = tables.section_mappings(printed(
            "maint info sections -all-objects",
            "maint info sections ALLOBJ"))
    target.root_symbol = tables.symbol_address(printed(
        "info address memtrace_root"))
    return target


def program():
    """The file of the selected inferior's program, or ""."""
    return tables.text(gdb.current_progspace().filename or "")


def core(inferior):
    """The path of the core file, or None if this is none."""
    if kind(inferior) != "core":
        return None
    return tables.core_path(printed("info files"))


def threads(inferior):
    """[(tid, name, registers or None)] of an inferior's threads."""
    selected = gdb.selected_thread()
    frame = gdb.selected_frame() if selected and selected.is_stopped() else None
    found = []
    try:
        for thread in inferior.threads():
            found.append((thread.ptid[1] or thread.ptid[2],
                          tables.text(thread.name or ""), registers(thread)))
    finally:
        if selected and selected.is_valid():
            selected.switch()
        if frame and frame.is_valid():
            frame.select()
    return found


def registers(thread):
    """The registers of a thread, in the order of struct user_regs_struct; None
    if one cannot be read."""
    if not thread.is_stopped():
        return None
    try:
        thread.switch()
        frame = gdb.newest_frame()
        return [int(frame.read_register(name)) & WORD
                for name in constants.REGISTERS]
    except (gdb.error, ValueError, OverflowError):
        return None
