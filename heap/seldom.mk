# Sources of the heap that few programs run (alloc.mk).
%C%_libheap_la_SOURCES += %D%/sample.c %D%/annotate.c %D%/error.c %D%/blocks.c %D%/show.c \
	%D%/check.c %D%/atend_core.c %D%/atend_maps.c %D%/atend_notes.c
