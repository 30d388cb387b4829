# the analyses of pointers: leaks, refs, retained, whatis, diff
%C%_libread_la_SOURCES += \
	%D%/cmd_diff.c %D%/diff.c %D%/diff.h %D%/print_diff.c \
	%D%/print_diff.h %D%/cmd_retained.c %D%/dominators.c \
	%D%/dominators.h %D%/print_retained.c %D%/print_retained.h \
	%D%/retained.c %D%/retained.h %D%/retained_graph.c \
	%D%/retained_graph.h \
	%D%/cmd_refs.c %D%/cmd_whatis.c %D%/cmd_whatis.h %D%/refs.c \
	%D%/refs.h %D%/whatis_frames.c %D%/whatis_frames.h \
	%D%/whatis_name.c %D%/whatis_name.h %D%/whatis_symbols.c \
	%D%/whatis_symbols.h \
	%D%/cmd_leaks.c %D%/cmd_leaks.h %D%/leaks.c \
	%D%/leaks.h %D%/leaks_options.c %D%/live_freeze.c \
	%D%/core_freeze.c %D%/print_leaks.c %D%/print_leaks.h %D%/roots.c %D%/roots.h \
	%D%/mark.c %D%/mark.h %D%/mark_lost.c %D%/mark_map.c %D%/mark_map.h \
	%D%/mark_keep.c %D%/mark_keep.h %D%/mark_memory.c %D%/mark_memory.h %D%/mark_scan.c %D%/mark_scan.h \
	%D%/mark_pick.c %D%/mark_pick.h %D%/mark_team.c %D%/mark_team.h %D%/snapshot_map.c %D%/snapshot_own.c %D%/store.c %D%/store.h \
	%D%/store_fill.c %D%/store_fill.h
