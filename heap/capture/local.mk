# sources of capture and unwinding
heap_libheap_la_SOURCES += %D%/cfi.c %D%/cfi.h %D%/cfi_expr.c \
	%D%/cfi_pointer.c %D%/cfi_program.c %D%/cfi_read.h %D%/object.c %D%/object.h \
	%D%/rules.c %D%/rules.h %D%/walk.c %D%/walk.h %D%/unwind.c %D%/unwind.h \
	%D%/unwind_full.c %D%/unwind_full.h %D%/read_log.h \
	%D%/load_count.c %D%/load_count.h \
	%D%/module_path.c %D%/module_path.h \
	%D%/module_table.c %D%/module_table.h %D%/frame_tree.c %D%/frame_tree.h \
	%D%/tree_limit.c %D%/free_ids.c %D%/free_ids.h \
	%D%/known_path.c %D%/known_path.h %D%/stacks.c %D%/stacks.h %D%/memo.c %D%/memo.h \
	%D%/collect.c %D%/collect.h %D%/capture.c %D%/capture.h %D%/capture_fast.h %D%/capture_report.c
