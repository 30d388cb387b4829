# SPDX-License-Identifier: BSD-2-Clause
"""Mappings and more from what GDB prints; GDB's Python does not have them.

Nothing here imports gdb.  A line that is not understood is skipped.
"""

import collections
import re

from .constants import MAP_EXEC, MAP_PRIVATE, MAP_READ, MAP_WRITE

Mapping = collections.namedtuple("Mapping", "start end offset flags path")

REMOTE = "target:"  # what GDB puts before the name of a file of the target

_PROC_LINE = re.compile(
    r"^\s*0x(?P<start>[0-9a-f]+)\s+0x(?P<end>[0-9a-f]+)"
    r"\s+0x[0-9a-f]+\s+0x(?P<offset>[0-9a-f]+)"
    r"(?:\s+(?P<perms>[r-][w-][x-][ps-]))?(?:\s+(?P<path>\S.*?))?\s*$")
_SECTION_LINE = re.compile(
    r"^\s*\[\d+\]\s+0x(?P<start>[0-9a-f]+)->0x(?P<end>[0-9a-f]+)"
    r" at 0x(?P<offset>[0-9a-f]+): (?P<name>\S+)(?P<flags>.*)$")
_FILE_LINE = re.compile(
    r"^(?:Exec file|Core file|Object file): [`'\"]?(?P<path>.*?)['\"]?"
    r"(?:, file type .*)?$")
_CORE_LINE = re.compile(r"^\s*[`'](?P<path>.*)', file type ")
PAGE = 4096
ANY_BYTES = "ISO-8859-1"


def text(string):
    """A string of GDB's that is Latin-1 by name as what it is: UTF-8, and
    other bytes as the functions of `os` take them."""
    return string.encode(ANY_BYTES, "replace").decode("utf-8",
                                                      "surrogateescape")


def local_path(path):
    """A file's name as the target has it."""
    return path[len(REMOTE):] if path.startswith(REMOTE) else path


def proc_mappings(text):
    """The mappings in the output of `info proc mappings`.

    GDB before 12 does not print permissions: then a mapping may be anything.
    """
    found = []
    for line in text.splitlines():
        match = _PROC_LINE.match(line)
        if not match:
            continue
        perms = match["perms"]
        flags = MAP_READ | MAP_WRITE | MAP_EXEC | MAP_PRIVATE
        if perms:
            flags = sum(bit for bit, letter, at in (
                (MAP_READ, "r", 0), (MAP_WRITE, "w", 1), (MAP_EXEC, "x", 2),
                (MAP_PRIVATE, "p", 3)) if perms[at] == letter)
        start, end = int(match["start"], 16), int(match["end"], 16)
        if start < end:
            found.append(Mapping(start, end, int(match["offset"], 16), flags,
                                 match["path"]))
    return found


def section_mappings(text):
    """Mappings of the files in the output of `maint info sections
    -all-objects`: what is known where the target does not list its own.

    A file's sections that are in memory lie at a constant distance from their
    offset in the file as long as they belong to one segment.  Of separate
    debug files, code is listed but not loaded."""
    found = []
    for path, sections in _sections(text):
        if any(" CODE" in s["flags"] and " LOAD" not in s["flags"]
               for s in sections):
            continue
        for section in sections:
            start, end = int(section["start"], 16), int(section["end"], 16)
            if " ALLOC" not in section["flags"] or not PAGE <= start < end:
                continue
            flags = MAP_READ | MAP_PRIVATE
            flags |= 0 if " READONLY" in section["flags"] else MAP_WRITE
            flags |= MAP_EXEC if " CODE" in section["flags"] else 0
            _join(found, Mapping(start, end, int(section["offset"], 16),
                                 flags, path))
    return _whole_pages(sorted(set(found)))


def _sections(text):
    """[(path, [match of a section's line, ...]), ...] of the same output."""
    found = []
    for line in text.splitlines():
        match = _FILE_LINE.match(line.strip())
        if match:
            found.append((local_path(match["path"]), []))
        match = _SECTION_LINE.match(line)
        if match and found:
            found[-1][1].append(match)
    return found


def _join(found, new):
    """Add a section to the mapping that it continues, or to the end."""
    if found:
        last = found[-1]
        if last.path == new.path and last.flags == new.flags and \
                new.start >= last.end and \
                new.start - new.offset == last.start - last.offset:
            found[-1] = last._replace(end=new.end)
            return
    found.append(new)


def _whole_pages(mappings):
    """Grown to pages, without overlaps: the ELF header lies before the first
    section of a file."""
    found, before = [], 0
    for m in mappings:
        start = max(m.start // PAGE * PAGE, before)
        end = -(-m.end // PAGE) * PAGE
        if start < end:
            found.append(m._replace(start=start, end=end, offset=max(
                m.offset - (m.start - start), 0)))
            before = end
    return found


def core_path(info_files):
    """The core file in the output of `info files`, or None."""
    lines = info_files.splitlines()
    for before, line in zip(lines, lines[1:]):
        match = _CORE_LINE.match(line)
        if match and "core dump file" in before:
            return match["path"]
    return None


def connection(info_connections):
    """(number, type) of the selected inferior's connection, which is marked
    in the output of `info connections`; None if it has none."""
    for line in info_connections.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "*" and words[1].isdigit():
            return int(words[1]), words[2]
    return None


def proc_exe(info_proc):
    """The program in the output of `info proc`, or None."""
    match = re.search(r"^exe = '(.*)'$", info_proc, re.M)
    return match[1] if match else None


def symbol_address(info_address):
    """The address in the output of `info address SYMBOL`, or 0."""
    match = re.search(r"\bat(?: address)? 0x([0-9a-f]+)", info_address)
    return int(match[1], 16) if match else 0


def symbol_name(info_symbol):
    """(name, offset) in the output of `info symbol ADDRESS`, or None."""
    match = re.match(r"(.+?)(?: \+ (\d+))? in section ", info_symbol)
    if not match:
        return None
    return match[1], int(match[2] or 0)
