# Thin targets; the work is in tools/, c_src/Makefile and rebar.config.

.PHONY: all help deps test check e2e e2e-consul bench demo fmt clean

all:
	rebar3 compile

help:
	@echo "make             build (C and Erlang)"
	@echo "make demo        three nodes, a forwarded write, a failover: a minute"
	@echo "make test        all tests; ends with N passed, N failed, N skipped"
	@echo "make check       warnings, format, lint, layers, types, sanitizers, fuzzing"
	@echo "make e2e         the end-to-end cases on real LiteFS"
	@echo "make e2e-consul  the failover cases of it with the real Consul"
	@echo "make bench       the table of figures"
	@echo "make deps        install the Debian packages that are missing"
	@echo "make fmt         clang-format the C files"
	@echo "make clean       remove what was built"

deps:
	@tools/deps

test: deps
	@tools/test

check: deps
	@tools/check

e2e: deps
	@tools/e2e

e2e-consul: deps
	@tools/e2e-consul

bench: deps
	@bench/run

demo:
	@tools/deps build demo
	@examples/demo/run

fmt:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf _build logs
	[ ! -f c_src/Makefile ] || $(MAKE) -C c_src clean
