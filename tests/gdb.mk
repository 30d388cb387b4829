# tests of gdb: see tests/local.mk for what goes here
