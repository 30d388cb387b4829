# mini-cores; programs checked for leaks at their exit
%C%_libread_la_SOURCES += \
	%D%/check.c %D%/check.h %D%/check_report.c %D%/check_report.h \
	%D%/cmd_check.c \
	%D%/cmd_save.c %D%/minicore.h %D%/save.c %D%/save.h \
	%D%/save_notes.c %D%/save_ranges.c %D%/snapshot_ranges.c
