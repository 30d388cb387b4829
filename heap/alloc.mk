# Sources of the allocator and the trace region. Objects are linked in this
# order, and the kernel maps a library's code by 64 KiB around what is executed:
# what every program needs comes first, what most never run comes last, behind
# capture and unwinding (local.mk).
%C%_libheap_la_SOURCES += %D%/entry.c %D%/traced.S %D%/heap.c %D%/cache.c %D%/pages.c \
	%D%/runs.c %D%/regions.c %D%/records.c %D%/side.c %D%/threads.c %D%/heaps.c \
	%D%/memory.c %D%/classes.c %D%/os.c %D%/lock.c %D%/region.c %D%/schema.c %D%/epoch.c \
	%D%/config.c %D%/fork.c %D%/safety.c %D%/atend.c %D%/print.c \
	%D%/alloc.h %D%/atend.h %D%/blocks.h %D%/entry.S.h %D%/fast.h %D%/memory.h \
	%D%/pages.h %D%/print.h %D%/region.h %D%/safety.h %D%/traced_fast.h
