# tests of the symbolizer
