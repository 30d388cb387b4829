# The GDB commands: Python over libmemtrace-read, by ctypes.
gdbpackagedir = $(gdbdir)/memtrace_gdb
dist_gdb_DATA = %D%/memtrace.py
dist_gdbpackage_DATA = %D%/memtrace_gdb/__init__.py \
	%D%/memtrace_gdb/commands.py %D%/memtrace_gdb/completion.py \
	%D%/memtrace_gdb/expressions.py %D%/memtrace_gdb/functions.py \
	%D%/memtrace_gdb/inferior.py %D%/memtrace_gdb/library.py \
	%D%/memtrace_gdb/readers.py %D%/memtrace_gdb/rows.py \
	%D%/memtrace_gdb/symbols.py \
	%D%/memtrace_gdb/tables.py
nodist_gdbpackage_DATA = %D%/memtrace_gdb/constants.py \
	%D%/memtrace_gdb/verbs.py
EXTRA_DIST += %D%/autoload.py.in %D%/gdbinit.py.in

# Structures and constants come out of the C headers.
noinst_PROGRAMS += %D%/constants
%C%_constants_SOURCES = %D%/constants.c
%D%/memtrace_gdb/constants.py: %D%/constants$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) %D%/memtrace_gdb && \
	from=`$(PYTHON3) -c 'import os, sys; print(os.path.relpath(*sys.argv[1:]))' '$(libdir)' '$(gdbdir)'` && \
	%D%/constants$(EXEEXT) '$(libdir)' "$$from" >$@.tmp && mv $@.tmp $@

# The help of the verbs, for GDB to have before it loads the library.
noinst_PROGRAMS += %D%/verbs
%C%_verbs_SOURCES = %D%/verbs.c
%C%_verbs_LDADD = coreanalyze/libread.la
%D%/memtrace_gdb/verbs.py: %D%/verbs$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) %D%/memtrace_gdb && \
	%D%/verbs$(EXEEXT) >$@.tmp && mv $@.tmp $@

# GDB reads the files of one folder at its start, whatever it debugs: there the
# commands are always defined. configure finds the folder, or has none.
if GDBINIT
nodist_gdbinit_DATA = %D%/gdbinit/memtrace.py
endif
%D%/gdbinit/memtrace.py: %D%/gdbinit.py.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D%/gdbinit && \
	$(SED) -e 's|@GDBDIR''@|$(gdbdir)|' $(srcdir)/%D%/gdbinit.py.in \
		>$@.tmp && mv $@.tmp $@

# GDB auto-loads OBJFILE-gdb.py for a library OBJFILE that it sees, from below
# its own auto-load folder. A copy beside the library would be found first, and
# refused wherever the folder is not on GDB's safe path.
AUTOLOAD = %D%/libmemtrace-preload.so-gdb.py %D%/libmemtrace.so.0.0.0-gdb.py
gdbautoloaddir = $(datadir)/gdb/auto-load$(libdir)
nodist_gdbautoload_DATA = $(AUTOLOAD)
$(AUTOLOAD): %D%/autoload.py.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && \
	from=`$(PYTHON3) -c 'import os, sys; print(os.path.relpath(*sys.argv[1:]))' '$(gdbdir)' '$(libdir)'` && \
	$(SED) -e 's|@GDBDIR''@|$(gdbdir)|' -e "s|@FROM_LIBDIR""@|$$from|" \
		$(srcdir)/%D%/autoload.py.in >$@.tmp && mv $@.tmp $@

# In the build tree the package and the scripts lie as they will be installed.
GDB_MODULES = $(dist_gdb_DATA) $(dist_gdbpackage_DATA)
noinst_DATA += %D%/copied
%D%/copied: $(AUTOLOAD) %D%/memtrace_gdb/constants.py \
		%D%/memtrace_gdb/verbs.py \
		preload/libmemtrace-preload.la heap/libmemtrace.la \
		$(GDB_MODULES:%=$(srcdir)/%)
	$(AM_V_GEN)for file in $(GDB_MODULES); do \
		test $(srcdir)/$$file -ef $$file || \
		cp -f $(srcdir)/$$file $$file || exit; \
	done && \
	cp -f %D%/libmemtrace-preload.so-gdb.py preload/.libs && \
	cp -f %D%/libmemtrace.so.0.0.0-gdb.py heap/.libs && touch $@
CLEANFILES += $(AUTOLOAD) %D%/memtrace_gdb/constants.py \
	%D%/memtrace_gdb/verbs.py %D%/gdbinit/memtrace.py %D%/copied

distclean-local:
	for file in $(GDB_MODULES) $(dist_suppressions_DATA); do \
		test $(srcdir)/$$file -ef $$file || rm -f $$file; \
	done
