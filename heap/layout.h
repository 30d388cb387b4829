/* SPDX-License-Identifier: BSD-2-Clause
 *
 * layout.h - what a reader of the trace may rely on.
 *
 * This is the one header that the traced heap (heap/) and its readers
 * (coreanalyze/) share.  It includes nothing but <stdint.h> and <stddef.h>.
 *
 * GLOSSARY
 *   trace region  one contiguous reservation of address space that holds all
 *                 state of the allocator and of the trace.  Nothing of either
 *                 lies inside or between the user's blocks.
 *   root          the first page of the trace region; `memtrace_root`, an
 *                 exported pointer, holds its address.
 *   section       a part of the trace region with one kind of record; the
 *                 root lists all sections.
 *   heap          a named set of regions.  Heap 0 is the main heap (malloc).
 *   region        contiguous address space that blocks are cut from.
 *   slice         MT_SLICE_BYTES of a region; the unit that spans are made of.
 *   span          a run of slices: blocks of one size class, one large
 *                 block, or a free run.
 *   block         what an allocation returns.
 *   tag           64 bits per block: who allocated it, when, how much of it
 *                 was asked for.
 *   node          a frame of call stacks: a program counter, and the node of
 *                 its caller.  Stacks with the same callers share nodes.
 *   stack         a deduplicated call stack: the node of its innermost frame
 *                 (the caller of malloc).
 *   epoch         an entry in a table of coarse times; a tag holds its index.
 *
 * CONVENTIONS
 *   All integers are little-endian (the writer's own order; MT_MAGIC shows it).
 *   "address" is an address in the target.  A count or id of 0 means none where
 *   the field says so.  Records only grow at their end within one major
 *   version, so a reader steps by the section's entry_bytes and never by its
 *   own sizeof.
 *
 * INVARIANTS (B is a span with state MT_SPAN_SMALL or MT_SPAN_LARGE)
 *   base + n_blocks * block_bytes <= region.base + (first_slice + n_slices)
 *                                    * MT_SLICE_BYTES
 *   block i is at base + i * block_bytes, 0 <= i < n_blocks
 *   block i is live  <=>  neither bit i of local[] nor of remote[] is set
 *   slice_map[s] = B's span id for every slice s of B
 *   tags == 0  =>  no block of B has a tag (all are untraced)
 *   tags != 0  =>  tags[i] belongs to block i; of a freed block it is the
 *                  tag of the block that was last there
 *   span of a large block: n_blocks = 1, its bits and tag are in the record
 *
 * Every structure below is generated from a table of its fields; the same
 * tables make the text schema in the trace region and the assertions on
 * every offset at the end of this file.
 */
#ifndef MT_LAYOUT_H
#define MT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* clang-format off */

#define MT_LAYOUT_MAJOR 2
#define MT_LAYOUT_MINOR 3

/* "MEMTRACE" in the order of the bytes in memory (little-endian). */
#define MT_MAGIC UINT64_C(0x45434152544d454d)

#define MT_SLICE_SHIFT 14
#define MT_SLICE_BYTES (UINT64_C(1) << MT_SLICE_SHIFT)
#define MT_MIN_BLOCK 16 /* bytes; every block is aligned to this at least */

/* Tag: | slack:16 | epoch:20 | stack:28 |, 0 = untraced. */
#define MT_TAG_STACK_BITS 28
#define MT_TAG_EPOCH_BITS 20
#define MT_TAG_SLACK_BITS 16
#define MT_TAG_STACK(tag) ((uint32_t)((tag) & ((UINT64_C(1) << 28) - 1)))
#define MT_TAG_EPOCH(tag) ((uint32_t)(((tag) >> 28) & ((UINT64_C(1) << 20) - 1)))
#define MT_TAG_SLACK(tag) ((uint32_t)((tag) >> 48))
#define MT_TAG(stack, epoch, slack) \
    ((uint64_t)(stack) | ((uint64_t)(epoch) << 28) | ((uint64_t)(slack) << 48))

