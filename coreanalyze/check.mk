# mini-cores; programs checked for leaks at their exit
dist_bin_SCRIPTS += %D%/memtrace-ctest
%C%_libread_la_SOURCES += \
	%D%/baseline.c %D%/baseline.h %D%/ci.h %D%/ci_github.c \
	%D%/ci_junit.c %D%/ci_sarif.c %D%/ci_text.c %D%/ci_valgrind.c \
	%D%/fingerprint.c %D%/gate.c %D%/gate.h %D%/gate_reports.c \
	%D%/hash.h %D%/outcome.c %D%/outcome.h %D%/output.c %D%/output.h \
	%D%/suppress.h %D%/suppress_match.c \
	%D%/suppress_print.c %D%/suppress_read.c %D%/xml.c %D%/xml.h \
	%D%/check.c %D%/check.h %D%/check_files.c %D%/check_report.c %D%/check_report.h \
	%D%/cmd_check.c %D%/ended.c %D%/run_save.c %D%/run_save.h \
	%D%/cmd_save.c %D%/minicore.h %D%/save.c %D%/save.h \
	%D%/save_notes.c %D%/save_ranges.c %D%/snapshot_ranges.c
