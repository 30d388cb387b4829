# tests of the reader: see tests/local.mk for what goes here
READER_TEST = coreanalyze/libread.la $(CUNIT_LIBS)
IMAGE = %D%/trace_image.c %D%/trace_image.h
UNIT_TESTS += %D%/unit_snapshot %D%/unit_core %D%/unit_live
%C%_unit_snapshot_SOURCES = %D%/unit_snapshot.c $(IMAGE)
%C%_unit_snapshot_LDADD = $(READER_TEST)
%C%_unit_core_SOURCES = %D%/unit_core.c $(IMAGE)
%C%_unit_core_LDADD = $(READER_TEST)
%C%_unit_live_SOURCES = %D%/unit_live.c
%C%_unit_live_LDADD = $(READER_TEST) -lpthread
UNIT_TESTS += %D%/unit_show
%C%_unit_show_SOURCES = %D%/unit_show.c $(IMAGE)
%C%_unit_show_LDADD = $(READER_TEST)

# `make tests/fuzz_core CC=clang`: with everything that it reads with, under
# sanitizers.  Not built by `make` or `make check`.
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_FILES = tests/fuzz_core.c tests/trace_image.c \
	coreanalyze/core_file.c coreanalyze/core_notes.c \
	coreanalyze/memory.c coreanalyze/model.c \
	coreanalyze/module_symbol.c coreanalyze/modules.c \
	coreanalyze/show.c coreanalyze/snapshot.c \
	coreanalyze/snapshot_blocks.c coreanalyze/snapshot_find.c \
	coreanalyze/snapshot_read.c coreanalyze/snapshot_root.c \
	coreanalyze/snapshot_schema.c coreanalyze/snapshot_spans.c \
	coreanalyze/snapshot_stacks.c coreanalyze/snapshot_tables.c \
	coreanalyze/source.c coreanalyze/source_core.c \
	coreanalyze/source_live.c coreanalyze/live_maps.c \
	coreanalyze/live_stop.c
EXTRA_DIST += %D%/fuzz_core.c
CLEANFILES += %D%/fuzz_core
tests/fuzz_core: $(FUZZ_FILES)
	$(AM_V_CCLD)cd $(srcdir) && $(CC) -std=gnu11 -D_GNU_SOURCE -I. \
		-I$(abs_top_builddir) $(FUZZ_FLAGS) -o $(abs_top_builddir)/$@ \
		$(FUZZ_FILES) $(ZSTD_LIBS) $(LZMA_LIBS) $(LZ4_LIBS) -lm
