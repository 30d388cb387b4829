# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/export.c %D%/export.h %D%/export_callgrind.c %D%/export_dhat.c \
	%D%/export_folded.c %D%/export_formats.c %D%/export_heapsnapshot.c %D%/export_massif.c %D%/export_pprof.c \
	%D%/export_speedscope.c %D%/protobuf.c %D%/protobuf.h
