# Postern: one Makefile for everything. `make help` lists the targets.
#
#   V=1                          show the commands
#   DEVELOPER=1                  warnings are errors
#   SANITIZE=address,undefined   instrumented build, in a folder of its own
#   B=folder                     where everything built goes

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

PREFIX ?= /usr
SYSCONFDIR ?= /etc
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PKG_CONFIG ?= pkg-config
VERSION := 0.1.0

ifdef SANITIZE
B ?= build-$(subst $(comma),-,$(SANITIZE))
SANFLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -DPOSTERN_SANITIZED=1
OPT ?= -O1
endif
comma := ,
B ?= build
OPT ?= -O2

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wundef -Wno-unused-parameter -Wno-missing-field-initializers
ifdef DEVELOPER
WARN += -Werror
endif
HARDEN := -fstack-protector-strong -fPIE -fcf-protection
ifeq ($(findstring clang,$(CC)),)
HARDEN += -ftrivial-auto-var-init=zero
endif
ifndef SANITIZE
HARDEN += -D_FORTIFY_SOURCE=2
endif
# Nothing of ours takes the place of a library's function of the same name at run time.
HIDDEN := -fvisibility=hidden
CSTD := -std=gnu17 -D_GNU_SOURCE
# Where the tree stands is not in what is built of it.
CFLAGS_ALL := $(CSTD) $(OPT) -g -ffile-prefix-map=$(CURDIR)=. $(WARN) $(HARDEN) $(SANFLAGS) -MMD -MP \
	-DPOSTERN_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_ALL := $(SANFLAGS) -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)

# --- what each layer may see: base <- include <- policy <- relay -------------------
INC_base := -Iinclude -Ibase
INC_policy := -Iinclude -Ibase -Ipolicy
INC_relay := -Iinclude -Ibase -Irelay
INC_tests := -Iinclude -Ibase -Ipolicy -Irelay -Itests

PKGS_base := yaml-0.1 libidn2
PKGS_policy := libpcre2-8 libhs icu-uc icu-i18n zlib libarchive nettle libpsl
PKGS_relay := libcurl libevent_core libevent_openssl openssl libunbound libclamav opendkim sqlite3 libpq libzstd jansson libseccomp ldap lber hiredis
PKGS_ocr := tesseract lept
PKGS := $(PKGS_base) $(PKGS_policy) $(PKGS_relay)
# These install what is missing first and then call make again.
NEEDS_PKGS := $(filter-out clean help deps check demo run bench bench-rooms fuzz cover crash accuracy accuracy-doc,$(or $(MAKECMDGOALS),all))
ifneq ($(NEEDS_PKGS),)
ifneq ($(shell $(PKG_CONFIG) --exists --print-errors $(PKGS) && echo found),found)
$(error a library is missing, see above; `make deps` installs all of them with apt)
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS)) -lspf2 -lm
# Text in pictures is read by a program of its own, built where its libraries are.
ifeq ($(shell $(PKG_CONFIG) --exists $(PKGS_ocr) && echo found),found)
OCR := $(B)/postern-ocr
OCR_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS_ocr))
OCR_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS_ocr))
endif
endif

