# tests of capture: see tests/local.mk for what goes here
