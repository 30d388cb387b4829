# libmemtrace-preload.so: the malloc family on the main heap. libc alone.
lib_LTLIBRARIES += %D%/libmemtrace-preload.la
%C%_libmemtrace_preload_la_SOURCES = %D%/malloc.c %D%/exit.c %D%/lsan.c \
	%D%/preload.h
%C%_libmemtrace_preload_la_SOURCES += %D%/keys.c %D%/libc_blocks.c %D%/symbols.c %D%/symbols.h %D%/links.S \
	%D%/seccomp.c %D%/syscall.S \
	%D%/refused.h
%C%_libmemtrace_preload_la_CPPFLAGS = $(PLAIN_CPPFLAGS)
%C%_libmemtrace_preload_la_CFLAGS = $(PLAIN_CFLAGS) -O2 -g \
	-fvisibility=hidden -ftls-model=initial-exec -fno-builtin \
	-fno-strict-aliasing -fno-unroll-loops -fno-tree-vectorize \
	-fno-tree-slp-vectorize
%C%_libmemtrace_preload_la_LIBADD = heap/libheap.la %D%/libseldom.la
%C%_libmemtrace_preload_la_LDFLAGS = -module -avoid-version -shared \
	-Wl,-z,now -Wl,-z,nodelete -Wl,-z,defs -Wl,-fini= \
	-Wl,--sort-section=name
%C%_libmemtrace_preload_la_CCASFLAGS = $(PLAIN_CFLAGS) -g -I$(top_srcdir)
%C%_libmemtrace_preload_la_SOURCES += %D%/rlimits.c
%C%_libmemtrace_preload_la_SOURCES += %D%/maps.c
# What the start of a C program does not run comes after the heap, so that it is
# not mapped (heap/alloc.mk).
noinst_LTLIBRARIES += %D%/libseldom.la
%C%_libseldom_la_SOURCES = %D%/altstack.c %D%/cxx.c %D%/new.S %D%/legacy.c %D%/jemalloc_api.c %D%/other_api.S %D%/tcmalloc_api.c %D%/exec.c %D%/refused.c
%C%_libseldom_la_CPPFLAGS = $(%C%_libmemtrace_preload_la_CPPFLAGS)
%C%_libseldom_la_CFLAGS = $(%C%_libmemtrace_preload_la_CFLAGS)
%C%_libseldom_la_CCASFLAGS = $(%C%_libmemtrace_preload_la_CCASFLAGS)
