# docs
EXTRA_DIST += %D%/demo.sh
