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
HARDEN := -fstack-protector-strong -fPIE -fcf-protection -ftrivial-auto-var-init=zero
ifndef SANITIZE
HARDEN += -D_FORTIFY_SOURCE=2
endif
CSTD := -std=gnu17 -D_GNU_SOURCE
CFLAGS_ALL := $(CSTD) $(OPT) -g $(WARN) $(HARDEN) $(SANFLAGS) -MMD -MP \
	-DPOSTERN_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_ALL := $(SANFLAGS) -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)

# --- what each layer may see: base <- include <- policy <- relay -------------------
INC_base := -Iinclude -Ibase
INC_policy := -Iinclude -Ibase -Ipolicy
INC_relay := -Iinclude -Ibase -Irelay
INC_tests := -Iinclude -Ibase -Ipolicy -Irelay -Itests

PKGS_base := yaml-0.1 libidn2
PKGS_policy := libpcre2-8 icu-uc icu-i18n zlib
PKGS_relay := libevent_core libevent_openssl openssl libunbound libclamav opendkim sqlite3 libzstd jansson libseccomp
PKGS := $(PKGS_base) $(PKGS_policy) $(PKGS_relay)
NEEDS_PKGS := $(filter-out clean help deps,$(or $(MAKECMDGOALS),all))
ifneq ($(NEEDS_PKGS),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lm
endif

SRC_base := $(sort $(wildcard base/*.c))
SRC_policy := $(sort $(wildcard policy/*/*.c))
MAIN_relay := relay/master/posternd.c relay/cli/postern.c
SRC_relay := $(filter-out $(MAIN_relay),$(sort $(wildcard relay/*/*.c)))
SRC_unit := $(sort $(wildcard tests/unit/test_*.c))
SRC_fuzz := $(sort $(wildcard tests/fuzz/fuzz_*.c))
SRC_tool := $(sort $(wildcard tests/tools/*.c))
SRC_bench := $(sort $(wildcard tests/bench/bench_*.c))

OBJ = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIBS := $(B)/lib/librelay.a $(B)/lib/libpolicy.a $(B)/lib/libbase.a
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

.PHONY: all help clean
all: $(B)/posternd $(B)/postern

$(B)/obj/base/%.o: base/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_base) $(PKG_CFLAGS) -c -o $@ $<
$(B)/obj/policy/%.o: policy/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_policy) $(PKG_CFLAGS) -c -o $@ $<
$(B)/obj/relay/%.o: relay/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_relay) $(PKG_CFLAGS) -c -o $@ $<
$(B)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(INC_tests) $(PKG_CFLAGS) -c -o $@ $<

$(B)/lib/libbase.a: $(call OBJ,$(SRC_base))
$(B)/lib/libpolicy.a: $(call OBJ,$(SRC_policy))
$(B)/lib/librelay.a: $(call OBJ,$(SRC_relay))
$(LIBS):
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) crs $@ $^

define LINK
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(LIBS) $(1) $(PKG_LIBS)
endef

$(B)/posternd: $(B)/obj/relay/master/posternd.o $(LIBS)
	$(call LINK)
$(B)/postern: $(B)/obj/relay/cli/postern.o $(LIBS)
	$(call LINK)
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIBS)
	$(call LINK,-lcmocka)
$(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(LIBS)
	$(call LINK)
$(B)/tools/%: $(B)/obj/tests/tools/%.o $(LIBS)
	$(call LINK)
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIBS)
	$(call LINK)

.PHONY: units replays tools benches
units: $(UNITS)
replays: $(REPLAYS)
tools: $(TOOLS)
benches: $(BENCHES)

clean:
	rm -rf build build-*

help:
	@sed -n 's/^# *\(make .*\)/\1/p' Makefile

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
