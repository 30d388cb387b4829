# SPDX-License-Identifier: BSD-2-Clause
"""GDB's names for addresses, for where the reader's own symbolizer has none:
files that only GDB found, symbols that were loaded by hand, code that a JIT
compiler registered."""

import gdb

from . import tables


def describe(pc):
    """(function, offset, file, line) of a return address, or None.

    The call before it is what is looked up: the return address of a call at
    the end of a function lies after it."""
    call = pc - 1
    function, offset = _function(call)
    file, line = _line(call)
    if function is None and file is None:
        return None
    return function, offset + 1, file, line


def _function(address):
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    if block is not None:
        return tables.text(block.function.print_name), address - block.start
    try:
        found = tables.symbol_name(
            tables.text(gdb.execute("info symbol %#x" % address,
                                    to_string=True)))
    except gdb.error:
        found = None
    return found or (None, 0)


def _line(address):
    place = gdb.find_pc_line(address)
    if place is None or place.symtab is None or not place.line:
        return None, 0
    return tables.text(place.symtab.fullname()), place.line
