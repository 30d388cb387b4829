# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/filter.c %D%/filter.h %D%/groups.c %D%/groups.h %D%/paths.c \
	%D%/paths.h %D%/profile.c \
	%D%/profile.h
