# SPDX-License-Identifier: BSD-2-Clause
# The page of `memtrace report`; its files are put into the program as they are.
MT_PAGE_FILES = %D%/page.css %D%/page.html %D%/data.js %D%/elements.js \
	%D%/flame.js %D%/tables.js %D%/timeline.js %D%/summary.js %D%/holders.js %D%/views.js \
	%D%/main.js
EXTRA_DIST += $(MT_PAGE_FILES)
coreanalyze_libread_la_SOURCES += \
	%D%/page.c %D%/page.h %D%/page_files.c %D%/page_files.h
%D%/coreanalyze_libread_la-page_files.lo %D%/libread_la-page_files.lo: $(MT_PAGE_FILES)
