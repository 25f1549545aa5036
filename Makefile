# There are two builds: `swift build` is the ordinary one, for tests, and `make build` is the release.
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
SECONDS ?= 60
EVENTS ?= 10000000
SEED ?= 1
STATIC = swift build -c release --traits Static --toolset build/toolset.json \
	--scratch-path .build-static --experimental-lto-mode full --explicit-target-dependency-import-check error
PYTEST = /usr/bin/python3 -m pytest -q -p no:cacheprovider --import-mode=importlib

.PHONY: all build test lint unit-build unit end-to-end differential image container fuzzer fuzz soak mutants bench demo vm machine life install clean

all: build

# The release is build/bin/apus. build/apus.debug is the same with symbols, for debuggers; gdb finds no line
# where there is the index .debug_names.
build: build/toolset.json
	$(STATIC) --product apus
	build/objcopy --remove-section=.debug_names .build-static/release/apus build/apus.debug
	build/objcopy --strip-all build/apus.debug build/apus
	Scripts/link-programs build/apus build/bin

build/toolset.json: Scripts/make-sysroot Scripts/install-packages
	Scripts/install-packages build
	Scripts/make-sysroot

# What mostly waits runs beside what mostly computes: the image for the container tests is built in the time that
# the differential tests leave, and fuzzing takes what the container tests leave, a minute for all formats, as does the
# life of a virtual machine after it.
test:
	Scripts/install-packages container
	Scripts/install-packages vm
	$(MAKE) -j 2 --output-sync=line build unit-build fuzzer
	$(MAKE) lint unit end-to-end
	$(MAKE) -j 2 --output-sync=line differential image
	$(MAKE) -j 2 --output-sync=line container fuzz life SECONDS=15

lint: build
	Scripts/install-packages test
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	Scripts/check-source
	mandoc -T lint -W warning man/*.[0-9]

unit-build:
	Scripts/install-packages build
	swift build --build-tests --explicit-target-dependency-import-check error

# The simulation takes the same schedules each time: `make soak` looks for new ones.
unit:
	Scripts/install-packages build
	APUS_SIMULATION_SEED=$(SEED) swift test --parallel --explicit-target-dependency-import-check error

end-to-end: build
	Scripts/install-packages test
	$(PYTEST) -n 4 Tests/EndToEnd

differential: build
	Scripts/install-packages test
	$(PYTEST) -n 4 Tests/Differential

# What the tests of containers and virtual machines start from, built ahead of them. The idle class leaves the
# processors to everybody else.
image: build
	Scripts/install-packages container
	Scripts/install-packages vm
	PYTHONPATH=Tests/Support chrt --idle 0 /usr/bin/python3 -B -c \
		'import containers; containers.podman_works() is True and containers.build_image()'
	PYTHONPATH=Tests/Support chrt --idle 0 /usr/bin/python3 -B -c 'import machines; machines.make_image()'

container: build
	Scripts/install-packages container
	$(PYTEST) Tests/Container

# One virtual machine from its first boot to its end, of all tests of machines the one that tells most.
life: build
	Scripts/install-packages vm
	$(PYTEST) Tests/VM/test_life.py

machine: build
	Scripts/install-packages vm
	$(PYTEST) -n 2 --dist loadgroup Tests/VM

fuzzer:
	Scripts/install-packages build
	FUZZ=1 swift build -c release --product fuzz --scratch-path .build-fuzz --sanitize=fuzzer \
		--sanitize=address -Xswiftc -enable-testing -Xswiftc -use-ld=lld

fuzz: build fuzzer
	Scripts/fuzz $(SECONDS)

# Ten million random events through the simulated system; EVENTS and APUS_SIMULATION_SEED may be given.
soak:
	Scripts/services-package build/services
	cd build/services && APUS_SIMULATION_EVENTS=$(EVENTS) swift test -c release -Xswiftc -enable-testing \
		--scratch-path .build-soak --filter SimulationTests

# Planted faults, each of which a test must catch.
mutants:
	Scripts/mutants $(ARGS)

bench: build
	Scripts/install-packages bench
	Benchmarks/run $(ARGS)

demo: build
	Scripts/install-packages demo
	Scripts/demo $(ARGS)

vm: build
	Scripts/install-packages vm
	Scripts/vm $(ARGS)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/doc/apus
	build/bin/apus --install $(ARGS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 LICENSE NOTICE LICENSES/* $(DESTDIR)$(PREFIX)/share/doc/apus
	for page in man/*.[0-9]; do \
		install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/ || exit; done

clean:
	rm -rf build .build .build-fuzz .build-static
