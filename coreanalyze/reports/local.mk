# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/folded_paths.c %D%/folded_paths.h \
	%D%/frame_texts.c %D%/frame_texts.h \
	%D%/print.h %D%/print_block.c %D%/print_block.h %D%/print_diff.c \
	%D%/print_diff.h %D%/print_folded.c %D%/print_info.c \
	%D%/print_map.c %D%/print_map.h %D%/print_json.c %D%/print_json2.c \
	%D%/print_groups.c %D%/print_groups.h %D%/print_leaks.c %D%/print_leaks.h \
	%D%/print_retained.c %D%/print_retained.h %D%/retained_names.c %D%/print_table.c \
	%D%/print_timeline.c %D%/print_timeline.h \
	%D%/report.c %D%/other_heaps.c \
	%D%/print_rows.c %D%/print_rows.h %D%/print_show.c %D%/style.h \
	%D%/summary.c %D%/summary.h
dist_pkgdata_DATA += %D%/memtrace-report-2.schema.json
