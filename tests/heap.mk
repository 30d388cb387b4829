# tests of heap: see tests/local.mk for what goes here
noinst_HEADERS += %D%/heap_model.h
UNIT_TESTS += %D%/unit_classes %D%/unit_heap %D%/unit_errors %D%/unit_model
%C%_unit_classes_SOURCES = %D%/unit_classes.c
%C%_unit_classes_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_heap_SOURCES = %D%/unit_heap.c
%C%_unit_heap_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_heap_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_errors_SOURCES = %D%/unit_errors.c
%C%_unit_errors_LDADD = heap/libheap.la $(CUNIT_LIBS)
%C%_unit_model_SOURCES = %D%/unit_model.c %D%/heap_model.c
%C%_unit_model_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_model_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
UNIT_TESTS += %D%/unit_limits
%C%_unit_limits_SOURCES = %D%/unit_limits.c
%C%_unit_limits_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_spans
%C%_unit_spans_SOURCES = %D%/unit_spans.c
%C%_unit_spans_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_spans_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
UNIT_TESTS += %D%/unit_safety
%C%_unit_safety_SOURCES = %D%/unit_safety.c %D%/heap_model.c
%C%_unit_safety_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_safety_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
SCRIPT_TESTS += %D%/e2e/safety
EXTRA_DIST += %D%/programs/faults.c
UNIT_TESTS += %D%/unit_memory
%C%_unit_memory_SOURCES = %D%/unit_memory.c %D%/heap_model.c
%C%_unit_memory_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_memory_LDADD = heap/libheap.la $(CUNIT_LIBS)
SCRIPT_TESTS += %D%/e2e/doors
EXTRA_DIST += %D%/programs/two_doors.c %D%/programs/loads.c %D%/programs/operators.cc
SCRIPT_TESTS += %D%/e2e/process
EXTRA_DIST += %D%/programs/process.c
SCRIPT_TESTS += %D%/e2e/pmr
EXTRA_DIST += %D%/programs/pmr.cc
SCRIPT_TESTS += %D%/e2e/classes
EXTRA_DIST += %D%/programs/size_classes.c
SCRIPT_TESTS += %D%/e2e/limits
EXTRA_DIST += %D%/programs/limits.c
UNIT_TESTS += %D%/unit_threads
%C%_unit_threads_SOURCES = %D%/unit_threads.c
%C%_unit_threads_CFLAGS = $(AM_CFLAGS) -O2
%C%_unit_threads_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
UNIT_TESTS += %D%/unit_maps
%C%_unit_maps_SOURCES = %D%/unit_maps.c
%C%_unit_maps_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
LONG_TESTS += %D%/tsan

# The heap's threads under ThreadSanitizer, without the rest of check-long.
check-tsan: all
	$(AM_V_at)MT_LONG=1 $(TEST_RUN) --timeout 3600 $(srcdir)/%D%/tsan
.PHONY: check-tsan
SCRIPT_TESTS += %D%/e2e/allocators
EXTRA_DIST += %D%/programs/jemallocx.c %D%/programs/ownheap.c \
	%D%/programs/tcmallocx.cc %D%/programs/aborts.c
LONG_TESTS += %D%/e2e/suites
# In a build with --enable-debug: damage on purpose, and the assertions.
if DEBUG
UNIT_TESTS += %D%/unit_asserts
%C%_unit_asserts_SOURCES = %D%/unit_asserts.c
%C%_unit_asserts_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_asserts_LDADD = heap/libheap.la $(CUNIT_LIBS) -lpthread
endif
EXTRA_DIST += %D%/programs/interposed.c %D%/programs/forklocks.c %D%/programs/reloads.c
LONG_TESTS += %D%/e2e/glibc-tests %D%/e2e/fork-locks %D%/e2e/programs %D%/e2e/reloads
