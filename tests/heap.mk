# tests of heap: see tests/local.mk for what goes here
noinst_HEADERS += %D%/model.h
UNIT_TESTS += %D%/unit_classes %D%/unit_heap %D%/unit_errors %D%/unit_model
%C%_unit_classes_SOURCES = %D%/unit_classes.c
%C%_unit_classes_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_heap_SOURCES = %D%/unit_heap.c
%C%_unit_heap_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_heap_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_errors_SOURCES = %D%/unit_errors.c
%C%_unit_errors_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_model_SOURCES = %D%/unit_model.c %D%/model.c
%C%_unit_model_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_model_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
