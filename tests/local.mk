# tests
include %D%/sym.mk
