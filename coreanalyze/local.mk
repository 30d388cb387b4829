# libmemtrace-read and the memtrace command.
noinst_HEADERS += %D%/error.h %D%/source.h %D%/model.h %D%/reader.h
include %D%/sym.mk
