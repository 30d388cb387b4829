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
