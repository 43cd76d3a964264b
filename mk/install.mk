# SPDX-License-Identifier: MIT
#
# install - what `make install` puts where, and how `make uninstall` takes
# exactly that away again. DESTDIR stages, PREFIX is what programs see.

DESTDIR ?=
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
INSTALL ?= install

PUBLIC_HEADERS := $(sort $(wildcard include/ringgo/*.h))
INSTALLED = $(INCLUDEDIR)/ringgo.h \
	$(PUBLIC_HEADERS:include/%=$(INCLUDEDIR)/%) \
	$(addprefix $(LIBDIR)/,libringgo.so.$(VERSION) $(SONAME) libringgo.so \
	libringgo.a) $(PKGCONFIGDIR)/ringgo.pc

# Paths below PREFIX are written relative to it, so that the tree can be moved
# (pkg-config --define-prefix).
pc_path = $(patsubst $(PREFIX)/%,$${prefix}/%,$1)
# jemalloc.pc does not say that libjemalloc.a needs -lm: both are named here.
PC_EDIT = -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	-e 's|@LIBDIR@|$(call pc_path,$(LIBDIR))|' \
	-e 's|@INCLUDEDIR@|$(call pc_path,$(INCLUDEDIR))|' \
	-e 's|@ALLOC_LIBS@|$(if $(ALLOC_LIBS), -ljemalloc -lm)|'

## install: copy library, headers and ringgo.pc (PREFIX, DESTDIR, LIBDIR)
install: libs
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)/ringgo' '$(DESTDIR)$(LIBDIR)' \
		'$(DESTDIR)$(PKGCONFIGDIR)'
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

.PHONY: install uninstall
