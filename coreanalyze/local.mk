# SPDX-License-Identifier: BSD-2-Clause
# libmemtrace-read and the memtrace command: one folder a layer, lowest first.
# A folder includes from itself and from folders above it in this list;
# tests/include-rules holds the exact table.
dist_bin_SCRIPTS += %D%/memtrace-ctest

# All of the reader's objects, for the library, the command and the tests.
noinst_LTLIBRARIES += %D%/libread.la
%C%_libread_la_SOURCES = %D%/reader.c
%C%_libread_la_CPPFLAGS = $(AM_CPPFLAGS) -DMT_LIBDIR='"$(libdir)"' \
	-DMT_GDBDIR='"$(gdbdir)"' \
	-DMT_SUPPRESSIONSDIR='"$(suppressionsdir)"'
%C%_libread_la_CFLAGS = $(AM_CFLAGS) -O2 -g -fvisibility=hidden
%C%_libread_la_LIBADD = %D%/symbols/libsymbolize.la $(ZSTD_LIBS) $(LZMA_LIBS) $(LZ4_LIBS) $(PTHREAD_LIBS) $(DL_LIBS) -lz -lm

include %D%/base/local.mk
include %D%/symbols/local.mk
include %D%/source/local.mk
include %D%/snapshot/local.mk
include %D%/reach/local.mk
include %D%/analyses/local.mk
include %D%/names/local.mk
include %D%/profile/local.mk
include %D%/reports/local.mk
include %D%/export/local.mk
include %D%/page/local.mk
include %D%/ci/local.mk
include %D%/save/local.mk
include %D%/check/local.mk
include %D%/top/local.mk
include %D%/commands/local.mk

# Suppressions for well-known libraries; in the build tree beside the command.
suppressionsdir = $(pkgdatadir)/suppressions
dist_suppressions_DATA = %D%/suppressions/beam.smp,beam.supp \
	%D%/suppressions/libgobject-2.0.supp \
	%D%/suppressions/php,php-fpm,php-cgi,libphp.supp \
	%D%/suppressions/swrast_dri.supp
noinst_DATA += %D%/suppressions/copied
%D%/suppressions/copied: $(dist_suppressions_DATA:%=$(srcdir)/%)
	$(AM_V_GEN)$(MKDIR_P) %D%/suppressions && \
	for file in $(dist_suppressions_DATA); do \
		test $(srcdir)/$$file -ef $$file || \
		cp -f $(srcdir)/$$file $$file || exit; \
	done && touch $@
CLEANFILES += %D%/suppressions/copied

# The interface of reader.h alone is visible: GDB loads this by ctypes.
lib_LTLIBRARIES += %D%/libmemtrace-read.la
%C%_libmemtrace_read_la_SOURCES =
%C%_libmemtrace_read_la_LIBADD = %D%/libread.la
%C%_libmemtrace_read_la_LDFLAGS = $(AM_LDFLAGS) $(SYMBOLIZE_LDFLAGS) -version-info 0:0:0

# For programs that read traces: #include <memtrace/reader.h>.
readerdir = $(includedir)/memtrace
reader_HEADERS = %D%/reader.h
pkgconfig_DATA += %D%/memtrace-read.pc

bin_PROGRAMS += %D%/memtrace
%C%_memtrace_SOURCES = %D%/commands/main.c %D%/commands/progress_bar.c %D%/commands/progress_bar.h
%C%_memtrace_LDADD = %D%/libread.la
%C%_memtrace_CPPFLAGS = $(AM_CPPFLAGS) $(CURSES_CFLAGS)
if CURSES
%C%_memtrace_SOURCES += %D%/top/top_screen.c
%C%_memtrace_LDADD += $(CURSES_LIBS)
endif

# The command without any library, for containers that have none; not built by
# `make`, since it needs archives that not every system has.
EXTRA_PROGRAMS += %D%/memtrace-static
%C%_memtrace_static_SOURCES = $(%C%_memtrace_SOURCES) %D%/commands/no_debuginfod.c
%C%_memtrace_static_LDADD = %D%/libread.la
%C%_memtrace_static_CPPFLAGS = $(%C%_memtrace_CPPFLAGS)
if CURSES
%C%_memtrace_static_LDADD += $(CURSES_LIBS)
endif
%C%_memtrace_static_LDFLAGS = $(AM_LDFLAGS) -all-static
memtrace-static: %D%/memtrace-static$(EXEEXT)
.PHONY: memtrace-static
CLEANFILES += %D%/memtrace-static
