# tests of heap: see tests/local.mk for what goes here
