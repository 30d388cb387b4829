# sources of the allocator and the trace region
%C%_libheap_la_SOURCES += %D%/os.c %D%/lock.c %D%/region.c %D%/region.h \
	%D%/schema.c %D%/print.c %D%/print.h %D%/epoch.c %D%/alloc.h \
	%D%/classes.c %D%/records.c %D%/side.c %D%/runs.c %D%/pages.c %D%/pages.h %D%/regions.c %D%/cache.c \
	%D%/threads.c %D%/heap.c %D%/heaps.c %D%/fork.c %D%/config.c \
	%D%/annotate.c %D%/atend.c %D%/atend.h %D%/atend_core.c %D%/atend_maps.c %D%/atend_notes.c \
	%D%/error.c %D%/memory.c %D%/memory.h %D%/safety.c %D%/safety.h %D%/sample.c %D%/blocks.c %D%/blocks.h %D%/show.c %D%/check.c \
	%D%/entry.c %D%/fast.h %D%/traced_fast.h %D%/traced.S %D%/entry.S.h
