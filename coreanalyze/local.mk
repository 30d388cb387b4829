# libmemtrace-read and the memtrace command.
include %D%/sym.mk

# All of the reader's objects, for the library, the command and the tests.
noinst_LTLIBRARIES += %D%/libread.la
%C%_libread_la_SOURCES = \
	%D%/core.h %D%/core_file.c %D%/core_notes.c %D%/error.h %D%/live.h \
	%D%/live_maps.c %D%/live_stop.c %D%/memory.c %D%/memory.h %D%/model.c \
	%D%/model.h %D%/module_symbol.c %D%/modules.c %D%/modules.h \
	%D%/reader.h %D%/show.c %D%/show.h %D%/snapshot.c %D%/snapshot.h \
	%D%/snapshot_blocks.c %D%/snapshot_find.c %D%/snapshot_internal.h \
	%D%/snapshot_read.c %D%/snapshot_root.c %D%/snapshot_schema.c \
	%D%/snapshot_spans.c %D%/snapshot_stacks.c %D%/snapshot_tables.c \
	%D%/source.c %D%/source.h %D%/source_core.c %D%/source_live.c
%C%_libread_la_CFLAGS = $(AM_CFLAGS) -O2 -g -fvisibility=hidden
%C%_libread_la_LIBADD = $(ZSTD_LIBS) $(LZMA_LIBS) $(LZ4_LIBS) -lm
