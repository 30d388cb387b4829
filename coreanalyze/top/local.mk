# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/top.c %D%/top.h %D%/top_batch.c %D%/top_figures.c %D%/top_figures.h \
	%D%/top_keys.c %D%/top_keys.h %D%/top_history.c %D%/top_history.h %D%/top_lines.c %D%/top_lines.h \
	%D%/top_pages.c %D%/top_process.c %D%/top_process.h %D%/top_view.c \
	%D%/top_view.h
