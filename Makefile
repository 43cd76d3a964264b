# SPDX-License-Identifier: MIT
#
# libringgo - one Makefile for everything, never recursive into folders; what is
# long lives in mk/*.mk. Two kinds of targets call this same file again: those
# that install missing packages first (run, test, bench) and those that build
# another configuration (asan, tsan ...).
#
# Objects and products of one configuration live in $(B) = $(O)/<hash of its
# flags>, so gcc, clang, sanitizers and ALLOC=libc coexist. See mk/config.mk for
# the variables.

all:

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

include mk/config.mk

# ---- the library -----------------------------------------------------------

LIB_SRCS := $(sort $(wildcard kernel-iface/*.c kernel-iface/base/*.c \
	kernel-iface/arch/$(ARCH)/*.c kernel-iface/arch/$(ARCH)/*.S \
	sched/*.c sync/*.c net/*.c net/*/*.c))
LIB_OBJS := $(LIB_SRCS:%=$(B)/obj/%.o)

REAL_SO := $(B)/libringgo.so.$(VERSION)
SONAME := libringgo.so.$(SOVERSION)
LIB_SO := $(B)/libringgo.so
LIB_A := $(B)/libringgo.a
LIB_O := $(B)/libringgo-internal.o

## all: build/libringgo.so and build/libringgo.a (the default)
all: libs
	@$(if $(LINK_DEFAULT),\
	for f in libringgo.so libringgo.a $(SONAME); do \
		ln -sfn $(HASH)/$$f $(O)/$$f; \
	done,echo "  built in $(B)")

libs: $(LIB_SO) $(LIB_A)

# Holds the flags and the list of objects; changes only when one of them does.
$(B)/config: FORCE
	@mkdir -p $(B)
	@printf '%s\n' $(call quote,$(CONFIG)) $(LIB_OBJS:$(B)/%=%) >$@.tmp.$$$$; \
	if cmp -s $@.tmp.$$$$ $@; then rm -f $@.tmp.$$$$; \
	else mv -f $@.tmp.$$$$ $@; fi

$(B)/obj/%.c.o: %.c | $(B)/config
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_CPPFLAGS) $(CPPFLAGS) $(CFLAGS) $(LIB_CFLAGS) \
		$(if $(filter net/%,$<),$(NET_SAN_FLAGS),$(RUNTIME_SAN_FLAGS)) \
		$(if $(filter kernel-iface/% sched/%,$<),$(SAN_LOW_FLAGS)) \
		$(WERROR_FLAGS) -MMD -MP -c -o $@ $<
	$(if $(SAN_LOW_FLAGS),$(if $(filter kernel-iface/% sched/%,$<),$(Q)$(OBJCOPY) \
		$(foreach f,memcpy memmove memset memcmp,\
		--redefine-sym $f=san_quiet_$f) $@))

$(B)/obj/%.S.o: %.S | $(B)/config
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_CPPFLAGS) $(CPPFLAGS) $(filter -g% -m%,$(CFLAGS)) \
		-fPIC -Wa,--noexecstack -MMD -MP -c -o $@ $<

$(REAL_SO): $(LIB_OBJS) libringgo.map $(B)/config
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=libringgo.map \
		-Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) $(COMMON_LDFLAGS) \
		$(CFLAGS) $(LDFLAGS) -o $@ $(LIB_OBJS) $(LIBS) $(LDLIBS)

$(LIB_SO): $(REAL_SO)
	@ln -sfn $(notdir $(REAL_SO)) $(B)/$(SONAME)
	@ln -sfn $(SONAME) $@

# All of the library as one relocatable object. As it is, the tests of internals
# link it; with its hidden symbols made local it is libringgo.a. Its code is in a
# section of its own (cold, hot, startup and per-function text, too), so that a
# signal handler can tell it from the program's: kernel-iface/textmap.h.
$(LIB_O): $(LIB_OBJS) $(B)/config
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -r $(LTO_FLAGS) -o $@ $(LIB_OBJS)
	$(Q)$(OBJCOPY) $$($(OBJDUMP) -h $@ | awk '$$2 ~ /^\.text/ \
		{ print "--rename-section " $$2 "=rgtext" }' | sort -u) $@

