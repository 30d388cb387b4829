# GDB's commands, in a real GDB.
SCRIPT_TESTS += %D%/gdb/gdb-core %D%/gdb/gdb-live %D%/gdb/gdb-load \
	%D%/gdb/gdb-parts %D%/gdb/gdb-remote
EXTRA_DIST += %D%/gdb/session.py
LONG_TESTS += %D%/gdb/gdb-installs
