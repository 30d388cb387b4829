# SPDX-License-Identifier: BSD-2-Clause
coreanalyze_libread_la_SOURCES += \
	%D%/crash.c %D%/crash.h %D%/check_files.c %D%/default_suppressions.c %D%/check_report.c %D%/check_report.h %D%/follow.c \
	%D%/follow.h %D%/policy.c %D%/policy.h %D%/policy_reports.c \
	%D%/policy_verdict.c %D%/preload_env.c %D%/preload_env.h %D%/traced.c %D%/traced.h %D%/untraced.c %D%/untraced.h
