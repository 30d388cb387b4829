# tests of reader: see tests/local.mk for what goes here
