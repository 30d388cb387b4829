# tests of capture: see local.mk.  PLAIN_CFLAGS: a sanitizer's backtrace()
# is another.
UNIT_TESTS += %D%/unit_unwind
%C%_unit_unwind_SOURCES = %D%/unit_unwind.c %D%/regs.h
%C%_unit_unwind_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_unwind_LDFLAGS =
%C%_unit_unwind_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_stacks
%C%_unit_stacks_SOURCES = %D%/unit_stacks.c %D%/regs.h
%C%_unit_stacks_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_stacks_LDFLAGS =
%C%_unit_stacks_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_memo
%C%_unit_memo_SOURCES = %D%/unit_memo.c %D%/regs.h
%C%_unit_memo_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_memo_LDFLAGS =
%C%_unit_memo_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_signals
%C%_unit_signals_SOURCES = %D%/unit_signals.c %D%/regs.h
%C%_unit_signals_CFLAGS = $(PLAIN_CFLAGS) -O2 -fomit-frame-pointer
%C%_unit_signals_LDFLAGS =
%C%_unit_signals_LDADD = heap/libheap.la $(CUNIT_LIBS)
UNIT_TESTS += %D%/unit_reload
%C%_unit_reload_SOURCES = %D%/unit_reload.c %D%/regs.h
%C%_unit_reload_CFLAGS = $(PLAIN_CFLAGS) -O2
%C%_unit_reload_LDFLAGS =
%C%_unit_reload_LDADD = heap/libheap.la $(CUNIT_LIBS)
