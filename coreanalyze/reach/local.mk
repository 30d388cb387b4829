# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/idle_stacks.c %D%/idle_stacks.h \
	%D%/kernel_calls.c %D%/known_glib.c %D%/known_libraries.c %D%/known_links.c %D%/known_layouts.c %D%/known_layouts.h %D%/mark.c %D%/mark.h %D%/mark_keep.c %D%/mark_keep.h \
	%D%/mark_lost.c %D%/mark_scan.c %D%/mark_scan.h %D%/mark_workers.c \
	%D%/mark_workers.h %D%/memory_view.c %D%/memory_view.h \
	%D%/pointer_lists.c %D%/pointer_lists.h \
	%D%/range_filter.c %D%/range_filter.h %D%/roots.c %D%/roots.h %D%/roots_mark.c \
	%D%/thread_stacks.c %D%/thread_stacks.h