/* Stack ids with a meaning of their own; all others index the stack table. */
#define MT_STACK_UNTRACED 0u  /* allocated while tracing was off */
#define MT_STACK_OVERFLOW 1u  /* the stack table was full */
#define MT_STACK_UNSAMPLED 2u /* sampling passed this block over */
#define MT_STACK_FIRST 3u     /* the first id that the table hands out */

/* The trace control word of a heap (mt_heap_record.trace).  A debugger turns
 * tracing on by writing MT_TRACE_ON, off by writing MT_TRACE_ERASE. */
#define MT_TRACE_NEVER 0u /* off, and no block of the heap has a tag */
#define MT_TRACE_ON 1u    /* every allocation writes its tag */
#define MT_TRACE_ERASE 2u /* off; allocations write the tag 0, so that no
                           * block shows the tag of the one before it */

/* mt_span_record.state */
#define MT_SPAN_UNUSED 0u /* the record is not in use */
#define MT_SPAN_FREE 1u   /* a free run of slices */
#define MT_SPAN_SMALL 2u  /* blocks of one size class */
#define MT_SPAN_LARGE 3u  /* one block */

/* mt_span_record.flags */
#define MT_SPAN_DIRTY 1u   /* a free run that may hold memory of the kernel's */
#define MT_SPAN_FULL 2u    /* small: in no list of spans with free blocks */
#define MT_SPAN_PENDING 4u /* small: remote frees wait for the owner */
#define MT_SPAN_DELAYED 8u /* remote[] has freed blocks whose reuse is delayed */
#define MT_SPAN_GUARDED 16u /* large: from the end of its block on it cannot be \
                             * accessed */
#define MT_SPAN_SHUT 32u   /* large: freed, and cannot be accessed for a while */
#define MT_SPAN_HOLE 64u   /* a free run where nothing is mapped */

/* mt_heap_record.flags */
#define MT_HEAP_IN_USE 1u
#define MT_HEAP_LOCKED 2u           /* every operation takes the heap's lock */
#define MT_HEAP_UNMAP_ON_DESTROY 4u /* its memory is unmapped with it */
#define MT_HEAP_FIXED 8u            /* never adds a region */
#define MT_HEAP_GIVEN 16u           /* its memory was given by the caller */
#define MT_HEAP_MAIN 32u            /* serves malloc; threads own spans */

#define MT_DEPTH_MAX 1024 /* frames of a stack, at most */

/* mt_stack_record.flags */
#define MT_STACK_TRUNCATED 1u     /* deeper than the depth that was set */
#define MT_STACK_FRAME_POINTER 2u /* some frame was found by frame pointer */
#define MT_STACK_INCOMPLETE 4u    /* unwinding ended before the outermost frame */
#define MT_STACK_IGNORED 8u       /* its blocks are not leaks: the program said so */
#define MT_STACK_COARSE 16u       /* the table was full: inner frames are missing */

/* mt_thread_record.state */
#define MT_THREAD_NEVER 0u
#define MT_THREAD_LIVE 1u
#define MT_THREAD_EXITED 2u /* its record waits for the next thread */
#define MT_THREAD_HEAP 3u   /* no thread: what a named heap owns spans by, and
                             * the owner of what ended threads left */

/* mt_epoch_record.kind */
#define MT_EPOCH_TIME 0u
#define MT_EPOCH_MARK 1u /* opened by memtrace_mark(); has a label */

/* mt_map_record.flags */
#define MT_MAPPED_ANONYMOUS 1u /* mmap() without a file */
#define MT_MAPPED_SHARED 2u    /* the same, by MAP_SHARED */
#define MT_MAPPED_BREAK 4u     /* brk(), sbrk() */
#define MT_MAPPED_SEGMENT 8u   /* shmat() */

#define MT_SAMPLES 512 /* records of the section samples, at most */

/* mt_sample_record.flags */
#define MT_SAMPLE_ESTIMATED 1u /* live blocks were counted in some of the spans */

