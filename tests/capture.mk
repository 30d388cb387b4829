# tests of capture: see local.mk.  PLAIN_CFLAGS: a sanitizer's backtrace()
# is another.
UNIT_TESTS += %D%/unit_unwind
%C%_unit_unwind_SOURCES = %D%/unit_unwind.c %D%/regs.h
%C%_unit_unwind_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_unwind_LDFLAGS =
%C%_unit_unwind_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_unwind_fp
%C%_unit_unwind_fp_SOURCES = %D%/unit_unwind.c %D%/regs.h
%C%_unit_unwind_fp_CFLAGS = $(PLAIN_CFLAGS) -O2 -fno-omit-frame-pointer
%C%_unit_unwind_fp_LDFLAGS =
%C%_unit_unwind_fp_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_stacks
%C%_unit_stacks_SOURCES = %D%/unit_stacks.c %D%/regs.h %D%/stack_is.h
%C%_unit_stacks_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_stacks_LDFLAGS =
%C%_unit_stacks_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_collect
%C%_unit_collect_SOURCES = %D%/unit_collect.c %D%/regs.h %D%/stack_is.h
%C%_unit_collect_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_collect_LDFLAGS =
%C%_unit_collect_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
UNIT_TESTS += %D%/unit_memo
%C%_unit_memo_SOURCES = %D%/unit_memo.c %D%/regs.h %D%/stack_is.h
%C%_unit_memo_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_memo_LDFLAGS =
%C%_unit_memo_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_memo_fp
%C%_unit_memo_fp_SOURCES = %D%/unit_memo.c %D%/regs.h %D%/stack_is.h
%C%_unit_memo_fp_CFLAGS = $(PLAIN_CFLAGS) -O2 -fno-omit-frame-pointer
%C%_unit_memo_fp_LDFLAGS =
%C%_unit_memo_fp_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_signals
%C%_unit_signals_SOURCES = %D%/unit_signals.c %D%/regs.h %D%/stack_is.h
%C%_unit_signals_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_signals_LDFLAGS =
%C%_unit_signals_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_reload
%C%_unit_reload_SOURCES = %D%/unit_reload.c %D%/regs.h
%C%_unit_reload_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_reload_LDFLAGS =
%C%_unit_reload_LDADD = heap/libheap.la $(CUNIT_LIBS)

# `make tests/fuzz_capture CC=clang`: with all of the heap, under sanitizers.
# Not built by `make` or `make check`; tests/fuzz-heap builds and runs it.
EXTRA_DIST += %D%/fuzz_capture.c
CLEANFILES += %D%/fuzz_capture
LONG_TESTS += %D%/fuzz-heap
tests/fuzz_capture: tests/fuzz_capture.c $(heap_libheap_la_SOURCES)
	$(AM_V_CCLD)cd $(srcdir) && $(CC) $(DEFS) $(AM_CPPFLAGS) -std=gnu11 \
		-I$(abs_top_builddir) -I. -O1 -g \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined \
		-o $(abs_top_builddir)/$@ tests/fuzz_capture.c \
		`echo $(heap_libheap_la_SOURCES) | tr ' ' '\n' | \
		grep -v module_table | grep '\.[cS]$$'` -ldl -lpthread
SCRIPT_TESTS += %D%/e2e/bound
EXTRA_DIST += %D%/programs/recursion.c
