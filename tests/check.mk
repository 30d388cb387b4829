# tests of mini-cores and of memtrace check: see tests/local.mk
SCRIPT_TESTS += %D%/e2e/save %D%/e2e/check %D%/e2e/crash %D%/e2e/verdict %D%/e2e/frameworks
EXTRA_DIST += %D%/programs/ends.c %D%/programs/crashes.c
UNIT_TESTS += %D%/unit_policy
%C%_unit_policy_SOURCES = %D%/unit_policy.c
%C%_unit_policy_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
SCRIPT_TESTS += %D%/e2e/policy %D%/e2e/ci %D%/e2e/atend %D%/e2e/annotations
EXTRA_DIST += %D%/programs/losses.cc %D%/programs/noptrace.c %D%/programs/annotated.c %D%/programs/suppressed.c %D%/schemas/junit.xsd \
	%D%/schemas/sarif.json %D%/schemas/valgrind.xsd
SCRIPT_TESTS += %D%/e2e/oom %D%/e2e/box
SCRIPT_TESTS += %D%/e2e/map
SCRIPT_TESTS += %D%/e2e/timeline %D%/e2e/peak %D%/e2e/heapsnapshot
EXTRA_DIST += %D%/programs/curve.c %D%/programs/peaks.c
EXTRA_DIST += %D%/programs/mapcases.c %D%/programs/mapstorm.c
EXTRA_DIST += %D%/programs/eater.c %D%/programs/boxload.c
SCRIPT_TESTS += %D%/e2e/nomemory
EXTRA_DIST += %D%/programs/nomemory.c