/* mt_root.flags */
#define MT_ROOT_READY 1u  /* start-up is done */
#define MT_ROOT_FORKED 2u /* this process is a fork of the one that started */

/* Sections, in the order of the root's table: S(ID, name, bytes of a record,
 * kept, doc).  `kept`: a mini-core holds all that is used of it; of the slice
 * maps it holds those of each region, up to its top. */
#define MT_SECTIONS(S)                                                        \
    S(SCHEMA, schema, 1, 1, "text: this layout")                              \
    S(HEAPS, heaps, sizeof(struct mt_heap_record), 1, "heaps")                \
    S(REGIONS, regions, sizeof(struct mt_region_record), 1, "regions")        \
    S(THREADS, threads, sizeof(struct mt_thread_record), 1, "threads")        \
    S(EPOCHS, epochs, sizeof(struct mt_epoch_record), 1, "times")             \
    S(MODULES, modules, sizeof(struct mt_module_record), 1, "programs, libraries")\
    S(STRINGS, strings, 1, 1, "text: paths, labels; each ends in NUL")     \
    S(STACKS, stacks, sizeof(struct mt_stack_record), 1, "call stacks")       \
    S(NODES, nodes, sizeof(struct mt_node_record), 1, "frames of the stacks") \
    S(SPANS, spans, sizeof(struct mt_span_record), 1, "spans; id 0 is not used")\
    S(SLICE_MAPS, slice_maps, 4, 0, "span id of every slice of a region")     \
    S(BITMAPS, bitmaps, 8, 1, "free bits")  \
    S(TAGS, tags, 8, 1, "tags of the blocks of small spans")                  \
    S(COUNTERS, counters, sizeof(struct mt_counter_record), 1,                \
      "per thread: not yet added to stacks")                  \
    S(PRIVATE, private, 1, 0, "the allocator's own; readers skip it")         \
    S(MAPS, maps, sizeof(struct mt_map_record), 1, "mapped memory")           \
    S(SAMPLES, samples, sizeof(struct mt_sample_record), 1, "totals over time") \
    S(PEAKS, peaks, sizeof(struct mt_peak_record), 1, "stacks of the peak")

#define MT_SECTION_ID(ID, name, entry, kept, doc) MT_SECTION_##ID,
enum { MT_SECTIONS(MT_SECTION_ID) MT_N_SECTIONS };
#undef MT_SECTION_ID
#define MT_MAX_SECTIONS 24

/*
 * Field tables.  F(offset, type, name, doc), A(offset, type, name, n, doc).
 */
