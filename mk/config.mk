# SPDX-License-Identifier: MIT
#
# config - what is built and with which flags; ends in $(B), the folder of this
# configuration. Nothing here depends on which sources exist.
#
#   O=dir       where everything goes (default build)
#   CC, CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS   the user's, ours are added
#   SAN=        address | undefined | thread | fuzzer, or empty
#   ALLOC=      jemalloc (default) | libc; sanitizers bring their own: libc
#   WERROR=1    warnings are errors (what `make test` and .ci/run use)
#   V=1         print the commands

# include/ringgo/base.h says it, RINGGO_VERSION_*.
VERSION := $(shell sed -n 's/^.define RINGGO_VERSION_[A-Z]* *//p' \
	include/ringgo/base.h | paste -sd.)
SOVERSION := 0

O ?= build
SAN ?=
ALLOC ?= jemalloc
WERROR ?=
V ?=
CFLAGS ?= -O2 -g
Q := $(if $(filter 1,$(V)),,@)
comma := ,
say = @$(if $(filter 1,$(V)),:,printf '  %-8s %s\n' '$1' '$(2:$(B)/%=%)')

ifeq ($(filter address undefined thread fuzzer,$(SAN)),)
ifneq ($(SAN),)
$(error SAN=$(SAN): must be address, undefined, thread, fuzzer or empty)
endif
endif
ifeq ($(filter jemalloc libc,$(ALLOC)),)
$(error ALLOC=$(ALLOC): must be jemalloc or libc)
endif

# gcc's thread sanitizer dies at 8,128 fibers, clang's does not; only clang has
# libFuzzer.
ifeq ($(origin CC),default)
CC := $(if $(filter thread fuzzer,$(SAN)),clang,gcc)
endif
CC_VERSION := $(shell $(CC) --version 2>/dev/null | head -n 1)
IS_CLANG := $(findstring clang,$(CC_VERSION))

MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null || uname -m)
MACHINE_CPU := $(firstword $(subst -, ,$(MACHINE)))
ARCH ?= $(patsubst arm64,aarch64,$(patsubst amd64,x86_64,$(MACHINE_CPU)))

ifneq ($(filter %-gcc,$(notdir $(firstword $(CC)))),)
CROSS := $(patsubst %gcc,%,$(firstword $(CC)))
endif
OBJCOPY ?= $(CROSS)objcopy
OBJDUMP ?= $(CROSS)objdump
ifeq ($(origin AR),default)
AR := $(CROSS)ar
endif

# ---- the allocator behind kernel-iface/alloc.h
ifneq ($(SAN),)
override ALLOC := libc
endif
ifeq ($(ALLOC),jemalloc)
ALLOC_DEFINES := -DRG_ALLOC_JEMALLOC=1
ALLOC_LIBS := -ljemalloc
else
ALLOC_DEFINES := -DRG_ALLOC_JEMALLOC=0
endif

# ---- sanitizers
SAN_address := -fsanitize=address
SAN_undefined := -fsanitize=undefined -fno-sanitize-recover=undefined
SAN_thread := -fsanitize=thread
SAN_fuzzer := -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=undefined
SAN_FLAGS := $(if $(SAN),$(SAN_$(SAN)))
# A switch of goroutines is a race in ThreadSanitizer's eyes: the layers that
# know of it are not instrumented, they announce their hand-overs
# (kernel-iface/base/sanitize.h). net is to them what a user's code is.
RUNTIME_SAN_FLAGS := $(if $(filter-out thread,$(SAN)),$(SAN_FLAGS))
NET_SAN_FLAGS := $(SAN_FLAGS)
# Its lower layers order nothing in the eyes of a program (base/sanitize.h, I1, I2).
SAN_LOW_FLAGS := $(if $(filter thread,$(SAN)),-DRTLOCK_ANNOUNCED=0)
SAN_DEFINES := $(if $(filter thread,$(SAN)),-DRG_TSAN=1)

# ---- warnings
WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wvla -Wcast-qual -Wpointer-arith \
	-Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wformat=2 -Wconversion -Wno-sign-conversion \
	-Wimplicit-fallthrough -Wnull-dereference -Wswitch-enum
ifeq ($(IS_CLANG),)
WARNINGS += -Wlogical-op -Wduplicated-cond -Wduplicated-branches \
	-Wjump-misses-init
endif
# Frames are small because stacks are; tests may be as large as they like.
# Instrumented code is bigger, and makes the compiler see null pointers where there
# are none.
FRAME_LIMIT := -Wframe-larger-than=2048
PROG_FRAME_LIMIT := -Wframe-larger-than=16384
ifneq ($(SAN),)
FRAME_LIMIT :=
PROG_FRAME_LIMIT :=
WARNINGS := $(filter-out -Wnull-dereference,$(WARNINGS))
endif
WERROR_FLAGS := $(if $(filter 1,$(WERROR)),-Werror)

# ---- code generation
# A frame larger than the guard pages would jump over them: the compiler probes
# each page. clang for aarch64 learned that only with version 18.
STACK_CLASH := -fstack-clash-protection
ifneq ($(IS_CLANG),)
ifeq ($(ARCH),aarch64)
STACK_CLASH :=
endif
endif
COMMON_CPPFLAGS := -D_GNU_SOURCE -I. -Iinclude $(ALLOC_DEFINES) $(SAN_DEFINES)
COMMON_CFLAGS := -std=gnu11 -pthread -fno-common -fno-omit-frame-pointer \
	$(STACK_CLASH) $(WARNINGS)
LIB_CFLAGS := $(COMMON_CFLAGS) $(FRAME_LIMIT) -fPIC -fvisibility=hidden \
	-ftls-model=initial-exec
PROG_CFLAGS := $(COMMON_CFLAGS) $(SAN_FLAGS)

# A lazily bound first call costs 3 KB of the stack it happens on, hence now.
COMMON_LDFLAGS := -pthread -Wl,-z,relro -Wl,-z,now $(SAN_FLAGS)
# With -flto among the user's flags gcc must still make machine code of libringgo.a.
LTO_FLAGS := $(if $(findstring -flto,$(CFLAGS)),$(CFLAGS) \
	$(if $(IS_CLANG),,-flinker-output=nolto-rel))
LIBS := -luring $(ALLOC_LIBS) -lpthread

# ---- the folder of this configuration
CONFIG := $(CC_VERSION) | $(CC) $(CPPFLAGS) $(CFLAGS) | $(LDFLAGS) $(LDLIBS) | \
	$(COMMON_CPPFLAGS) $(LIB_CFLAGS) $(PROG_CFLAGS) $(COMMON_LDFLAGS) | \
	$(RUNTIME_SAN_FLAGS) $(SAN_LOW_FLAGS) $(NET_SAN_FLAGS) | $(LIBS) | $(ARCH) $(VERSION)
quote = '$(subst ','\'',$1)'
HASH := $(shell printf '%s' $(call quote,$(CONFIG)) | cksum | \
	{ read -r sum rest; printf '%08x' "$$sum"; })
B := $(O)/$(HASH)
ABS_B := $(abspath $(B))

# Of the plain configuration (any CFLAGS) the libraries are also reachable as
# $(O)/libringgo.so and so on.
ifeq ($(SAN)$(ALLOC)$(notdir $(CC)),jemallocgcc)
LINK_DEFAULT := 1
endif
