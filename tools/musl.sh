#!/bin/sh
# A Python made with musl, in /opt/musl, from Debian's sources, with what the tests import of its library.
# `make test-musl` runs this in a folder of Debian: some ten minutes of a processor.
set -e
unset MAKEFLAGS MAKELEVEL # of the make that runs this
prefix=/opt/musl
mkdir -p /srv/sources $prefix/include
cd /srv/sources
apt-get -qq update
apt-get -qq -o APT::Sandbox::User=root source --download-only zlib libffi xz-utils openssl python3.13

# The kernel's headers, which musl has not, and nothing of glibc's beside them.
for name in linux asm-generic mtd x86_64-linux-gnu/asm; do ln -sfn "/usr/include/$name" $prefix/include/; done
# Debian's musl-gcc says that it compiles for glibc; Python asks.
export CC=$prefix/cc CFLAGS=-fPIC CPPFLAGS=-I$prefix/include LDFLAGS=-L$prefix/lib
cat >$CC <<'END'
#!/bin/sh
[ "$*" = --print-multiarch ] && echo x86_64-linux-musl && exit
exec musl-gcc "$@"
END
chmod +x $CC

made() { # made NAME GOAL CONFIGURE...: configure, make and install one of the sources, and say nothing unless it fails
    echo "$1"
    rm -rf "$1" && mkdir "$1"
    tar -xf "$1"_*.orig.tar.?z --strip-components 1 -C "$1"
    (
        cd "$1" && goal=$2 && shift 2
        # Debian's source of libffi comes without what autoconf makes.
        { [ -e configure ] || [ -e Configure ] || autoreconf -fi; "$@" --prefix=$prefix && make -s -j "$(nproc)" "$goal"; } \
            >made.log 2>&1 || { tail -n 40 made.log; exit 1; }
    )
}
system=--build=x86_64-linux-musl
made zlib install ./configure --static
made libffi install ./configure $system --disable-shared --disable-docs
made xz-utils install ./configure $system --disable-shared --disable-nls --disable-doc
made openssl install_dev ./Configure linux-x86_64 no-shared no-apps no-tests no-docs no-async --libdir=lib
export PKG_CONFIG=false LIBFFI_CFLAGS=-I$prefix/include LIBFFI_LIBS=-lffi
export ZLIB_CFLAGS=-I$prefix/include ZLIB_LIBS=-lz LIBLZMA_CFLAGS=-I$prefix/include LIBLZMA_LIBS=-llzma
made python3.13 install ./configure $system --without-ensurepip --disable-test-modules --with-openssl=$prefix
$prefix/bin/python3.13 -c 'import ctypes, lzma, ssl, zlib'
touch $prefix/made