#define MT_ROOT_FIELDS(F, A)                                                  \
    F(0, uint64_t, magic, "MT_MAGIC, last")               \
    F(8, uint64_t, self, "its own address")    \
    F(16, uint32_t, layout_major, "another: another layout")            \
    F(20, uint32_t, layout_minor, "a larger one has more")             \
    F(24, uint32_t, root_bytes, "size of this record")                        \
    F(28, uint32_t, n_sections, "sections in use, from 0")                    \
    F(32, uint64_t, region_bytes, "bytes reserved")   \
    F(40, uint32_t, pid, "of the process, in its namespace")  \
    F(44, uint32_t, parent_pid, "of its parent, or 0")           \
    F(48, uint64_t, start_realtime_ns, "CLOCK_REALTIME then")          \
    F(56, uint64_t, start_monotonic_ns, "CLOCK_MONOTONIC then")        \
    F(64, uint32_t, flags, "MT_ROOT_*")                                       \
    F(68, uint32_t, page_bytes, "of the system")                    \
    F(72, uint32_t, slice_bytes, "MT_SLICE_BYTES")              \
    F(76, uint32_t, epoch, "newest epoch")                       \
    F(80, uint32_t, depth, "control")      \
    F(84, uint32_t, spare_bytes, "of each block, at its end") \
    F(88, uint64_t, sample_bytes, "control; 0: all") \
    F(96, uint64_t, overflow_allocs, "found no stack slot")  \
    F(104, uint64_t, overflow_bytes, "their bytes")                           \
    F(112, uint64_t, untagged_spans, "spans without tags")     \
    F(120, uint64_t, epoch_overflow, "not opened: table full")         \
    F(128, uint64_t, module_overflow, "not recorded: table full")     \
    F(136, uint64_t, error_count, "errors reported")           \
    F(144, uint64_t, error_address, "of the last error")   \
    F(152, uint32_t, error_kind, "MT_ERROR_*")                    \
    F(156, uint32_t, error_stack, "stack")     \
    F(160, uint32_t, error_tid, "thread")                         \
    F(164, uint32_t, suppressions, "in strings: leaks to ignore")   \
    A(168, char, error_text, 200, "a line")        \
    A(368, char, config, 256, "the MEMTRACE variable") \
    A(624, mt_section_record, sections, MT_MAX_SECTIONS, "sections")          \
    F(1968, uint64_t, own_data, "data of the library: no root") \
    F(1976, uint64_t, own_data_bytes, "its size; 0: unknown")              \
    F(1984, uint64_t, stacks_limit, "bytes, at most; 0: as heaps grow") \
    F(1992, uint64_t, stacks_bytes, "bytes of stacks")                   \
    F(2000, uint64_t, dropped_stacks, "stacks given back") \
    F(2008, uint64_t, dropped_allocs, "of those")                    \
    F(2016, uint64_t, dropped_bytes, "bytes of those")                        \
    F(2024, uint32_t, stacks_round, "collections of stacks") \
    F(2028, uint32_t, spare0, "0")                                            \
    F(2032, uint64_t, sample_step_ns, "least between samples")                \
    F(2040, uint32_t, peak, "1, 2: of these pairs; 0: none")                  \
    F(2044, uint32_t, spare1, "0")                                            \
    A(2048, uint64_t, peak_ns, 2, "CLOCK_MONOTONIC")                          \
    A(2064, uint64_t, peak_live_bytes, 2, "as in a sample")                   \
    A(2080, uint64_t, peak_span_bytes, 2, "as in a sample")                   \
    A(2096, uint32_t, peak_first, 2, "in peaks")                              \
    A(2104, uint32_t, peak_records, 2, "in peaks")                            \
    A(2112, uint32_t, peak_share, 2, "one in that many; 1: all")

#define MT_SECTION_FIELDS(F, A)                                               \
    A(0, char, name, 16, "ends in NUL")                                       \
    F(16, uint64_t, base, "address of the first record")                      \
    F(24, uint64_t, reserved, "bytes of address space")                       \
    F(32, uint64_t, committed, "bytes that can be read")            \
    F(40, uint64_t, used, "bytes that hold records")                \
    F(48, uint32_t, entry_bytes, "size of a record")                          \
    F(52, uint32_t, overflow, "times the section was full")

#define MT_HEAP_FIELDS(F, A)                                                  \
    A(0, char, name, 64, "ends in NUL")                                       \
    F(64, uint32_t, flags, "MT_HEAP_*")                                       \
    F(68, uint32_t, trace, "control: MT_TRACE_*")                             \
    F(72, uint64_t, base, "address of its first region")                      \
    F(80, uint64_t, size, "reserved by its regions")                \
    F(88, uint64_t, limit, "of its spans, or 0")                  \
    F(96, uint64_t, span_bytes, "of its small and large spans")         \
    F(104, uint64_t, span_bytes_peak, "the most of span_bytes")    \
    F(112, uint64_t, committed, "accessible bytes")  \
    F(120, uint64_t, dirty_bytes, "of its dirty free runs")             \
    F(128, uint64_t, failures, "without memory")              \
    F(136, uint32_t, page_bytes, "page size of its memory")                   \
    F(140, int32_t, numa_node, "or -1")                  \
    F(144, uint32_t, n_regions, "regions it has")                             \
    F(148, uint32_t, id, "index of this record")                              \
    F(152, uint64_t, handle, "of struct memtrace_heap")               \
    F(160, uint64_t, created_ns, "CLOCK_MONOTONIC")                           \
    F(168, uint64_t, numa_nodes, "bits of its nodes")    \
    A(176, uint64_t, spare, 2, "0")

