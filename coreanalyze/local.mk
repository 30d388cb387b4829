# coreanalyze
