# Sources of the heap that few programs run (alloc.mk). No MT_COLD in them: the
# linker puts such functions before all others, amid what a start touches.
%C%_libheap_la_SOURCES += %D%/sample.c %D%/annotate.c %D%/error.c %D%/debug.c %D%/block_walk.c %D%/heap_show.c \
	%D%/heap_check.c %D%/exit/save_at.c %D%/exit/save_at.h %D%/exit/memory_limits.c %D%/exit/memory_limits.h %D%/exit/exit_file.c %D%/exit/exit_write.c %D%/exit/exit_core.c %D%/exit/exit_maps.c %D%/exit/exit_notes.c
%C%_libheap_la_SOURCES += %D%/move_pages.c %D%/foreign.c %D%/box.c %D%/box.h %D%/box_fork.c %D%/box_notes.c
%C%_libheap_la_SOURCES += %D%/sandbox.c %D%/sandbox_enter.c %D%/sandbox.h %D%/kernel.h %D%/libc_heap.h
%C%_libheap_la_SOURCES += %D%/seldom.h
%C%_libheap_la_SOURCES += %D%/map_table.c %D%/map_table.h