#define MT_REGION_FIELDS(F, A)                                                \
    F(0, uint64_t, base, "whole slices")             \
    F(8, uint64_t, size, "whole slices")               \
    F(16, uint64_t, committed, "bytes in use, with holes") \
    F(24, uint64_t, slice_map, "of uint32_t[size / slice size]")      \
    F(32, uint32_t, heap, "index of its heap")                                \
    F(36, uint32_t, state, "1 in use, 0 not")                                 \
    F(40, uint32_t, top, "slices handed out")  \
    F(44, uint32_t, flags, "0")                                               \
    F(48, uint64_t, map_bytes, "bytes of slice_map")       \
    F(56, uint64_t, map_reserved, "bytes reserved for slice_map")

#define MT_SPAN_FIELDS(F, A)                                                  \
    F(0, uint64_t, base, "address of block 0")                                \
    F(8, uint64_t, recip, "2^64 / block_bytes, up; 0: large")       \
    F(16, uint64_t, local, "of words: freed")       \
    F(24, uint64_t, remote, "freed by others")  \
    F(32, uint64_t, tags, "of uint64_t[n_blocks], or 0")              \
    F(40, uint64_t, block_bytes, "size of a block")                           \
    F(48, uint32_t, owner_key, "may free by plain stores")  \
    F(52, uint32_t, n_blocks, "blocks in this span")                          \
    F(56, uint32_t, owner, "record, or 0")                \
    F(60, uint8_t, state, "MT_SPAN_*")                                        \
    F(61, uint8_t, size_class, "size class, if small")                        \
    F(62, uint16_t, heap, "index of its heap")                                \
    F(64, uint64_t, inline_local, "bits, if n_blocks <= 64")                  \
    F(72, uint64_t, inline_remote, "bits, if n_blocks <= 64")                 \
    F(80, uint64_t, inline_tag, "tag, if n_blocks = 1")                       \
    F(88, uint64_t, requested, "asked for, if large") \
    F(96, uint32_t, next, "private")                         \
    F(100, uint32_t, prev, "private")                        \
    F(104, uint32_t, first_slice, "in its region")                            \
    F(108, uint32_t, n_slices, "slices it takes")                             \
    F(112, uint32_t, region, "index of its region")                           \
    F(116, uint32_t, flags, "MT_SPAN_*") \
    F(120, uint32_t, pending, "private")           \
    F(124, uint32_t, pending_next, "private")

#define MT_STACK_FIELDS(F, A)                                                 \
    F(0, uint32_t, node, "its innermost frame, in nodes")                     \
    F(4, uint32_t, next, "private")                          \
    F(8, uint16_t, depth, "frames; 0: not a stack")                           \
    F(10, uint16_t, flags, "MT_STACK_*")                                      \
    F(12, uint32_t, modules, "modules listed then")     \
    F(16, uint64_t, allocs, "folded so far")      \
    F(24, uint64_t, bytes, "bytes of those")                                  \
    F(32, uint32_t, first_epoch, "when it was first seen")                    \
    F(36, uint32_t, state, "private")

#define MT_NODE_FIELDS(F, A)                                                  \
    F(0, uint64_t, pc, "program counter: 48 bits; private") \
    F(8, uint32_t, parent, "node of the caller; 0: outermost")                \
    F(12, uint32_t, stack, "private")

#define MT_EPOCH_FIELDS(F, A)                                                 \
    F(0, uint64_t, monotonic_ns, "CLOCK_MONOTONIC")        \
    F(8, uint32_t, kind, "MT_EPOCH_*")                                        \
    F(12, uint32_t, label, "in strings, or 0")

