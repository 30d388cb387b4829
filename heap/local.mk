# libmemtrace: the traced heap. It needs libc alone.
include_HEADERS += %D%/memtrace.h %D%/memtrace_epoch.h %D%/memtrace_pmr.h
noinst_HEADERS += %D%/layout.h %D%/corenote.h %D%/attributes.h %D%/lock.h %D%/os.h \
	%D%/time_index.h
pkgconfig_DATA += %D%/memtrace.pc

# All of the heap's objects, for the two libraries and for the unit tests.
noinst_LTLIBRARIES += %D%/libheap.la
%C%_libheap_la_SOURCES =
%C%_libheap_la_CPPFLAGS = $(PLAIN_CPPFLAGS)
%C%_libheap_la_CFLAGS = $(PLAIN_CFLAGS) -O2 -g -fvisibility=hidden \
	-ftls-model=initial-exec -fno-builtin-malloc -fno-strict-aliasing \
	-fno-unroll-loops -fno-tree-vectorize -fno-tree-slp-vectorize
%C%_libheap_la_LIBADD = $(DL_LIBS)
%C%_libheap_la_CCASFLAGS = $(PLAIN_CFLAGS) -g -I$(top_srcdir)
include %D%/alloc.mk
include %D%/capture/local.mk
include %D%/cold.mk

# A dlclose leaves the library where it is: threads that have allocated call it
# when they end, and blocks may be live.
lib_LTLIBRARIES += %D%/libmemtrace.la
%C%_libmemtrace_la_SOURCES =
%C%_libmemtrace_la_CFLAGS = $(PLAIN_CFLAGS)
%C%_libmemtrace_la_LIBADD = %D%/libheap.la
%C%_libmemtrace_la_LDFLAGS = -version-info 0:0:0 -Wl,-z,now \
	-Wl,-z,nodelete
