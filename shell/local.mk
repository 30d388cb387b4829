# SPDX-License-Identifier: BSD-2-Clause
# Completion for bash and zsh: fixed scripts below tables that a program
# prints from the command's own.
noinst_PROGRAMS += %D%/completion
%C%_completion_SOURCES = %D%/completion.c
%C%_completion_LDADD = coreanalyze/libread.la
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_bashcompletion_DATA = %D%/memtrace
nodist_zshcompletion_DATA = %D%/_memtrace
EXTRA_DIST += %D%/memtrace.bash.in %D%/_memtrace.in
CLEANFILES += %D%/memtrace %D%/_memtrace

%D%/memtrace: %D%/completion$(EXEEXT) %D%/memtrace.bash.in
	$(AM_V_GEN){ echo '# Completion of memtrace in bash; written by the build.' && \
	%D%/completion$(EXEEXT) bash && cat $(srcdir)/%D%/memtrace.bash.in; } \
		>$@.tmp && mv $@.tmp $@
%D%/_memtrace: %D%/completion$(EXEEXT) %D%/_memtrace.in
	$(AM_V_GEN){ printf '#compdef memtrace\n# Written by the build.\n' && \
	%D%/completion$(EXEEXT) zsh && cat $(srcdir)/%D%/_memtrace.in; } \
		>$@.tmp && mv $@.tmp $@
