# Tests.  A part adds, in its own fragment below:
#
#     UNIT_TESTS += %D%/unit_name
#     %C%_unit_name_SOURCES = %D%/unit_name.c
#     %C%_unit_name_LDADD = heap/libheap.la $(CUNIT_LIBS)
#
# SCRIPT_TESTS are run from the source tree and distributed; LONG_TESTS are
# scripts that only `make check-long` runs.  All speak the language of
# tests/run: PASS/FAIL/SKIP lines and a summary.
UNIT_TESTS =
SCRIPT_TESTS =
LONG_TESTS =
if CUNIT
check_PROGRAMS += $(UNIT_TESTS)
endif
noinst_HEADERS += %D%/unit.h

include %D%/heap.mk
include %D%/capture.mk
include %D%/reader.mk
include %D%/sym.mk
include %D%/gdb.mk
include %D%/bench.mk
include %D%/leaks.mk
include %D%/check.mk

SCRIPT_TESTS += %D%/e2e/redis %D%/e2e/real %D%/e2e/family %D%/e2e/hostile \
	%D%/e2e/known %D%/e2e/frames %D%/e2e/odd-programs %D%/e2e/stacks %D%/e2e/control %D%/e2e/layout %D%/installed \
	%D%/completion %D%/include-rules %D%/prose %D%/configure-names %D%/layout-doc %D%/tree
LONG_TESTS += %D%/e2e/stacks-more %D%/e2e/oom-matrix %D%/e2e/guest %D%/e2e/rpm
EXTRA_DIST += %D%/run $(SCRIPT_TESTS) $(LONG_TESTS) \
	%D%/e2e/harness.py %D%/e2e/sampled.py %D%/e2e/third_reader.py \
	%D%/programs/stackshim.c %D%/programs/known.c %D%/programs/reload.c %D%/programs/stale.c \
	%D%/programs/odd.c %D%/programs/unloaded.c %D%/programs/smallstack.c %D%/programs/sandboxed.c %D%/programs/conformance.c %D%/programs/early.c %D%/programs/news.cc

SCRIPT_TESTS += %D%/e2e/sysroot %D%/e2e/static %D%/e2e/coredumps %D%/e2e/top %D%/e2e/core-handler
LONG_TESTS += %D%/releases %D%/screens

TEST_JOBS = `getconf _NPROCESSORS_ONLN`
TEST_TIMEOUT = 600
TEST_FLAGS =
TEST_ENVIRONMENT = MT_SRCDIR='$(abs_top_srcdir)' \
	MT_BUILDDIR='$(abs_top_builddir)' CC='$(CC)' CXX='$(CXX)' \
	MT_BINDIR='$(bindir)' MT_LIBDIR='$(libdir)' \
	MT_INCLUDEDIR='$(includedir)' MT_DATADIR='$(datadir)' \
	PYTHONDONTWRITEBYTECODE=1 MT_SANITIZED='$(SANITIZE_CFLAGS)'
TEST_RUN = $(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/run \
	--jobs $(TEST_JOBS) --logs %D%/logs $(TEST_FLAGS)

# The build does not need these, so configure only notes that they are missing.
check-needs:
	@test -z '$(TESTS_MISSING)' || { echo 'The tests need $(TESTS_MISSING);' \
		'install that and run configure again.' >&2; exit 1; }

# MT_SCRIPTS in the environment names those of the scripts to run.
check-local: check-needs $(check_PROGRAMS) $(check_LTLIBRARIES)
	$(AM_V_at)scripts=; for t in $${MT_SCRIPTS-$(SCRIPT_TESTS)}; do \
		scripts="$$scripts $(srcdir)/$$t"; done; \
	$(TEST_RUN) --timeout $(TEST_TIMEOUT) $(UNIT_TESTS) $$scripts

check-long: all check-needs $(check_PROGRAMS) $(check_LTLIBRARIES)
	$(AM_V_at)scripts=; for t in $(SCRIPT_TESTS) $(LONG_TESTS); do \
		scripts="$$scripts $(srcdir)/$$t"; done; \
	MT_LONG=1 $(TEST_RUN) --timeout 14400 $(UNIT_TESTS) $$scripts

# The programs alone, without the scripts around whole programs.
check-unit: check-needs $(check_PROGRAMS) $(check_LTLIBRARIES)
	$(AM_V_at)$(TEST_RUN) --timeout $(TEST_TIMEOUT) $(UNIT_TESTS) \
		$(srcdir)/%D%/include-rules

# Both commands of README on each release of Debian that is supported.
check-releases:
	$(AM_V_at)$(TEST_ENVIRONMENT) $(PYTHON3) $(srcdir)/%D%/releases
.PHONY: check-releases

clean-local:
	rm -rf %D%/logs

.PHONY: check-long check-needs check-unit
