# SPDX-License-Identifier: BSD-2-Clause
# For other people's test frameworks: headers for GoogleTest and Catch2, a
# package for CMake, a plugin for pytest.  None of it is compiled here.
include_HEADERS += %D%/memtrace_case.h %D%/memtrace_gtest.h \
	%D%/memtrace_catch2.h
memtrace_cmakedir = $(libdir)/cmake/memtrace
nodist_memtrace_cmake_DATA = %D%/memtrace-config.cmake \
	%D%/memtrace-config-version.cmake
memtrace_pytestdir = $(datadir)/memtrace/pytest
dist_memtrace_pytest_DATA = %D%/memtrace_pytest.py
EXTRA_DIST += %D%/memtrace-config.cmake.in \
	%D%/memtrace-config-version.cmake.in
CLEANFILES += $(nodist_memtrace_cmake_DATA)

# Brackets keep config.status away from the names.
%D%/memtrace-config.cmake %D%/memtrace-config-version.cmake: %D%/local.mk Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && sed -e 's|[@]bindir[@]|$(bindir)|' \
		-e 's|[@]libdir[@]|$(libdir)|' -e 's|[@]includedir[@]|$(includedir)|' \
		-e 's|[@]PACKAGE_VERSION[@]|$(PACKAGE_VERSION)|' \
		$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
%D%/memtrace-config.cmake: %D%/memtrace-config.cmake.in
%D%/memtrace-config-version.cmake: %D%/memtrace-config-version.cmake.in
