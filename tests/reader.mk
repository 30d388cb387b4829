# tests of the reader: see tests/local.mk for what goes here
READER_TEST = coreanalyze/libread.la $(CUNIT_LIBS)
IMAGE = %D%/trace_image.c %D%/trace_image.h
UNIT_TESTS += %D%/unit_snapshot
%C%_unit_snapshot_SOURCES = %D%/unit_snapshot.c $(IMAGE)
%C%_unit_snapshot_LDADD = $(READER_TEST)
