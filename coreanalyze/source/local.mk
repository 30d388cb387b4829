# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/backing.c %D%/backing.h %D%/callbacks.h %D%/core.h \
	%D%/coredump_store.c %D%/coredump_store.h \
	%D%/core_capture.c %D%/core_file.c %D%/core_notes.c \
	%D%/exited_process.c %D%/exited_process.h %D%/holder.c %D%/holder.h \
	%D%/holder_process.c %D%/live.h %D%/live_capture.c \
	%D%/live_descriptors.c %D%/live_image.c %D%/live_kernel.c %D%/live_lazy.c \
	%D%/live_memory.c %D%/live_present.c %D%/live_proc.c \
	%D%/live_smaps.c %D%/live_still.c %D%/live_table.c %D%/live_stop.c %D%/memory_use.c %D%/memory_use.h \
	%D%/module_calls.c %D%/module_files.c %D%/module_files.h %D%/module_functions.c %D%/module_symbol.c %D%/modules.c \
	%D%/modules.h %D%/page_walk.c %D%/page_walk.h %D%/proc_task.c \
	%D%/proc_task.h %D%/source.c %D%/source.h %D%/source_callbacks.c \
	%D%/source_core.c %D%/source_live.c %D%/source_open.c %D%/word_copy.c \
	%D%/word_copy.h %D%/word_copy_fill.c %D%/word_copy_fill.h \
	%D%/segments.c %D%/segments.h %D%/thread_order.c %D%/thread_order.h %D%/thread_words.c %D%/thread_words.h \
	%D%/vector_words.c %D%/vector_words.h \
	%D%/process_name.c %D%/process_name.h \
	%D%/process_tree.c %D%/process_tree.h \
	%D%/memory_sharers.c %D%/memory_sharers.h
