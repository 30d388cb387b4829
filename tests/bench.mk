# make bench, make bench-trace: docs/bench.md says what they measure.
EXTRA_PROGRAMS += %D%/bench/patterns %D%/bench/launch %D%/bench/micro_fp \
	%D%/bench/micro_nofp %D%/bench/recursive
%C%_bench_recursive_SOURCES = %D%/bench/recursive.c %D%/bench/rng.h
%C%_bench_recursive_CFLAGS = $(BENCH_CFLAGS)
%C%_bench_patterns_SOURCES = %D%/bench/patterns.c %D%/bench/rng.h
%C%_bench_patterns_CFLAGS = $(BENCH_CFLAGS)
%C%_bench_patterns_LDADD = -lpthread
%C%_bench_launch_SOURCES = %D%/bench/launch.c
%C%_bench_launch_CFLAGS = $(BENCH_CFLAGS)
%C%_bench_micro_fp_SOURCES = %D%/bench/micro.c
%C%_bench_micro_fp_CFLAGS = $(BENCH_CFLAGS) -fno-omit-frame-pointer
%C%_bench_micro_fp_LDADD = -lpthread
%C%_bench_micro_nofp_SOURCES = %D%/bench/micro.c
%C%_bench_micro_nofp_CFLAGS = $(BENCH_CFLAGS) -fomit-frame-pointer
%C%_bench_micro_nofp_LDADD = -lpthread
BENCH_CFLAGS = -std=gnu11 $(WARN_CFLAGS) -O2 -fno-builtin
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += %D%/bench/bench %D%/bench/trace %D%/bench/measure.py \
	%D%/bench/workloads.py

BENCH_FLAGS =
bench bench-trace: all $(EXTRA_PROGRAMS)
bench:
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/bench $(BENCH_FLAGS)
bench-trace:
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/trace $(BENCH_FLAGS)

# make bench-lines FILE=...: line tables by libdwarf, and by dwarf_lines.c.
EXTRA_PROGRAMS += %D%/bench/linetables
%C%_bench_linetables_SOURCES = %D%/bench/linetables.c
%C%_bench_linetables_LDADD = coreanalyze/libread.la $(DWARF_LIBS)
bench-lines: %D%/bench/linetables
	$(AM_V_at)%D%/bench/linetables $(FILE)

# make bench-report: the forms of a report with 40,000 stacks.
bench-report: all
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/report
EXTRA_DIST += %D%/bench/manystacks.c %D%/bench/report

# make bench-spare WITHOUT=LIBRARY: the memory of a block's spare byte.
bench-spare: all
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/spare \
		--without $(WITHOUT)
EXTRA_DIST += %D%/bench/spare

# make bench-symbols: 10,000 addresses, beside other symbolizers.
# make bench-check: memtrace check of many processes.
bench-symbols: all %D%/symbolize_pc
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/symbols
bench-check: all
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/bench/processes
EXTRA_DIST += %D%/bench/symbols %D%/bench/processes

.PHONY: bench bench-trace bench-lines bench-report bench-spare bench-symbols \
	bench-check

SCRIPT_TESTS += %D%/budget %D%/patterns
EXTRA_DIST += %D%/programs/pairs.c
EXTRA_DIST += %D%/programs/pagefaults.c