$(LIB_A): $(LIB_O)
	$(call say,AR,$@)
	@mkdir -p $(B)/static
	$(Q)$(OBJCOPY) --localize-hidden $(LIB_O) $(B)/static/libringgo.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(B)/static/libringgo.o

# ---- examples and benchmarks: programs of a user, on the shared library ----

EXAMPLES := $(patsubst %.c,$(B)/%,$(sort $(wildcard examples/*.c)))
# One that is several files, in a folder of its own.
KV_OBJS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard examples/kv/*.c)))
KV_SERVER := $(B)/examples/kv/kv_server
# One on a library that may not be there.
HIREDIS_OBJS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard examples/hiredis/*.c)))
REDIS_COUNTER := $(if $(shell pkg-config --exists hiredis 2>/dev/null && \
	echo yes),$(B)/examples/hiredis/redis_counter)
BENCH_SUPPORT_OBJS := $(patsubst %.c,$(B)/%.o, \
	$(sort $(wildcard benchmarks/support/*.c)))
BENCH_SUPPORT := $(B)/benchmarks/support.a
BENCHMARKS := $(patsubst %.c,$(B)/%,$(sort \
	$(wildcard benchmarks/micro/*.c benchmarks/net/*.c)))
BENCHMARKS += $(patsubst %.c,$(B)/%,$(sort $(wildcard benchmarks/internal/*.c)))
PROG_LDFLAGS = $(COMMON_LDFLAGS) $(CFLAGS) $(LDFLAGS) \
	-Wl,-rpath,$(ABS_B) -L$(B)

## examples: build the example programs and the demonstration service
examples: $(EXAMPLES) $(KV_SERVER) $(REDIS_COUNTER)
	@:

demo: all $(B)/examples/demo_service
	@:

# With plain -lringgo a program keeps its own malloc. These services want jemalloc
# for all of their memory, so they link it themselves.
$(B)/examples/demo_service $(KV_SERVER): EXTRA_LIBS = \
	$(if $(ALLOC_LIBS),-Wl$(comma)--no-as-needed $(ALLOC_LIBS))

## benchmarks: build the benchmark programs
benchmarks: $(BENCHMARKS)
	@:

.SECONDARY: $(EXAMPLES:%=%.o) $(KV_OBJS) $(HIREDIS_OBJS) \
	$(BENCHMARKS:%=%.o) $(BENCH_SUPPORT_OBJS)

$(B)/examples/%.o: examples/%.c | $(B)/config
	$(call say,CC,$<)
	$(compile_program)

$(B)/benchmarks/%.o: benchmarks/%.c | $(B)/config
	$(call say,CC,$<)
	$(compile_program)

define compile_program
@mkdir -p $(@D)
$(Q)$(CC) $(COMMON_CPPFLAGS) $(CPPFLAGS) $(CFLAGS) $(PROG_CFLAGS) \
	$(if $(filter tests/%,$<),,$(PROG_FRAME_LIMIT)) $(WERROR_FLAGS) \
	-MMD -MP -c -o $@ $<
endef

$(B)/examples/%: $(B)/examples/%.o $(LIB_SO)
	$(call say,LD,$@)
	$(Q)$(CC) $(PROG_LDFLAGS) -o $@ $< -lringgo $(EXTRA_LIBS) $(LDLIBS)

$(KV_SERVER): $(KV_OBJS) $(LIB_SO)
	$(call say,LD,$@)
	$(Q)$(CC) $(PROG_LDFLAGS) -o $@ $(KV_OBJS) -lringgo $(EXTRA_LIBS) \
		$(LDLIBS)

$(B)/examples/hiredis/redis_counter: $(HIREDIS_OBJS) $(LIB_SO)
	$(call say,LD,$@)
	$(Q)$(CC) $(PROG_LDFLAGS) -o $@ $(HIREDIS_OBJS) -lringgo -lhiredis $(LDLIBS)

$(BENCH_SUPPORT): $(BENCH_SUPPORT_OBJS) $(B)/config
	@rm -f $@
	$(Q)$(AR) rcs $@ $(BENCH_SUPPORT_OBJS)

$(B)/benchmarks/internal/%: $(B)/benchmarks/internal/%.o $(BENCH_SUPPORT) \
		$(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(COMMON_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
		$(BENCH_SUPPORT) $(LIB_O) $(LIBS) $(LDLIBS)

$(B)/benchmarks/%: $(B)/benchmarks/%.o $(BENCH_SUPPORT) $(LIB_SO)
	$(call say,LD,$@)
	$(Q)$(CC) $(PROG_LDFLAGS) -o $@ $< $(BENCH_SUPPORT) -lringgo $(LDLIBS)

# ---- tools for users: programs with the library's inside ----

DOCTOR := $(B)/tools/ringgo-doctor

$(B)/tools/%.o: tools/%.c | $(B)/config
	$(call say,CC,$<)
	$(compile_program)

$(DOCTOR).o: PROG_CFLAGS += -DDOCTOR_VERSION='"$(VERSION)"'

$(DOCTOR): $(DOCTOR).o $(LIB_O)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB_O) \
		$(LIBS) $(LDLIBS)

## doctor: what the library finds on this machine, and what to change
doctor: $(DOCTOR)
	@$(DOCTOR) || [ $$? = 1 ]

# They use the names defined above in rules, so they come after them.
include mk/install.mk
include mk/tests.mk
include mk/checks.mk

# ---- things to run ---------------------------------------------------------

PORT ?= 8080

# When make was started without -j, the nested calls use the machine's CPUs.
AGAIN = +@$(MAKE) --no-print-directory \
	$(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
SETUP = @CC='$(CC)' ALLOC='$(ALLOC)' SAN='$(SAN)' O='$(O)' tools/setup

## setup: find out what is missing to build, and install it
setup:
	$(SETUP) run

## run: set up, build and start the demonstration service (PORT=8080)
run:
	$(SETUP) run
	$(AGAIN) demo
	@PORT='$(PORT)' exec $(B)/examples/demo_service '$(PORT)'

## bench: build and run the benchmarks, print a table and JSON (BENCH='micro --quick')
bench:
	$(SETUP) run
	$(AGAIN) all benchmarks examples
	@RG_ROOT='$(CURDIR)' RG_BUILD='$(ABS_B)' CC='$(CC)' benchmarks/run $(BENCH)

## where: the folder of this configuration's products
where:
	@echo '$(ABS_B)'

## clean: remove what was built
clean:
	@for d in '$(O)'/*/; do \
		if [ -f "$$d/config" ] && [ ! -L "$${d%/}" ]; then rm -rf "$$d"; fi; \
	done
	@rm -f '$(O)'/libringgo.so '$(O)'/libringgo.a '$(O)'/$(SONAME) \
		'$(O)'/.setup-*
	@rmdir '$(O)' 2>/dev/null || :

## help: this list
help:
	@sed -n 's/^## \([a-z][a-z-]*\): \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'
	@echo '  Variables: V=1 O=dir CC=clang CFLAGS= SAN=address|undefined|thread'
	@echo '  ALLOC=jemalloc|libc WERROR=1 PREFIX= DESTDIR= LIBDIR= PORT='

FORCE:
.PHONY: all libs where examples demo benchmarks setup run bench clean help FORCE

-include $(LIB_OBJS:.o=.d) $(EXAMPLES:%=%.d) $(KV_OBJS:.o=.d) \
	$(HIREDIS_OBJS:.o=.d) $(BENCHMARKS:%=%.d) $(BENCH_SUPPORT_OBJS:.o=.d) $(TEST_DEPS)
