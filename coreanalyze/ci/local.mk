# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/baseline.c %D%/baseline.h %D%/ci_formats.h %D%/ci_github.c \
	%D%/ci_junit.c %D%/ci_sarif.c %D%/ci_text.c %D%/ci_valgrind.c \
	%D%/findings.c %D%/findings.h %D%/fingerprint.c %D%/suppress.h \
	%D%/suppress_match.c %D%/suppress_print.c %D%/suppress_read.c
