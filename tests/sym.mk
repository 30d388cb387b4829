# tests of the symbolizer: see tests/local.mk for what goes here
UNIT_TESTS += %D%/unit_symbolize
%C%_unit_symbolize_SOURCES = %D%/unit_symbolize.c
%C%_unit_symbolize_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)

UNIT_TESTS += %D%/unit_symbolize_parts
%C%_unit_symbolize_parts_SOURCES = %D%/unit_symbolize_parts.c
%C%_unit_symbolize_parts_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)

UNIT_TESTS += %D%/unit_targets
%C%_unit_targets_SOURCES = %D%/unit_targets.c
%C%_unit_targets_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_traced
%C%_unit_traced_SOURCES = %D%/unit_traced.c
%C%_unit_traced_LDADD = coreanalyze/libread.la $(CUNIT_LIBS)

SCRIPT_TESTS += %D%/symbolize-gdb %D%/e2e/debug-forms %D%/e2e/debuginfod
# What tests/symbolize-gdb compares with GDB and addr2line.
check_PROGRAMS += %D%/symbolize_pc
%C%_symbolize_pc_SOURCES = %D%/symbolize_pc.c
%C%_symbolize_pc_LDADD = coreanalyze/libread.la

# Built only when asked for, by clang: make fuzz-symbolize
EXTRA_DIST += %D%/fuzz_symbolize.c
fuzz-symbolize:
	$(AM_V_CC)$(MKDIR_P) %D% && clang $(DEFS) -std=gnu11 -O1 -g -D_GNU_SOURCE \
		-I$(top_srcdir) -I$(top_builddir) \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined \
		$(srcdir)/%D%/fuzz_symbolize.c \
		$(srcdir)/coreanalyze/symbols/*.c \
		$(srcdir)/coreanalyze/base/*.c \
		-o %D%/fuzz_symbolize $(DWARF_LIBS) $(IBERTY_LIBS) \
		$(ZSTD_LIBS) -ldl
.PHONY: fuzz-symbolize
