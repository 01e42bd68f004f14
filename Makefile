# Everything here is thin: the work is in cargo and in tests/. Run as root on Debian 12 or later.

CARGO   ?= cargo
PREFIX  ?= /usr
DESTDIR ?=
DAEMONS := sipd pinholed chargingd smscd slpd billd shopd

.PHONY: all test netns fuzz demo bench install deb packages clean

all: packages
	$(CARGO) build --release --workspace --bins

# Most tests in network namespaces wait for timers of the protocols: more of them at once than there are cores.
test netns: export RUST_TEST_THREADS ?= 4

# What CI runs: style, lints, every test (the ones in network namespaces included), and a short run of
# each fuzz target.
test: packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace
	FUZZ_SECONDS=0 tests/fuzz/run

# Only the tests that run the real daemons in network namespaces.
netns: packages
	$(CARGO) build --workspace --bins
	$(CARGO) test --package tollwire-harness

# Each fuzz target for FUZZ_SECONDS (libFuzzer; needs no nightly toolchain).
fuzz: packages
	tests/fuzz/run

# Two phones and a prepaid balance for a few seconds; a message that is paid for; services that are found; a shop; an API between strangers.
demo: packages
	$(CARGO) build --workspace --bins
	$${CARGO_TARGET_DIR:-target}/debug/demo

# The same calls through Tollwire and Kamailio, the same messages through smscd and other SMSCs, slpd at every size.
bench: packages
	$(CARGO) build --release --workspace --bins
	$${CARGO_TARGET_DIR:-target}/release/bench

install: all
	install -d $(DESTDIR)$(PREFIX)/lib/tollwire $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/tollwire
	install -m 755 $(DAEMONS:%=target/release/%) $(DESTDIR)$(PREFIX)/lib/tollwire/
	install -m 755 target/release/tollctl $(DESTDIR)$(PREFIX)/bin/
	install -D -m 644 -t $(DESTDIR)/lib/systemd/system systemd/*.service systemd/*.target
	install -D -m 644 systemd/tollwire.sysusers $(DESTDIR)/usr/lib/sysusers.d/tollwire.conf
	install -D -m 644 systemd/tollwire.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/tollwire.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tollwire/slp-templates conf/slp-templates/*
	for file in conf/*.toml; do \
	  target=$(DESTDIR)/etc/tollwire/$${file#conf/}; \
	  [ -e $$target ] || install -m 640 $$file $$target; done

deb: packages
	tests/package-deb

packages:
	@tests/packages.sh

clean:
	$(CARGO) clean
