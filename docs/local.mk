# docs
dist_man_MANS += %D%/memtrace.1 %D%/memtrace-ctest.1 %D%/memtrace-preload.7 %D%/memtrace.h.3
EXTRA_DIST += %D%/demo.sh %D%/design.md %D%/guide.md %D%/layout.md %D%/leaks.md %D%/leaks-compare.md %D%/bench.md %D%/ci.md %D%/programs.md %D%/releases.md %D%/screens.md %D%/gdb-installs.md
EXTRA_DIST += %D%/report-summary.png %D%/report-flame.png %D%/report-growth.png %D%/report-core.png \
	%D%/report-holders.png %D%/top.png
EXTRA_DIST += %D%/examples/requests.cc
