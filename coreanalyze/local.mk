# libmemtrace-read and the memtrace command.
include %D%/sym.mk

# All of the reader's objects, for the library, the command and the tests.
noinst_LTLIBRARIES += %D%/libread.la
%C%_libread_la_SOURCES = \
	%D%/arguments.c %D%/arguments.h \
	%D%/callbacks.h %D%/cmd_gdb.c %D%/cmd_info.c %D%/cmd_run.c \
	%D%/cmd_show.c \
	%D%/cmd_trace.c %D%/command.c %D%/command.h %D%/core.h \
	%D%/core_file.c %D%/core_notes.c %D%/error.h %D%/installed.c \
	%D%/installed.h %D%/json.c %D%/json.h \
	%D%/live.h %D%/live_maps.c %D%/live_stop.c %D%/memory.c %D%/memory.h \
	%D%/model.c %D%/model.h %D%/module_symbol.c %D%/modules.c \
	%D%/modules.h %D%/options.c %D%/options.h %D%/print.h \
	%D%/print_folded.c %D%/print_info.c %D%/print_json.c \
	%D%/print_table.c %D%/reader.c %D%/reader.h %D%/report.c \
	%D%/resolve.c %D%/resolve.h %D%/show.c %D%/show.h %D%/snapshot.c \
	%D%/snapshot.h %D%/snapshot_blocks.c %D%/snapshot_find.c \
	%D%/snapshot_internal.h %D%/snapshot_read.c %D%/snapshot_root.c \
	%D%/snapshot_schema.c %D%/snapshot_spans.c %D%/snapshot_stacks.c \
	%D%/snapshot_tables.c %D%/source.c %D%/source.h \
	%D%/source_callbacks.c %D%/source_core.c %D%/source_live.c \
	%D%/text.c %D%/text.h %D%/when.c %D%/when.h
%C%_libread_la_CPPFLAGS = $(AM_CPPFLAGS) -DMT_LIBDIR='"$(libdir)"' \
	-DMT_GDBDIR='"$(gdbdir)"'
%C%_libread_la_CFLAGS = $(AM_CFLAGS) -O2 -g -fvisibility=hidden
%C%_libread_la_LIBADD = %D%/libsymbolize.la $(ZSTD_LIBS) $(LZMA_LIBS) $(LZ4_LIBS) -lm

include %D%/leaks.mk
include %D%/check.mk

# The interface of reader.h alone is visible: GDB loads this by ctypes.
lib_LTLIBRARIES += %D%/libmemtrace-read.la
%C%_libmemtrace_read_la_SOURCES =
%C%_libmemtrace_read_la_LIBADD = %D%/libread.la
%C%_libmemtrace_read_la_LDFLAGS = $(AM_LDFLAGS) $(SYMBOLIZE_LDFLAGS) -version-info 0:0:0

bin_PROGRAMS += %D%/memtrace
%C%_memtrace_SOURCES = %D%/main.c %D%/meter.c %D%/meter.h
%C%_memtrace_LDADD = %D%/libread.la