#define MT_MODULE_FIELDS(F, A)                                                \
    F(0, uint64_t, start, "of its mappings")                    \
    F(8, uint64_t, end, "after them")                          \
    F(16, uint64_t, load_bias, "add to an address in the file")               \
    F(24, uint32_t, path, "in strings, or 0")              \
    F(28, uint32_t, build_id_bytes, "0 if it has none")                       \
    A(32, uint8_t, build_id, 32, "its first build_id_bytes")                  \
    F(64, uint64_t, loaded_ns, "when it was first seen")      \
    F(72, uint64_t, unloaded_ns, "when found gone, or 0")     \
    F(80, uint64_t, link_map, "private")    \
    F(88, uint64_t, fingerprint, "if it has no build-id") \
    F(96, uint32_t, same, "private")       \
    F(100, uint32_t, contested, "private")

#define MT_THREAD_FIELDS(F, A)                                                \
    F(0, uint32_t, state, "MT_THREAD_*")                                      \
    F(4, uint32_t, tid, "thread id")          \
    F(8, uint64_t, started_ns, "when it first allocated")     \
    A(16, char, name, 16, "as it was then, ends in NUL")                      \
    F(32, uint64_t, cache, "private")                             \
    F(40, uint64_t, counters, "of mt_counter_record[], or 0")         \
    F(48, uint32_t, n_counters, "records there")                              \
    F(52, uint32_t, spare0, "0")                                              \
    A(56, uint64_t, spare, 1, "0")

/* allocations and bytes to be added to those of the stack table */
#define MT_COUNTER_FIELDS(F, A)                                               \
    F(0, uint32_t, stack, "stack id, or 0")                       \
    F(4, uint32_t, allocs, "allocations")                                     \
    F(8, uint64_t, bytes, "bytes asked for")

/* Ranges do not overlap, but for one that is being changed. */
#define MT_MAP_FIELDS(F, A)                                                   \
    F(0, uint64_t, start, "address")                                          \
    F(8, uint64_t, bytes, "0: not in use")                                    \
    F(16, uint32_t, flags, "MT_MAPPED_*")                                        \
    F(20, uint32_t, stack, "stack id, or 0")                                  \
    F(24, uint32_t, epoch, "of its first page")                              \
    A(28, uint32_t, links, 3, "private")

#define MT_SAMPLE_FIELDS(F, A)                                                \
    F(0, uint64_t, monotonic_ns, "when; 0: unused")            \
    F(8, uint64_t, live_bytes, "bytes of live blocks, whole")        \
    F(16, uint64_t, live_blocks, "of all heaps")                              \
    F(24, uint64_t, span_bytes, "of small and large spans")             \
    F(32, uint64_t, committed, "accessible bytes")       \
    F(40, uint64_t, resident, "of the process; 0: unknown")           \
    F(48, uint64_t, allocs, "traced since start-up")              \
    F(56, uint32_t, flags, "MT_SAMPLE_*")                                     \
    F(60, uint32_t, spare0, "0")

/* Sums of live blocks at the peak, one record a stack. */
#define MT_PEAK_FIELDS(F, A)                                                  \
    F(0, uint64_t, bytes, "asked for")                                        \
    F(8, uint64_t, blocks, "")                                                \
    F(16, uint32_t, stack, "stack id")                                        \
    F(20, uint32_t, spare0, "0")

#define MT_STRUCT_FIELD(offset, type, name, doc) type name;
#define MT_STRUCT_ARRAY(offset, type, name, n, doc) type name[n];

