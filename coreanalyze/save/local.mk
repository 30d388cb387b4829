# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/core_filter.c %D%/core_filter.h %D%/core_stream.c \
	%D%/core_stream.h %D%/save.c %D%/save.h %D%/save_notes.c %D%/save_ranges.c
