# SPDX-License-Identifier: BSD-2-Clause
"""Defines the `memtrace` commands: `source` this file in GDB, or its gdbinit.

The commands lie beside it, in memtrace_gdb/.  Where GDB may auto-load it, the
library that a traced process runs on does the same.
"""

import os
import sys


def load(folder):
    """Define the commands that lie in `folder`; later calls do nothing."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the folder may be root's
    sys.path.insert(0, folder)
    try:
        from memtrace_gdb import commands
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = before
    commands.register()


# __file__ is that of the outermost script when one sources another.
load(os.path.dirname(os.path.abspath(load.__code__.co_filename)))
