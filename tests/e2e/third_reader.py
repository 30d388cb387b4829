# SPDX-License-Identifier: BSD-2-Clause
"""A reader of the trace in a core file, written from docs/layout.md alone.

It takes every offset from the text schema in the core, so it needs no header
of memtrace.  `live_by_stack(core)` gives {(pc, ...): (blocks, bytes)}, the
stack () being that of untraced blocks.
"""

import mmap
import struct

MAGIC = b"MEMTRACE"
ALIGN = 16384
FORMATS = {1: "B", 2: "<H", 4: "<I", 8: "<Q"}


class Core:
    """The memory that an ELF core holds."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self.data[:4] != b"\x7fELF":
            raise ValueError("not an ELF file")
        (offset,) = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        if count == 0xffff:  # the number is in the first section header
            (sections,) = struct.unpack_from("<Q", self.data, 40)
            (count,) = struct.unpack_from("<I", self.data, sections + 44)
        self.segments, self.writable, self.stack_pointer = [], [], 0
        for i in range(count):
            kind, flags, start, address, _, in_file, _, _ = struct.unpack_from(
                "<IIQQQQQQ", self.data, offset + i * size)
            if kind == 1 and in_file:
                self.segments.append((address, start, in_file))
            # What is not writable may have been; code has not.
            if kind == 1 and in_file and (flags & 2 or not flags & 1):
                self.writable.append((address, address + in_file))
            if kind == 4:  # the first note is NT_PRSTATUS of one thread
                (self.stack_pointer,) = struct.unpack_from(
                    "<Q", self.data, start + 20 + 112 + 19 * 8)

    def read(self, address, size):
        for base, start, in_file in self.segments:
            if base <= address and address + size <= base + in_file:
                at = start + address - base
                return self.data[at:at + size]
        raise ValueError("no memory at %#x in the core" % address)

    def words(self, address, count):
        return struct.unpack("<%dQ" % count, self.read(address, 8 * count))

    def find_root(self):
        """The address of the page with the magic and its own address."""
        for base, start, in_file in self.segments:
            for at in range(-base % ALIGN, in_file - 16, ALIGN):
                at += start
                if self.data[at:at + 8] == MAGIC:
                    (own,) = struct.unpack_from("<Q", self.data, at + 8)
                    if own == base + at - start:
                        return own
        raise ValueError("no root")


class Record:
    """One record; its fields are attributes, by the names of the schema."""

    def __init__(self, schema, kind, data):
        self.fields = schema[kind]
        self.data = data

    def __getattr__(self, name):
        offset, size, count = self.fields[name]
        if offset + size * count > len(self.data):
            return 0  # an older writer, that did not know this field
        if count > 1 and size == 1:
            return self.data[offset:offset + count].split(b"\0")[0]
        return struct.unpack_from(FORMATS[size], self.data, offset)[0]


class Trace:
    """The trace region in a core."""

    def __init__(self, core):
        self.core = core
        root = core.find_root()
        # Before the schema is known: the first section is the schema, and
        # where the table of sections lies is part of the major version.
        base, used = (core.words(root + 624 + 16, 4)[i] for i in (0, 3))
        self.schema = self.read_schema(core.read(base, used).decode())
        self.root = Record(self.schema, "root",
                           core.read(root, self.sizes["root"]))
        self.sections = {}
        at, size = root + self.schema["root"]["sections"][0], self.sizes[
            "section_record"]
        for i in range(self.root.n_sections):
            section = Record(self.schema, "section_record",
                             core.read(at + i * size, size))
            self.sections[section.name.decode()] = section

    def read_schema(self, text):
        schema, self.sizes, kind = {}, {}, None
        for line in text.splitlines():
            words = line.split()
            if words[:2] == ["memtrace", "layout"]:
                if words[2].split(".")[0] != "2":
                    raise ValueError("another layout: " + words[2])
            elif words[:1] == ["record"]:
                kind = words[1]
                schema[kind], self.sizes[kind] = {}, int(words[2])
            elif words[:1] == ["field"]:
                schema[kind][words[1]] = tuple(int(w) for w in words[2:5])
        return schema

    def records(self, section, kind):
        """All records of a section, in order."""
        section = self.sections[section]
        size = section.entry_bytes
        data = self.core.read(section.base, section.used)
        return [Record(self.schema, kind, data[at:at + size])
                for at in range(0, len(data) - size + 1, size)]

    def blocks(self):
        """(address, bytes asked for, stack id) of every live block."""
        for span in self.records("spans", "span_record")[1:]:
            if span.state not in (2, 3):
                continue
            n = span.n_blocks
            words = (n + 63) // 64
            if words == 1:
                free = [span.inline_local | span.inline_remote]
            else:
                free = [a | b for a, b in zip(
                    self.core.words(span.local, words),
                    self.core.words(span.remote, words))]
            tags = (0,) * n
            if span.tags:
                tags = (span.inline_tag,) if n == 1 else self.core.words(
                    span.tags, n)
            for i in range(n):
                if free[i // 64] >> (i % 64) & 1:
                    continue
                size = span.block_bytes - (tags[i] >> 48)
                if span.state == 3 and tags[i]:
                    size = span.requested
                yield (span.base + i * span.block_bytes, size,
                       tags[i] & 0xfffffff)

    def mapped(self):
        """(address, bytes, flags, stack id) of what the program mapped."""
        for record in self.records("maps", "map_record")[1:]:
            if record.bytes:
                yield (record.start, record.bytes, record.flags,
                       record.stack)

    def samples(self):
        """Totals over time, in order: records with the fields' names."""
        times = {record.monotonic_ns: record
                 for record in self.records("samples", "sample_record")}
        return [times[ns] for ns in sorted(times) if ns]

    def peak(self):
        """The records of the peak: bytes, blocks and stack of each."""
        root = self.root
        if root.peak == 0:
            return []
        first, n = (struct.unpack_from("<2I", root.data,
                                       root.fields[name][0])[root.peak - 1]
                    for name in ("peak_first", "peak_records"))
        return self.records("peaks", "peak_record")[first:first + n]

    def not_searched(self):
        """[start, end) of writable memory that is not the program's own: the
        trace region, the regions of heaps, the library's variables."""
        root = self.root
        yield root.self, root.self + root.region_bytes
        yield root.own_data, root.own_data + root.own_data_bytes
        for region in self.records("regions", "region_record"):
            if region.state == 1:
                yield region.base, region.base + region.size

    def searched(self):
        """[start, end) of what may hold the program's pointers, of a core of
        one thread; what is below its stack pointer is left out."""
        stack = self.core.stack_pointer
        for start, end in self.core.writable:
            if start <= stack < end:
                start = (stack - 128) & ~7
            parts = [(start, end)]
            for a, b in self.not_searched():
                parts = [(max(s, f), min(e, t)) for s, e in parts
                         for f, t in ((s, a), (b, e)) if max(s, f) < min(e, t)]
            yield from parts


def frames_of(stack, nodes):
    """Program counters, innermost first."""
    frames, node = [], stack.node
    while node and len(frames) < stack.depth:
        frames.append(nodes[node].pc & (1 << 48) - 1)
        node = nodes[node].parent
    return tuple(frames)


def live_by_stack(path):
    trace = Trace(Core(path))
    stacks = trace.records("stacks", "stack_record")
    nodes = trace.records("nodes", "node_record")
    frames = {0: ()}
    sums = {}
    for _, size, stack in trace.blocks():
        if stack not in frames:
            frames[stack] = frames_of(stacks[stack], nodes)
        count, total = sums.get(frames[stack], (0, 0))
        sums[frames[stack]] = count + 1, total + size
    return sums
