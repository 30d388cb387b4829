# docs
EXTRA_DIST += %D%/demo.sh %D%/layout.md
