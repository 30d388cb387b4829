# SPDX-License-Identifier: BSD-2-Clause
"""Convenience functions: $_mt_block, $_mt_size, $_mt_stack.

They are defined at each start of GDB; what they need is loaded when one of
them is first called.
"""

import gdb

from .commands import part

# GDB prints the string of a variable by itself.  For a string that lies nowhere
# it calls malloc in the target.
TEXT = "_mt_stack_text"


def block_of(value):
    """What `whatis` says of the live block at an address, or None."""
    import json  # pylint: disable=import-outside-toplevel
    address = part("expressions").address_of(value)
    status, text, error = part("readers").use(
        lambda reader: reader.run("whatis", "--json", hex(address)))
    if status:
        raise gdb.GdbError("memtrace: " + error)
    block = json.loads(text)["addresses"][0].get("block")
    return block if block and block["state"] == "live" else None


def frame_text(frame):
    """`load_page at server.cpp:41`"""
    if frame.get("function"):
        text = frame["function"]
    elif frame.get("module"):
        text = "%s + %s" % (frame["module"].rsplit("/", 1)[-1],
                            frame["module_offset"])
    else:
        text = frame["pc"]
    if frame.get("file"):
        text += " at %s:%s" % (frame["file"].rsplit("/", 1)[-1],
                               frame.get("line"))
    return text


class Block(gdb.Function):
    """The start of the live block that holds an address, as a void *; 0 if no
live block of the traced heap does.

Usage: $_mt_block (ADDRESS)"""

    def __init__(self):
        super().__init__("_mt_block")

    def invoke(self, address):  # pylint: disable=arguments-differ
        block = block_of(address)
        void = gdb.lookup_type("void").pointer()
        return gdb.Value(int(block["start"], 16) if block else 0).cast(void)


class Size(gdb.Function):
    """The bytes that were asked for of the live block that holds an address; 0
if no live block of the traced heap does.

Usage: $_mt_size (ADDRESS)"""

    def __init__(self):
        super().__init__("_mt_size")

    def invoke(self, address):  # pylint: disable=arguments-differ
        block = block_of(address)
        return block["bytes"] if block else 0


class Stack(gdb.Function):
    """The stack that allocated the live block that holds an address, a frame a
line; "no live block" if no live block of the traced heap does.

Usage: printf "%s\\n", $_mt_stack (ADDRESS)"""

    def __init__(self):
        super().__init__("_mt_stack")

    def invoke(self, address):  # pylint: disable=arguments-differ
        block = block_of(address)
        gdb.set_convenience_variable(TEXT, "\n".join(
            frame_text(frame) for frame in block["frames"]) if block else
            "no live block")  # of a core GDB cannot print an empty string
        return gdb.parse_and_eval("$" + TEXT)


def register():
    """Define the functions."""
    Block()
    Size()
    Stack()
