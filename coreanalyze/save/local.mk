# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/save.c %D%/save.h %D%/save_notes.c %D%/save_ranges.c