SRC_base := $(sort $(wildcard base/*.c))
SRC_policy := $(sort $(wildcard policy/*/*.c))
MAIN_relay := relay/master/posternd.c relay/cli/postern.c relay/cli/make_completion.c relay/reader/postern_ocr.c
SRC_relay := $(filter-out $(MAIN_relay),$(sort $(wildcard relay/*/*.c)))
# The pages of the console are in the program: relay/console/embed makes a C file of them.
PAGES := $(shell find relay/console/pages -type f ! -name '.*' ! -name '*.md')
# So are the example configuration and the shipped policy, for `postern init`.
SHIPPED := etc/postern.yaml $(sort $(wildcard etc/policy.d/*.yaml))
SRC_unit := $(sort $(wildcard tests/unit/test_*.c))
SRC_fuzz := $(sort $(wildcard tests/fuzz/fuzz_*.c))
SRC_tool := $(sort $(wildcard tests/tools/*.c))
SRC_bench := $(sort $(wildcard tests/bench/bench_*.c))

OBJ = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIBS := $(B)/lib/librelay.a $(B)/lib/libpolicy.a $(B)/lib/libbase.a
COMPLETIONS := $(B)/completion/bash $(B)/completion/zsh $(B)/completion/fish
UNITS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(SRC_unit))
REPLAYS := $(patsubst tests/fuzz/%.c,$(B)/replay/%,$(SRC_fuzz))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(SRC_fuzz))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(SRC_tool))
BENCHES := $(patsubst tests/bench/%.c,$(B)/bench/%,$(SRC_bench))

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n' $(1) $(2);
endif

# Each page is written by docs/manual from docs/NAME, and installed.
MANUALS := $(patsubst docs/%,$(B)/docs/%,$(wildcard docs/*.[158]))

.PHONY: all help clean
all: $(B)/posternd $(B)/postern $(OCR) $(MANUALS) $(B)/docs/policy.schema.json $(COMPLETIONS) \
	$(B)/docs/policy-tests.schema.json

$(B)/obj/base/%.o: base/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(HIDDEN) $(INC_base) $(PKG_CFLAGS) -c -o $@ $<
$(B)/obj/policy/%.o: policy/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(HIDDEN) $(INC_policy) $(PKG_CFLAGS) -c -o $@ $<
$(B)/obj/relay/%.o: relay/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(HIDDEN) $(INC_relay) $(PKG_CFLAGS) -c -o $@ $<
$(B)/gen/pages.c: relay/console/embed relay/console/pages $(PAGES)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)relay/console/embed relay/console/pages >$@
$(B)/obj/relay/console/pages.o: $(B)/gen/pages.c $(PAGES)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)CCACHE_DISABLE=1 $(CC) $(CFLAGS_ALL) $(HIDDEN) $(INC_relay) -c -o $@ $<
$(B)/gen/shipped.c: relay/cli/embed $(SHIPPED)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)relay/cli/embed etc $(SHIPPED:etc/%=%) >$@
$(B)/obj/relay/cli/shipped.o: $(B)/gen/shipped.c $(SHIPPED)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)CCACHE_DISABLE=1 $(CC) $(CFLAGS_ALL) $(HIDDEN) $(INC_relay) -c -o $@ $<
$(B)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_tests) $(PKG_CFLAGS) -c -o $@ $<

$(B)/lib/libbase.a: $(call OBJ,$(SRC_base))
$(B)/lib/libpolicy.a: $(call OBJ,$(SRC_policy))
$(B)/lib/librelay.a: $(call OBJ,$(SRC_relay)) $(B)/obj/relay/console/pages.o \
	$(B)/obj/relay/cli/shipped.o
$(LIBS):
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) qcs $@ $^

define LINK
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(LIBS) $(1) $(PKG_LIBS)
endef

$(B)/posternd: $(B)/obj/relay/master/posternd.o $(LIBS)
	$(call LINK)
$(B)/postern: $(B)/obj/relay/cli/postern.o $(LIBS)
	$(call LINK)
$(B)/obj/relay/reader/postern_ocr.o: PKG_CFLAGS += $(OCR_CFLAGS)
$(B)/postern-ocr: $(B)/obj/relay/reader/postern_ocr.o $(LIBS)
	$(call LINK,$(OCR_LIBS))
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIBS)
	$(call LINK,-lcmocka)
$(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(LIBS)
	$(call LINK)
$(B)/tools/%: $(B)/obj/tests/tools/%.o $(LIBS)
	$(call LINK)
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIBS)
	$(call LINK)

# Manual pages: the tables in them are the program's own.
$(B)/obj/docs/%.o: docs/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_tests) -Idocs $(PKG_CFLAGS) -c -o $@ $<
$(B)/docs/manual: $(B)/obj/docs/manual.o $(B)/obj/docs/config_keys.o $(LIBS)
	$(call LINK)
$(MANUALS): $(B)/docs/%: docs/% $(B)/docs/manual
	$(call say,DOC,$<)
	$(Q)$(B)/docs/manual <$< >$@

# So are the completions of shells: made of the table of commands.
$(B)/make_completion: $(B)/obj/relay/cli/make_completion.o $(LIBS)
	$(call LINK)
$(B)/completion/%: $(B)/make_completion
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(B)/make_completion $* >$@

$(B)/docs/policy.schema.json $(B)/docs/policy-tests.schema.json: $(B)/postern
	@mkdir -p $(@D)
	$(call say,DOC,$@)
	$(Q)$(B)/postern policy schema $(if $(findstring tests,$@),--tests) >$@

.PHONY: units replays tools benches
units: $(UNITS)
replays: $(REPLAYS)
tools: $(TOOLS)
benches: $(BENCHES)

# --- tests ---------------------------------------------------------------------------
# `make check` is all of it; each group also stands alone. Integration tests start
# Debian's own daemons on loopback, as root, in folders of their own.
.PHONY: check check-units check-replay check-accuracy check-scenario check-integration check-sandbox
check: deps
	$(Q)$(MAKE) --no-print-directory DEVELOPER=1 check-all
.PHONY: check-all
check-all: all
	$(Q)tests/run all

check-units: all units
	$(Q)tests/run units
check-replay: all replays
	$(Q)tests/run replay
check-accuracy: all
	$(Q)tests/run accuracy
check-integration: all
	$(Q)tests/run integration

# Fuzz each target for FUZZ_SECONDS with libFuzzer, starting from its corpus.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz:
	$(Q)tests/deps clang-14 libclang-rt-14-dev
	$(Q)$(MAKE) --no-print-directory CC=clang-14 SANITIZE=address,undefined,fuzzer-no-link \
		B=build-fuzz build-fuzz/all-fuzzers
	$(Q)for f in build-fuzz/fuzz/*; do n=$${f##*/}; mkdir -p build-fuzz/found/$$n; \
		$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 \
			-artifact_prefix=build-fuzz/found/$$n- build-fuzz/found/$$n \
			tests/corpus/$${n#fuzz_} || exit 1; done
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIBS) $(PKG_LIBS)
.PHONY: $(B)/all-fuzzers
$(B)/all-fuzzers: $(FUZZERS)

# Precision and recall of each detector, and its false finds in real text; figures below their
# floors end it. accuracy-doc writes the tables of docs/DETECTORS.md anew.
.PHONY: accuracy accuracy-doc
accuracy accuracy-doc: deps
	$(Q)tests/deps $$(cat tests/accuracy/packages)
	$(Q)$(MAKE) --no-print-directory all $(B)/tools/detect_lines
	$(Q)B=$(B) /usr/bin/python3 tests/accuracy/accuracy.py $(if $(findstring doc,$@),--write)
	$(Q)B=$(B) /usr/bin/python3 tests/accuracy/adversarial.py

# SIGKILL at random moments under load, CRASH_ROUNDS (300) times; CRASH_SEED repeats the choices.
.PHONY: crash
crash: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)B=$(B) tests/crash/run

# BENCH='--quick', or '--row everything --processes': options of tests/bench/run.
.PHONY: bench
bench:
	$(Q)tests/deps opendkim clamav-milter linux-perf
	$(Q)$(MAKE) --no-print-directory all benches tools
	$(Q)B=$(B) tests/bench/run --json $(B)/bench/figures.json $(BENCH)

# What single rooms cost, each with a main program of its own.
.PHONY: bench-rooms
bench-rooms: deps
	$(Q)$(MAKE) --no-print-directory all benches tools
	$(Q)$(B)/bench/bench_spool
	$(Q)tests/deps clamav-milter
	$(Q)B=$(B) tests/bench/inbound
	$(Q)B=$(B) tests/bench/files.py
	$(Q)B=$(B) tests/bench/edm --rows 1000000

# --- what a reader of the tree may rely on -------------------------------------------
.PHONY: lint hdr-check cover
lint: $(B)/lib/libpolicy.a
	$(Q)tests/lint $(B)/lib/libpolicy.a

hdr-check:
	$(Q)for h in include/postern/*.h; do \
		$(CC) $(CSTD) $(WARN) -Werror -Iinclude -Wno-unused -fsyntax-only -x c $$h || exit 1; done
	$(Q)for h in base/*.h; do \
		$(CC) $(CSTD) $(WARN) -Werror $(INC_base) -Wno-unused -fsyntax-only -x c $$h || exit 1; done
	$(Q)for h in policy/*/*.h; do \
		$(CC) $(CSTD) $(WARN) -Werror $(INC_policy) $(PKG_CFLAGS) -Wno-unused -fsyntax-only -x c $$h || exit 1; done
	$(Q)for h in relay/*/*.h; do \
		$(CC) $(CSTD) $(WARN) -Werror $(INC_relay) $(PKG_CFLAGS) -Wno-unused -fsyntax-only -x c $$h || exit 1; done
	@echo "every header compiles alone"

cover:
	$(Q)$(MAKE) --no-print-directory B=build-cover OPT=-O0 CFLAGS='--coverage -fprofile-update=atomic' LDFLAGS=--coverage units replays
	$(Q)B=build-cover MAKEFLAGS= OPT=-O0 CFLAGS='--coverage -fprofile-update=atomic' LDFLAGS=--coverage tests/run units replay
	$(Q)find build-cover -name '*.gcda' | xargs gcov -n 2>/dev/null | awk -F"[':% ]" ' \
		/^File/ {f = $$3} /^Lines executed/ && f !~ /^(\/usr|tests)/ {split($$0, a, /[:% ]/); \
		printf "%6.1f %%  %5d lines  %s\n", a[3], $$NF, f; f = "/usr"}' | sort -k4

# --- installation --------------------------------------------------------------------
.PHONY: install deps demo run deb
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
		$(DESTDIR)$(SYSCONFDIR)/postern/policy.d \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -m 755 $(B)/posternd $(DESTDIR)$(PREFIX)/sbin/posternd
	install -m 755 $(B)/postern $(DESTDIR)$(PREFIX)/bin/postern
	[ ! -e $(B)/postern-ocr ] || install -m 755 $(B)/postern-ocr $(DESTDIR)$(PREFIX)/sbin/postern-ocr
	[ -e $(DESTDIR)$(SYSCONFDIR)/postern/postern.yaml ] || \
		install -m 644 etc/postern.yaml $(DESTDIR)$(SYSCONFDIR)/postern/postern.yaml
	for f in etc/policy.d/*.yaml; do t=$(DESTDIR)$(SYSCONFDIR)/postern/policy.d/$${f##*/}; \
		[ -e $$t ] || install -m 644 $$f $$t; done
	install -d $(DESTDIR)$(PREFIX)/share/postern
	install -D -m 644 etc/fail2ban/filter.d/postern.conf $(DESTDIR)$(PREFIX)/share/postern/fail2ban/filter.d/postern.conf
	install -D -m 644 etc/fail2ban/jail.d/postern.conf.example $(DESTDIR)$(PREFIX)/share/postern/fail2ban/jail.d/postern.conf.example
	install -D -m 644 etc/grafana/postern.json $(DESTDIR)$(PREFIX)/share/postern/grafana/postern.json
	install -D -m 644 etc/prometheus/postern.rules.yaml $(DESTDIR)$(PREFIX)/share/postern/prometheus/postern.rules.yaml
	install -d $(DESTDIR)$(PREFIX)/share/postern/templates
	install -m 644 etc/postern.yaml $(DESTDIR)$(PREFIX)/share/postern/postern.yaml
	install -m 644 etc/templates/*.txt $(DESTDIR)$(PREFIX)/share/postern/templates/
	install -m 644 $(B)/docs/policy.schema.json $(B)/docs/policy-tests.schema.json \
		$(DESTDIR)$(PREFIX)/share/postern/
	for f in $(MANUALS); do install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/$${f##*/}; done
	install -D -m 644 $(B)/completion/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/postern
	install -D -m 644 $(B)/completion/zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_postern
	install -D -m 644 $(B)/completion/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/postern.fish
	install -m 644 systemd/postern.service $(DESTDIR)$(PREFIX)/lib/systemd/system/postern.service
	install -m 644 systemd/postern.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/postern.socket
	install -m 644 systemd/postern-milter.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/postern-milter.socket
	install -m 644 systemd/postern.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	install -m 644 systemd/postern.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf

