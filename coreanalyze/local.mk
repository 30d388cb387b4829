# coreanalyze
include %D%/sym.mk
