# SPDX-License-Identifier: MIT
#
# install - what `make install` puts where, and how `make uninstall` takes
# exactly that away again. DESTDIR stages, PREFIX is what programs see.

DESTDIR ?=
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
INSTALL ?= install

PUBLIC_HEADERS := $(sort $(wildcard include/ringgo/*.h))
INSTALLED = $(BINDIR)/ringgo-doctor $(INCLUDEDIR)/ringgo.h \
	$(PUBLIC_HEADERS:include/%=$(INCLUDEDIR)/%) \
	$(addprefix $(LIBDIR)/,libringgo.so.$(VERSION) $(SONAME) libringgo.so \
	libringgo.a libringgo_race.so.$(VERSION) $(RACE_SONAME) \
	libringgo_race.so libringgo_race.a) \
	$(PKGCONFIGDIR)/ringgo.pc $(PKGCONFIGDIR)/ringgo-race.pc

# Paths below PREFIX are written relative to it, so that the tree can be moved
# (pkg-config --define-prefix).
pc_path = $(patsubst $(PREFIX)/%,$${prefix}/%,$1)
# jemalloc.pc does not say that libjemalloc.a needs -lm: both are named here.
PC_EDIT = -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	-e 's|@LIBDIR@|$(call pc_path,$(LIBDIR))|' \
	-e 's|@INCLUDEDIR@|$(call pc_path,$(INCLUDEDIR))|' \
	-e 's|@ALLOC_LIBS@|$(if $(ALLOC_LIBS), -ljemalloc -lm)|'

# ---- the library of the race detector: this one, built for ThreadSanitizer ----
# Normally a part of the install; RACE_CC has to be a clang that has the runtime of
# ThreadSanitizer and makes code for this machine. RACE=0 leaves it out.

RACE ?= 1
RACE_CC ?= clang
RACE_SONAME := libringgo_race.so.$(SOVERSION)
RACE_SO = $(B)/libringgo_race.so.$(VERSION)
RACE_A = $(B)/libringgo_race.a

# Empty when it can be built, else the reason.
RACE_LACKS = $(if $(filter 0,$(RACE)),RACE=0,$(if $(SAN),SAN=$(SAN),$(shell \
	if ! $(RACE_CC) --version 2>/dev/null | grep -q clang; then \
		echo 'no clang ($(RACE_CC))'; \
	elif ! $(RACE_CC) -dumpmachine | \
		sed 's/^arm64/aarch64/; s/^amd64/x86_64/' | grep -q '^$(ARCH)-'; then \
		echo '$(RACE_CC) makes no code for $(ARCH)'; \
	elif ! echo 'int main(void) { return 0; }' | \
		$(RACE_CC) -fsanitize=thread -x c -o /dev/null - 2>/dev/null; then \
		echo '$(RACE_CC) has no runtime of ThreadSanitizer'; \
	fi)))

$(RACE_SO): $(LIB_OBJS) libringgo.map $(B)/config
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(RACE_SONAME) \
		-Wl,--version-script=libringgo.map -Wl,-z,nodelete \
		$(COMMON_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(LIB_OBJS) $(LIBS) \
		$(LDLIBS)

$(RACE_A): $(LIB_A)
	$(Q)cp $(LIB_A) $@

install-race:
	$(if $(RACE_LACKS),@echo '  SKIPPED  libringgo_race: $(RACE_LACKS)',\
	+$(Q)$(MAKE) --no-print-directory SAN=thread CC='$(RACE_CC)' \
		install-race-files)

install-race-files: $(RACE_SO) $(RACE_A)
	$(Q)$(INSTALL) -d '$(DESTDIR)$(LIBDIR)' '$(DESTDIR)$(PKGCONFIGDIR)'
	$(Q)$(INSTALL) -m 755 $(RACE_SO) '$(DESTDIR)$(LIBDIR)'
	$(Q)ln -sfn $(notdir $(RACE_SO)) '$(DESTDIR)$(LIBDIR)/$(RACE_SONAME)'
	$(Q)ln -sfn $(RACE_SONAME) '$(DESTDIR)$(LIBDIR)/libringgo_race.so'
	$(Q)$(INSTALL) -m 644 $(RACE_A) '$(DESTDIR)$(LIBDIR)'
	$(Q)sed $(PC_EDIT) ringgo-race.pc.in \
		>'$(DESTDIR)$(PKGCONFIGDIR)/ringgo-race.pc'
	$(Q)chmod 644 '$(DESTDIR)$(PKGCONFIGDIR)/ringgo-race.pc'

## install: copy libraries, headers, .pc files, ringgo-doctor (PREFIX, DESTDIR, LIBDIR, RACE=0)
install: libs $(DOCTOR) install-race
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)/ringgo' '$(DESTDIR)$(LIBDIR)' \
		'$(DESTDIR)$(PKGCONFIGDIR)' '$(DESTDIR)$(BINDIR)'
	$(Q)$(INSTALL) -m 755 $(DOCTOR) '$(DESTDIR)$(BINDIR)'
	$(Q)$(INSTALL) -m 644 include/ringgo.h '$(DESTDIR)$(INCLUDEDIR)'
	$(Q)$(INSTALL) -m 644 $(PUBLIC_HEADERS) '$(DESTDIR)$(INCLUDEDIR)/ringgo'
	$(Q)$(INSTALL) -m 755 $(REAL_SO) '$(DESTDIR)$(LIBDIR)'
	$(Q)ln -sfn $(notdir $(REAL_SO)) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	$(Q)ln -sfn $(SONAME) '$(DESTDIR)$(LIBDIR)/libringgo.so'
	$(Q)$(INSTALL) -m 644 $(LIB_A) '$(DESTDIR)$(LIBDIR)'
	$(Q)sed $(PC_EDIT) ringgo.pc.in >'$(DESTDIR)$(PKGCONFIGDIR)/ringgo.pc'
	$(Q)chmod 644 '$(DESTDIR)$(PKGCONFIGDIR)/ringgo.pc'
	$(run_ldconfig)

## uninstall: remove what install copied (same variables)
uninstall:
	$(call say,REMOVE,$(DESTDIR)$(PREFIX))
	$(Q)rm -f $(foreach f,$(INSTALLED),'$(DESTDIR)$f')
	@rmdir '$(DESTDIR)$(INCLUDEDIR)/ringgo' 2>/dev/null || :
	$(run_ldconfig)

# A staged install leaves the loader's cache to whoever unpacks it.
run_ldconfig = @if [ -z '$(DESTDIR)' ] && [ -w /etc/ld.so.cache ]; then \
	ldconfig || :; fi

.PHONY: install install-race install-race-files uninstall
