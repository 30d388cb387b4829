noinst_HEADERS += %D%/symbolize.h