deps:
	$(Q)tests/deps

demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/demo

# The demo's set-up, left running until Ctrl-C.
run: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/demo --run

deb: all
	$(Q)systemd/make-deb $(B) $(VERSION) $(DEB_OUT)

clean:
	rm -rf build build-*

help:
	@echo 'make            build posternd and postern in build/'
	@echo 'make demo       see it work: a relay, a DNS server, a receiving MX, six messages'
	@echo 'make run        the same, left running'
	@echo 'make check      all tests (installs what they need)'
	@echo 'make crash      SIGKILL at random moments under load, CRASH_ROUNDS times'
	@echo 'make accuracy   precision and recall of each detector; accuracy-doc: docs/DETECTORS.md'
	@echo 'make bench      beside Postfix, opendkim, clamav-milter, rspamd; goals. BENCH=--quick: 3 minutes'
	@echo 'make bench-rooms   what single rooms cost: spool, files, exact data, inbound mail'
	@echo 'make fuzz       every parser, FUZZ_SECONDS each'
	@echo 'make lint       the house rules; hdr-check: each header alone; cover: coverage'
	@echo 'make install    DESTDIR= PREFIX=/usr SYSCONFDIR=/etc'
	@echo 'make deb        Debian packages in build/: postern, postern-console, postern-packs'
	@echo 'make deps       what building and testing need, with apt'
	@echo 'make clean'

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
