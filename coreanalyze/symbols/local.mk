# SPDX-License-Identifier: BSD-2-Clause
# The symbolizer. What links it needs $(SYMBOLIZE_LDFLAGS) too, so that
# libiberty's names stay out of a shared library's.
noinst_LTLIBRARIES += %D%/libsymbolize.la
%C%_libsymbolize_la_SOURCES = \
	%D%/byte_cursor.h %D%/call_frames.c %D%/call_frames.h \
	%D%/call_frames_expr.c %D%/call_frames_program.c \
	%D%/call_frames_program.h %D%/debug_file.c %D%/debug_file.h \
	%D%/dwarf_abbrev.c %D%/dwarf_abbrev.h %D%/dwarf_access.h \
	%D%/dwarf_entry.c %D%/dwarf_entry.h %D%/dwarf_forms.h \
	%D%/dwarf_intervals.c %D%/dwarf_intervals.h %D%/dwarf_lines.c \
	%D%/dwarf_module.c %D%/dwarf_module.h %D%/dwarf_name.c \
	%D%/dwarf_ranges.c %D%/dwarf_ranges.h %D%/dwarf_read.c \
	%D%/dwarf_read.h %D%/dwarf_split.c %D%/dwarf_unit.c %D%/dwarf_unit.h \
	%D%/symbolize.c %D%/symbolize.h %D%/symbolize_debuginfod.c \
	%D%/symbolize_demangle.c %D%/symbolize_demangle.h \
	%D%/symbolize_files.c %D%/symbolize_files.h %D%/symbolize_symtab.c \
	%D%/symbolize_symtab.h
%C%_libsymbolize_la_CFLAGS = $(AM_CFLAGS) -O2 -g -fvisibility=hidden
%C%_libsymbolize_la_LIBADD = coreanalyze/base/libbase.la $(DWARF_LIBS) $(IBERTY_LIBS) $(ZSTD_LIBS) -ldl
SYMBOLIZE_LDFLAGS = -Wl,--exclude-libs,libiberty.a:libiberty_pic.a
