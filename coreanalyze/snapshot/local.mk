# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/allocators.c %D%/allocators.h %D%/block_map.c %D%/block_map.h %D%/model.c %D%/model.h \
	%D%/snapshot.c %D%/snapshot.h %D%/snapshot_blocks.c \
	%D%/snapshot_find.c %D%/snapshot_index.c %D%/snapshot_internal.h \
	%D%/snapshot_map.c %D%/span_view.h \
	%D%/snapshot_ranges.c %D%/snapshot_read.c %D%/snapshot_root.c \
	%D%/snapshot_schema.c %D%/snapshot_spans.c %D%/snapshot_stacks.c \
	%D%/snapshot_tables.c \
	%D%/slot_index.c %D%/slot_index.h \
	%D%/snapshot_mapped.c %D%/snapshot_samples.c %D%/snapshot_peak.c
