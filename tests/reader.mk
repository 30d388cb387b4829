# tests of the reader: see tests/local.mk for what goes here
READER_TEST = coreanalyze/libread.la $(CUNIT_LIBS)
IMAGE = %D%/trace_image.c %D%/trace_image.h
UNIT_TESTS += %D%/unit_snapshot %D%/unit_core %D%/unit_live %D%/unit_timeline
%C%_unit_timeline_SOURCES = %D%/unit_timeline.c $(IMAGE)
%C%_unit_timeline_LDADD = $(READER_TEST)
%C%_unit_snapshot_SOURCES = %D%/unit_snapshot.c $(IMAGE)
%C%_unit_snapshot_LDADD = $(READER_TEST)
%C%_unit_core_SOURCES = %D%/unit_core.c $(IMAGE)
%C%_unit_core_LDADD = $(READER_TEST)
%C%_unit_live_SOURCES = %D%/unit_live.c
%C%_unit_live_LDADD = $(READER_TEST) -lpthread
UNIT_TESTS += %D%/unit_base
%C%_unit_base_SOURCES = %D%/unit_base.c
%C%_unit_base_LDADD = $(READER_TEST)
UNIT_TESTS += %D%/unit_resolve
%C%_unit_resolve_SOURCES = %D%/unit_resolve.c $(IMAGE)
%C%_unit_resolve_LDADD = $(READER_TEST)
UNIT_TESTS += %D%/unit_backtrace
%C%_unit_backtrace_SOURCES = %D%/unit_backtrace.c
%C%_unit_backtrace_LDADD = $(READER_TEST)
UNIT_TESTS += %D%/unit_show
%C%_unit_show_SOURCES = %D%/unit_show.c $(IMAGE)
%C%_unit_show_LDADD = $(READER_TEST)

# `make tests/fuzz_core CC=clang`: with all of the reader, under sanitizers.
# Not built by `make` or `make check`.
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -DMT_LIBDIR='""' \
	-DMT_GDBDIR='""' -DMT_SUPPRESSIONSDIR='""'
FUZZ_FILES = $(coreanalyze_libread_la_SOURCES) \
	$(coreanalyze_symbols_libsymbolize_la_SOURCES) $(coreanalyze_base_libbase_la_SOURCES)
EXTRA_DIST += %D%/fuzz_core.c %D%/fuzz_files.c %D%/fuzz_files.h \
	%D%/seeds/suppressions-lsan %D%/seeds/suppressions-valgrind \
	%D%/seeds/baseline
LONG_TESTS += %D%/fuzz-readers
CLEANFILES += %D%/fuzz_core %D%/fuzz_proc
# The same for the texts of /proc, whose files it opens itself.
EXTRA_DIST += %D%/fuzz_proc.c
tests/fuzz_proc: tests/fuzz_proc.c $(FUZZ_FILES)
	$(AM_V_CCLD)cd $(srcdir) && $(CC) $(DEFS) $(AM_CPPFLAGS) -std=gnu11 \
		-I$(abs_top_builddir) -I. $(FUZZ_FLAGS) \
		-Wl,--wrap=open -Wl,--wrap=fopen \
		-o $(abs_top_builddir)/$@ tests/fuzz_proc.c \
		`echo $(FUZZ_FILES) | tr ' ' '\n' | grep '\.c$$'` \
		$(DWARF_LIBS) $(IBERTY_LIBS) $(ZSTD_LIBS) $(LZMA_LIBS) \
		$(LZ4_LIBS) -lm -ldl -lpthread
tests/fuzz_core: tests/fuzz_core.c tests/fuzz_files.c tests/trace_image.c $(FUZZ_FILES)
	$(AM_V_CCLD)cd $(srcdir) && $(CC) $(DEFS) $(AM_CPPFLAGS) -std=gnu11 \
		-I$(abs_top_builddir) -I. $(FUZZ_FLAGS) \
		-o $(abs_top_builddir)/$@ tests/fuzz_core.c tests/fuzz_files.c tests/trace_image.c \
		`echo $(FUZZ_FILES) | tr ' ' '\n' | grep '\.c$$'` \
		$(DWARF_LIBS) $(IBERTY_LIBS) $(ZSTD_LIBS) $(LZMA_LIBS) \
		$(LZ4_LIBS) -lm -ldl -lpthread

# compares the stacks of a trace with libunwind's: see e2e/stacks
check_PROGRAMS += %D%/stacks_compare
%C%_stacks_compare_SOURCES = %D%/stacks_compare.c
%C%_stacks_compare_LDADD = coreanalyze/libread.la

UNIT_TESTS += %D%/unit_names
%C%_unit_names_SOURCES = %D%/unit_names.c
%C%_unit_names_LDADD = $(READER_TEST)
SCRIPT_TESTS += %D%/e2e/summary %D%/e2e/terminal
EXTRA_DIST += %D%/programs/wide.cc %D%/programs/containers.cc %D%/programs/owner.cc %D%/programs/nested.cc

SCRIPT_TESTS += %D%/e2e/exports %D%/e2e/page
EXTRA_DIST += %D%/programs/chain.cc %D%/programs/manynames.c %D%/programs/sessions.cc %D%/e2e/browser.py %D%/e2e/redis_server.py
UNIT_TESTS += %D%/unit_top
%C%_unit_top_SOURCES = %D%/unit_top.c $(IMAGE)
%C%_unit_top_LDADD = $(READER_TEST)