typedef struct mt_section_record {
    MT_SECTION_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
} mt_section_record;
struct mt_root {
    MT_ROOT_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_heap_record {
    MT_HEAP_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_region_record {
    MT_REGION_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_span_record {
    MT_SPAN_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_stack_record {
    MT_STACK_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_node_record {
    MT_NODE_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_epoch_record {
    MT_EPOCH_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_module_record {
    MT_MODULE_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_thread_record {
    MT_THREAD_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_counter_record {
    MT_COUNTER_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_map_record {
    MT_MAP_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_sample_record {
    MT_SAMPLE_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
struct mt_peak_record {
    MT_PEAK_FIELDS(MT_STRUCT_FIELD, MT_STRUCT_ARRAY)
};
#undef MT_STRUCT_FIELD
#undef MT_STRUCT_ARRAY

/* R(name, FIELDS, size): every record there is. */
#define MT_RECORDS(R)                                                         \
    R(root, MT_ROOT_FIELDS, 2120)                                             \
    R(section_record, MT_SECTION_FIELDS, 56)                                  \
    R(heap_record, MT_HEAP_FIELDS, 192)                                       \
    R(region_record, MT_REGION_FIELDS, 64)                                    \
    R(span_record, MT_SPAN_FIELDS, 128)                                       \
    R(stack_record, MT_STACK_FIELDS, 40)                                      \
    R(node_record, MT_NODE_FIELDS, 16)                                        \
    R(epoch_record, MT_EPOCH_FIELDS, 16)                                      \
    R(module_record, MT_MODULE_FIELDS, 104)                                    \
    R(thread_record, MT_THREAD_FIELDS, 64)                                    \
    R(counter_record, MT_COUNTER_FIELDS, 16)                                  \
    R(map_record, MT_MAP_FIELDS, 40)                                          \
    R(sample_record, MT_SAMPLE_FIELDS, 64)                                    \
    R(peak_record, MT_PEAK_FIELDS, 24)

/* mt_root.error_kind */
#define MT_ERROR_NONE 0u
#define MT_ERROR_DOUBLE_FREE 1u
#define MT_ERROR_FOREIGN 2u    /* in no heap */
#define MT_ERROR_INTERIOR 3u   /* inside a live block, not at its start */
#define MT_ERROR_MISALIGNED 4u /* where no block can start */
#define MT_ERROR_FREED 5u      /* realloc or size of a freed block */
#define MT_ERROR_CORRUPT 6u    /* memtrace_heap_check() found damage */
#define MT_ERROR_WRITTEN 7u    /* a freed block was written to */

/*
 * The text schema is in the section "schema"; it is made from the tables
 * above.  Its lines:
 *     memtrace layout MAJOR.MINOR
 *     record NAME BYTES
 *     field NAME OFFSET BYTES COUNT DOC...      (BYTES of one of COUNT)
 *     section NAME DOC...
 */

/* Every offset and size, asserted. */
#define MT_ASSERT_RECORD(record, FIELDS, size)                                \
    _Static_assert(sizeof(struct mt_##record) == (size), "size of " #record);
MT_RECORDS(MT_ASSERT_RECORD)
#undef MT_ASSERT_RECORD
#define MT_ASSERT_FIELD(offset, type, name, doc)                              \
    _Static_assert(offsetof(struct MT_ASSERTED, name) == (offset), #name);
#define MT_ASSERT_ARRAY(offset, type, name, n, doc)                           \
    _Static_assert(offsetof(struct MT_ASSERTED, name) == (offset), #name);
#define MT_ASSERTED mt_root
MT_ROOT_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_section_record
MT_SECTION_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_heap_record
MT_HEAP_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_region_record
MT_REGION_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_span_record
MT_SPAN_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_stack_record
MT_STACK_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_node_record
MT_NODE_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_epoch_record
MT_EPOCH_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_module_record
MT_MODULE_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_thread_record
MT_THREAD_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_counter_record
MT_COUNTER_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_map_record
MT_MAP_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_sample_record
MT_SAMPLE_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#define MT_ASSERTED mt_peak_record
MT_PEAK_FIELDS(MT_ASSERT_FIELD, MT_ASSERT_ARRAY)
#undef MT_ASSERTED
#undef MT_ASSERT_FIELD
#undef MT_ASSERT_ARRAY

/* clang-format on */

#endif
