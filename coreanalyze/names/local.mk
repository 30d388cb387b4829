# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/backtrace.c %D%/backtrace.h %D%/exit_calls.c \
	%D%/exit_calls.h %D%/frame_text.c %D%/frame_text.h \
	%D%/namer.c %D%/namer.h %D%/resolve.c %D%/resolve.h \
	%D%/stack_frames.c %D%/stack_frames.h %D%/variables.c \
	%D%/variables.h \
	%D%/short_name.c %D%/short_name.h \
	%D%/system_library.c %D%/system_library.h
