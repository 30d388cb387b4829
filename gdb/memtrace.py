# SPDX-License-Identifier: BSD-2-Clause
"""Defines the `memtrace` commands: `source` this file in GDB, or its gdbinit.

The commands lie beside it, in memtrace_gdb/.  An installation for the whole
system has GDB run this at its start.
"""

import os
import sys


def load(folder):
    """Define the commands that lie in `folder`.  Later calls do nothing; a
    call for another folder replaces them."""
    package = os.path.join(folder, "memtrace_gdb")
    loaded = sys.modules.get("memtrace_gdb")
    if loaded is not None:
        if os.path.realpath(package) == os.path.realpath(
                os.path.dirname(loaded.__file__)):
            return
        for name in list(sys.modules):
            if name.split(".")[0] == "memtrace_gdb":
                del sys.modules[name]
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the folder may be root's
    sys.path.insert(0, folder)
    try:
        from memtrace_gdb import commands, functions
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = before
    commands.register()
    functions.register()


# __file__ is that of the outermost script when one sources another.
load(os.path.dirname(os.path.abspath(load.__code__.co_filename)))
