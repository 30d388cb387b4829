# SPDX-License-Identifier: BSD-2-Clause
"""Addresses as expressions: what a user types becomes a number."""

import re

import gdb

WORD = (1 << 64) - 1
SCALARS = [getattr(gdb, "TYPE_CODE_" + name) for name in (
    "PTR", "INT", "ENUM", "CHAR", "BOOL")]
REFERENCES = [getattr(gdb, "TYPE_CODE_" + name) for name in (
    "REF", "RVALUE_REF") if hasattr(gdb, "TYPE_CODE_" + name)]


def address_of(value):
    """The address that a value is, or that it lies at if it is an object.
    Raises gdb.error for a register or a constant that is neither."""
    kind = value.type.strip_typedefs().code
    if kind in REFERENCES:
        return address_of(value.referenced_value())
    if kind in SCALARS:
        return int(value) & WORD
    if value.address is None:
        raise gdb.error("a value of type %s has no address" % value.type)
    return int(value.address) & WORD


def evaluate(text):
    """The address of an expression; what looks like a bare address, of nine
    digits at least, is hexadecimal as in the shell."""
    if re.fullmatch("[0-9a-fA-F]{9,16}", text):
        return int(text, 16)
    # An address is wanted, however large the object is.
    before = gdb.parameter("max-value-size")
    gdb.execute("set max-value-size unlimited")
    try:
        return address_of(gdb.parse_and_eval(text))
    finally:
        gdb.execute("set max-value-size %s" % (
            "unlimited" if before in (None, -1) else before))


def split_options(words, taking):
    """(the options among the words with their values, the other words);
    `taking` are the options that want a value."""
    options, others, at = [], [], 0
    while at < len(words):
        word = words[at]
        if word == "--":
            others += words[at + 1:]
            break
        if not (word.startswith("--") or re.fullmatch("-[a-z]+[0-9]*", word)):
            others.append(word)
        else:
            options.append(word)
            if word in taking and at + 1 < len(words):
                at += 1
                options.append(words[at])
        at += 1
    return options, others


def options_with_values(help_text):
    """The options whose help names a value: `-n, --top N`."""
    found = set()
    for line in help_text.splitlines():
        match = re.match(r"  ((?:-\w, )?--[\w-]+) \S", line)
        if match and not re.match(r"  (?:-\w, )?--[\w-]+  ", line):
            found.update(match.group(1).split(", "))
    return found


def addresses(words):
    """The addresses that words stand for: one expression, or one each."""
    text = " ".join(words)
    if len(words) > 1:
        try:
            return [evaluate(text)]
        except gdb.error:
            return [evaluate(word) for word in words]
    return [evaluate(text)] if words else []
