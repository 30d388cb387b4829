# tests of the analyses of pointers: see tests/local.mk
noinst_HEADERS += %D%/marks.h
UNIT_TESTS += %D%/unit_mark
%C%_unit_mark_SOURCES = %D%/unit_mark.c
%C%_unit_mark_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_mark_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_word_copy
%C%_unit_word_copy_SOURCES = %D%/unit_word_copy.c
%C%_unit_word_copy_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_growth
%C%_unit_growth_SOURCES = %D%/unit_growth.c $(IMAGE)
%C%_unit_growth_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_retained
%C%_unit_retained_SOURCES = %D%/unit_retained.c
%C%_unit_retained_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_retained_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_dominators
%C%_unit_dominators_SOURCES = %D%/unit_dominators.c
%C%_unit_dominators_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_dominators_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
SCRIPT_TESTS += %D%/e2e/leaks %D%/e2e/roots %D%/e2e/oracle %D%/e2e/growth %D%/e2e/large \
	%D%/e2e/nowhere %D%/e2e/targets %D%/e2e/pages %D%/e2e/stop %D%/e2e/unseen %D%/e2e/known-layouts %D%/e2e/changing %D%/e2e/holders %D%/e2e/idle-stacks %D%/e2e/other-stacks
EXTRA_DIST += %D%/programs/holders.cc %D%/programs/sharers.c %D%/programs/idlestacks.c %D%/programs/otherstacks.c %D%/programs/lastframes.c %D%/programs/unseen.c %D%/programs/layouts.c %D%/programs/mappings.c %D%/programs/ended.c
LONG_TESTS += %D%/e2e/leaks-compare
EXTRA_DIST += %D%/e2e/leaks.py %D%/programs/leakcases.c %D%/programs/heapwords.c %D%/programs/nowhere.c %D%/programs/waits.c %D%/programs/rootcases.cc %D%/programs/randomgraph.c %D%/programs/growth.c %D%/programs/redisleak.c \
	%D%/programs/leakmodule.c %D%/bench/leakgraph.c %D%/bench/leaks

bench-leaks: all
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/leaks $(BENCH_FLAGS)
.PHONY: bench-leaks
