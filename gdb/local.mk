# gdb
