# tests of mini-cores and of memtrace check: see tests/local.mk
SCRIPT_TESTS += %D%/e2e/save %D%/e2e/check
EXTRA_DIST += %D%/programs/ends.c
