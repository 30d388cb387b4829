# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/diff.c %D%/diff.h %D%/dominators.c %D%/dominators.h \
	%D%/memory_diff.c %D%/memory_diff.h %D%/memory_map.c %D%/memory_map.h \
	%D%/memory_of_trace.c %D%/memory_pieces.c %D%/memory_rows.c %D%/memory_rows.h \
	%D%/memory_pieces.h %D%/leak_kind.c %D%/leak_kind.h %D%/leaks.c %D%/leaks.h \
	%D%/merged_graph.c %D%/merged_graph.h %D%/refs.c \
	%D%/refs.h %D%/retained.c %D%/retained.h %D%/retained_graph.c \
	%D%/retained_graph.h %D%/retained_reach.c \
	%D%/retained_reach.h %D%/retained_hold.h %D%/retained_groups.c %D%/retained_groups.h \
	%D%/show.c %D%/show.h %D%/show_sums.c %D%/show_sums.h %D%/verdict.c %D%/verdict.h \
	%D%/when.c %D%/when.h
