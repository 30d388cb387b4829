# SPDX-License-Identifier: BSD-2-Clause
"""Rows of `show`, and the values that `blocks` makes of their blocks."""

import re

import gdb

from . import expressions
from .verbs import VERBS

# Options of `show` that change which rows there are, or their order.
OF_ROWS = ("--heap", "--sort", "--min", "--focus", "--ignore", "--since",
           "--older")


def of_rows(words):
    """Those of the words that number the rows of `show`."""
    taking = expressions.options_with_values(VERBS["show"])
    options, _ = expressions.split_options(words, taking)
    found = []
    for i, word in enumerate(options):
        if word.split("=")[0] in OF_ROWS:
            found.append(word)
            if word in taking and i + 1 < len(options):
                found.append(options[i + 1])
    return found


def with_history(text):
    """The lines of `blocks`, whose addresses become values of the history:
    each line begins with the number."""
    lines = []
    for line in text.splitlines(True):
        match = re.match(r" *(0x[0-9a-f]+) ", line)
        if match:
            value = gdb.execute("with language c -- print (void *) %s"
                                % match.group(1), to_string=True)
            line = "%6s %s" % (value.split(" = ")[0], line)
        else:
            line = "       " + line if line.strip().startswith("Address") \
                else line
        lines.append(line)
    return "".join(lines)
