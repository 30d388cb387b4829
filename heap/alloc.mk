# sources of the allocator and the trace region
%C%_libheap_la_SOURCES += %D%/os.c %D%/lock.c %D%/region.c %D%/region.h \
	%D%/schema.c %D%/print.c %D%/print.h %D%/epoch.c
