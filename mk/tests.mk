# SPDX-License-Identifier: MIT
#
# tests - how test programs are built and run.
#
#   tests/<layer>/test_*.c   a cmocka program each, linked to all of the library
#                            as plain objects: internal symbols are reachable
#   tests/api/test_*.c       black box: public headers, the shared library
#   tests/stress/seed_*.c    as <layer>: each under 20 seeds, STRESS_SEEDS of them
#                            with `make stress`
#   tests/stress/stress_*.c  as <layer>, long; only `make stress` runs them: tools/stress
#   tests/race/*.c           users' programs for the race detector: tests/race.sh
#   tests/fuzz/fuzz_*.c      libFuzzer targets; only `make fuzz` runs them
#   tests/lincheck/test_*.c  as <layer>: recorded runs of channels are checked
#   tests/support/*.c        an archive linked to every test, with tests/lincheck's
#   tests/*.sh               shell tests: exit 0 passed, 77 skipped, else failed
#
# A line "RG-LDFLAGS: -Wl,--wrap=mmap" in a comment of a test adds link flags.
# Every test finds in its environment RG_ROOT (the repository), RG_BUILD (the
# folder of this configuration: libraries, examples/, benchmarks/), RG_SAN,
# RG_ALLOC and what `make` needs to mean the same configuration again.

