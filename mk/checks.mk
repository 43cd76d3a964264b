# SPDX-License-Identifier: MIT
#
# checks - formatting, static analysis, rules of the house.

CODE_FOLDERS := include kernel-iface sched sync net tests examples benchmarks
CODE_FILES = $(shell find $(wildcard $(CODE_FOLDERS)) -name '*.[ch]' | sort)
# Versions of clang-format differ in what they produce; 14 is the house's.
CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14 clang-format))
CLANG_TIDY ?= $(firstword $(shell command -v clang-tidy-14 clang-tidy))
CPPCHECK ?= $(shell command -v cppcheck)

## format: rewrite all C files with clang-format
format:
	@$(or $(CLANG_FORMAT),echo clang-format is missing; false) -i $(CODE_FILES)

## format-check: complain about files that `make format` would change
format-check:
	@if [ -z '$(CLANG_FORMAT)' ]; then \
		echo 'format-check: no clang-format, skipped'; \
	elif ! $(CLANG_FORMAT) --version | grep -q 'version 14\.'; then \
		echo 'format-check: clang-format is not version 14, skipped'; \
	else \
		$(CLANG_FORMAT) --dry-run --Werror $(CODE_FILES); \
	fi

## lint: clang-tidy, gcc -fanalyzer and cppcheck, those that are there
lint: lint-tidy lint-analyzer lint-cppcheck

LINT_FLAGS = $(COMMON_CPPFLAGS) -std=gnu11

lint-tidy:
	@if [ -z '$(CLANG_TIDY)' ]; then echo 'lint: no clang-tidy, skipped'; \
	else $(CLANG_TIDY) --quiet $(filter %.c,$(LIB_SRCS)) -- $(LINT_FLAGS); fi

# The analyzer follows each path through the code: one file at a time, -O1.
lint-analyzer:
	@if [ -n '$(IS_CLANG)' ]; then echo 'lint: -fanalyzer needs gcc, skipped'; \
	else for f in $(filter %.c,$(LIB_SRCS)); do \
		$(CC) $(LINT_FLAGS) -O1 -fanalyzer -c -o /dev/null $$f || exit 1; \
	done; fi

lint-cppcheck:
	@if [ -z '$(CPPCHECK)' ]; then echo 'lint: no cppcheck, skipped'; \
	else $(CPPCHECK) --quiet --std=c11 --enable=warning,portability \
		--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
		-D__linux__ -D__$(ARCH)__ $(COMMON_CPPFLAGS) \
		$(filter %.c,$(LIB_SRCS)); fi

## check: the cheap checks: formatting, layers, memory barriers
check: format-check
	@tools/check-layers
	@tools/check-barriers

.PHONY: format format-check lint lint-tidy lint-analyzer lint-cppcheck check
