# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/arguments.c %D%/arguments.h %D%/cmd_blocks.c %D%/cmd_check.c %D%/cmd_diff.c \
	%D%/habits.c %D%/habits.h %D%/cmd_core_handler.c %D%/core_keep.c %D%/core_keep.h %D%/cmd_gdb.c %D%/cmd_info.c %D%/cmd_leaks.c %D%/cmd_refs.c \
	%D%/cmd_map.c %D%/cmd_retained.c %D%/cmd_run.c %D%/cmd_save.c %D%/cmd_show.c \
	%D%/cmd_trace.c %D%/cmd_whatis.c %D%/command.c %D%/command.h \
	%D%/cmd_top.c %D%/cmd_box.c %D%/cmd_watch.c %D%/watch.c %D%/watch.h %D%/command_table.c %D%/installed.c %D%/installed.h %D%/options.c \
	%D%/options.h %D%/policy_options.c %D%/policy_options.h \
	%D%/cmd_export.c %D%/cmd_report.c %D%/profile_side.c %D%/profile_side.h %D%/row_options.c %D%/row_options.h \
	%D%/run_save.c %D%/run_save.h %D%/search_options.c \
	%D%/search_options.h %D%/style_arguments.c