TEST_LAYERS := kernel-iface sched sync net
INTERNAL_TESTS := $(sort $(foreach l,$(TEST_LAYERS), \
	$(wildcard tests/$l/test_*.c tests/$l/*/test_*.c)))
INTERNAL_TESTS += $(sort $(wildcard tests/lincheck/test_*.c))
SEED_TESTS := $(sort $(wildcard tests/stress/seed_*.c))
INTERNAL_TESTS += $(SEED_TESTS)
API_TESTS := $(sort $(wildcard tests/api/test_*.c))
SHELL_TESTS := $(sort $(wildcard tests/*.sh tests/*/*.sh)) \
	tools/check-layers tools/check-barriers
STRESS_TESTS := $(sort $(wildcard tests/stress/stress_*.c))
FUZZ_TARGETS := $(sort $(wildcard tests/fuzz/fuzz_*.c))

TEST_PROGS := $(patsubst %.c,$(B)/%,$(INTERNAL_TESTS) $(API_TESTS))
SEED_PROGS := $(patsubst %.c,$(B)/%,$(SEED_TESTS))
STRESS_PROGS := $(patsubst %.c,$(B)/%,$(STRESS_TESTS))
FUZZ_PROGS := $(patsubst %.c,$(B)/%,$(FUZZ_TARGETS))
SUPPORT_OBJS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/support/*.c \
	tests/lincheck/lin*.c tests/stress/seedrun.c)))
SUPPORT_A := $(B)/tests/support.a
TEST_DEPS := $(TEST_PROGS:%=%.d) $(STRESS_PROGS:%=%.d) $(FUZZ_PROGS:%=%.d) \
	$(SUPPORT_OBJS:.o=.d)

.SECONDARY: $(TEST_PROGS:%=%.o) $(STRESS_PROGS:%=%.o) $(FUZZ_PROGS:%=%.o) \
	$(SUPPORT_OBJS)

$(B)/tests/%.o: tests/%.c | $(B)/config
	$(call say,CC,$<)
	$(compile_program)

$(SUPPORT_A): $(SUPPORT_OBJS) $(B)/config
	@rm -f $@
	$(Q)$(AR) rcs $@ $(SUPPORT_OBJS)

test_ldflags = $(shell sed -n 's/.*RG-LDFLAGS: *//p' $(1:$(B)/%=%.c))

$(B)/tests/api/%: $(B)/tests/api/%.o $(SUPPORT_A) $(LIB_SO)
	$(call say,LD,$@)
	$(Q)$(CC) $(PROG_LDFLAGS) -o $@ $< $(SUPPORT_A) -lringgo \
		$(call test_ldflags,$@) -lcmocka $(LDLIBS)

$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(COMMON_LDFLAGS) -fsanitize=fuzzer $(CFLAGS) $(LDFLAGS) \
		-o $@ $< $(LIB_O) $(LIBS) $(LDLIBS)

$(B)/tests/%: $(B)/tests/%.o $(SUPPORT_A) $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(CC) $(COMMON_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(SUPPORT_A) \
		$(LIB_O) $(call test_ldflags,$@) -lcmocka $(LIBS) $(LDLIBS)

# ---- running them ----------------------------------------------------------

# Under a sanitizer everything takes several times as long.
TEST_TIMEOUT := $(if $(SAN),240,60)
TEST_ENV = $(if $(RINGGO_ENGINE),RINGGO_ENGINE='$(RINGGO_ENGINE)') \
	$(if $(RINGGO_URING),RINGGO_URING='$(RINGGO_URING)') \
	RG_ROOT='$(CURDIR)' RG_BUILD='$(ABS_B)' RG_SAN='$(SAN)' \
	RG_ALLOC='$(ALLOC)' O='$(O)' CC='$(CC)' ALLOC='$(ALLOC)' SAN='$(SAN)' \
	CFLAGS=$(call quote,$(CFLAGS)) CPPFLAGS=$(call quote,$(CPPFLAGS)) \
	LDFLAGS=$(call quote,$(LDFLAGS)) LDLIBS=$(call quote,$(LDLIBS)) \
	RG_TEST_TIMEOUT="$${RG_TEST_TIMEOUT:-$(TEST_TIMEOUT)}" \
	ASAN_OPTIONS="$${ASAN_OPTIONS:-detect_stack_use_after_return=0}" \
	UBSAN_OPTIONS="$${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}" \
	TSAN_OPTIONS="$${TSAN_OPTIONS:-halt_on_error=1:suppressions=$(CURDIR)/tools/tsan.supp}"
RUN_TESTS = $(TEST_ENV) tools/run-tests --logs '$(B)/test-logs'

# Of `make stress`: see tools/stress.
STRESS_MINUTES ?= 10
STRESS_SEEDS ?= 1000
STRESS_PREEMPTIONS ?= 100000
PARTS ?=
PREEMPTION_TESTS := $(addprefix $(B)/tests/kernel-iface/,test_preempt \
	test_safepoint) tests/preemptflags/preemptflags.sh
FUZZ_SECONDS ?= 60
TESTS ?=

## test: set up, build everything, run the whole suite (TESTS=word picks some)
test:
	$(SETUP) test
	$(AGAIN) WERROR=$(or $(WERROR),1) run-suite

## test-fast: the same without the shell tests
test-fast:
	$(SETUP) test
	$(AGAIN) WERROR=$(or $(WERROR),1) run-suite-fast

PICKED = $(if $(TESTS),$(foreach t,$1,$(if $(strip \
	$(foreach w,$(TESTS),$(findstring $w,$t))),$t)),$1)

# What touches descriptors, or how threads sleep, once more on the engine without
# io_uring; and what a kernel of 6.1 lacks once more without it. All the rest on
# epoll: `make test-epoll`.
EPOLL := RINGGO_ENGINE=epoll
LINUX_61 := RINGGO_URING=off:futex,waitid,ftruncate,guard
ON_EPOLL = $(filter $(B)/tests/net/% $(B)/tests/api/% $(B)/tests/sched/% \
	%/kernel-iface/test_ring %/kernel-iface/test_fault,$(TEST_PROGS))
ON_LINUX_61 = $(addprefix $(B)/tests/,kernel-iface/test_stack \
	net/test_fileops net/test_waitid net/test_command net/test_cmdcancel \
	net/test_faults \
	net/test_cmdstreams)
AGAIN_WITH = $(if $(RINGGO_ENGINE)$(RINGGO_URING),, \
	--with '$(EPOLL)' $(call PICKED,$(ON_EPOLL)) \
	--with '$(LINUX_61)' $(call PICKED,$(ON_LINUX_61)))

run-suite: all examples benchmarks $(DOCTOR) $(TEST_PROGS)
	@$(RUN_TESTS) $(call PICKED,$(TEST_PROGS) $(SHELL_TESTS)) $(AGAIN_WITH)

run-suite-fast: all $(TEST_PROGS)
	@RG_TEST_FAST=1 $(RUN_TESTS) $(call PICKED,$(TEST_PROGS)) $(AGAIN_WITH)

## test-epoll: the whole suite on the engine without io_uring (TESTS=word)
test-epoll:
	$(AGAIN) RINGGO_ENGINE=epoll test

## test-61: the whole suite with what Linux 6.1 has of io_uring (TESTS=word)
test-61:
	$(AGAIN) $(LINUX_61) test

test-programs: $(TEST_PROGS)

## stress: the long runs, in STRESS_MINUTES=10 (PARTS='seeds repeat', STRESS_SEEDS=1000)
stress:
	$(SETUP) test
	$(AGAIN) run-stress

FAULT_PROGS := $(addprefix $(B)/tests/net/,test_faults)

run-stress: all $(TEST_PROGS) $(STRESS_PROGS)
	@export STRESS_PROGS_seeds='$(call PICKED,$(SEED_PROGS))' \
		STRESS_PROGS_preempt='$(call PICKED,$(PREEMPTION_TESTS))' \
		STRESS_PROGS_faults='$(call PICKED,$(FAULT_PROGS))' \
		STRESS_PROGS_models='$(call PICKED,tests/model.sh)' \
		STRESS_PROGS_histories='$(call PICKED,$(STRESS_PROGS))' \
		STRESS_PROGS_repeat='$(call PICKED,$(filter-out \
			$(SEED_PROGS) $(PREEMPTION_TESTS),$(TEST_PROGS)))' \
		STRESS_MINUTES='$(STRESS_MINUTES)' STRESS_SEEDS='$(STRESS_SEEDS)' \
		STRESS_PREEMPTIONS='$(STRESS_PREEMPTIONS)' \
		STRESS_LOGS='$(B)/test-logs'; \
	$(TEST_ENV) tools/stress $(PARTS)

## model: search the models of tests/model in full (MODELS=park)
model:
	@RG_ROOT='$(CURDIR)' RG_MODEL_FULL=1 tests/model.sh $(MODELS)

## asan: build and run the suite under AddressSanitizer
asan:
	$(AGAIN) SAN=address WERROR=0 test

## ubsan: build and run the suite under UndefinedBehaviorSanitizer
ubsan:
	$(AGAIN) SAN=undefined WERROR=0 test

## tsan: build and run the suite under ThreadSanitizer (clang)
tsan:
	$(AGAIN) SAN=thread WERROR=0 test

## race: the race detector of users' programs, case by case (RACE_CC=clang)
.PHONY: race
race:
	@RG_ROOT='$(CURDIR)' O='$(O)' RACE_CC='$(RACE_CC)' tests/race.sh

## fuzz: run each fuzz target for FUZZ_SECONDS=60 (clang)
fuzz:
	$(AGAIN) SAN=fuzzer run-fuzz

run-fuzz:
	$(SETUP) run
	$(AGAIN) $(FUZZ_PROGS)
	@[ -n '$(FUZZ_PROGS)' ] || { echo 'no fuzz target: tests/fuzz/fuzz_*.c'; \
		exit 1; }
	@for p in $(FUZZ_PROGS); do \
		name=$${p##*/}; seeds=tests/fuzz/corpus/$${name#fuzz_}; \
		mkdir -p $(B)/corpus/$$name; echo "  FUZZ     $$name"; \
		$$p -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-print_final_stats=1 -artifact_prefix=$(B)/$$name- \
			$(B)/corpus/$$name $$([ -d $$seeds ] && echo $$seeds) || \
			exit 1; \
	done

.PHONY: test test-fast test-epoll test-61 run-suite run-suite-fast test-programs stress \
	run-stress model asan ubsan tsan fuzz run-fuzz
