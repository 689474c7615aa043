#!/bin/sh
# Everything in C, by each of the compilers named: not one warning. `make test-compilers` runs this in folders of
# Debian, where beside this folder are the C files that Cython made and Python's headers.
cd "$(dirname "$0")/.." || exit 1
flags="-std=c11 -DNDEBUG -Iimeiset/_native -Ibuild/include -Wall -Wno-unused-function"
failed=0
for compiler; do
    {
        # What Cython writes is noisy with -Wextra. Headers that levels.h compiles once for each level are in others.
        find build/cython -name '*.c' | xargs -P "$(nproc)" -n 1 "$compiler" $flags -O3 -ffp-contract=off -fPIC -c -o /dev/null
        find imeiset -name '*.h' ! -name levels.h ! -name '*_loops.h' \
            | xargs -P "$(nproc)" -I '{}' "$compiler" $flags -Wextra -fsyntax-only -include '{}' -x c /dev/null
    } >warnings 2>&1 && [ ! -s warnings ] && echo "$compiler: no warning" && continue
    echo "$compiler: $(grep -c ' warning: ' warnings) warnings, $(grep -c ' error: ' warnings) errors"
    head -n 20 warnings
    failed=1
done
exit $failed
