# SPDX-License-Identifier: BSD-2-Clause
# Libraries of any program: text, memory, strings. Linked by all the rooms above.
noinst_LTLIBRARIES += %D%/libbase.la
%C%_libbase_la_SOURCES = \
	%D%/elf_file.c %D%/elf_file.h %D%/elf_note.h %D%/error.h %D%/fail.c %D%/fold.c %D%/fold.h %D%/hash.h %D%/json.c %D%/json.h %D%/memory.c \
	%D%/memory.h %D%/output.c %D%/output.h %D%/search.h %D%/string_set.c \
	%D%/string_set.h %D%/table.c %D%/table.h %D%/text.c %D%/text.h \
	%D%/workers.c %D%/workers.h %D%/xml.c %D%/xml.h
%C%_libbase_la_CFLAGS = $(AM_CFLAGS) -O2 -g -fvisibility=hidden
%C%_libbase_la_LIBADD = $(DWARF_LIBS) $(ZSTD_LIBS) -lm
