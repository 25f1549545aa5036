// swift-tools-version: 6.2
import PackageDescription

// One language subset, two builds: the ordinary one for tests and sanitizers, and, with the trait
// `Static`, Embedded Swift against musl, which is what is released. `make build` prepares
// build/sysroot and passes the toolset; see Scripts/make-sysroot.
let release: BuildSettingCondition = .when(traits: ["Static"])
let sysrootLibraries = "\(Context.packageDirectory)/build/sysroot/lib"

// Foundation and CLinux must see one libc: what CLinux asks of its headers holds for every module.
let oneLibc: SwiftSetting = .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"])

let swiftSettings: [SwiftSetting] = [
    oneLibc,
    .enableExperimentalFeature("Embedded", release),
    .unsafeFlags(["-wmo", "-Osize"], release),
    // The optimizer makes constant arrays static data, numbered within their function. A function that
    // several modules emit may be numbered differently in each, and the linker, which keeps one by
    // name, then gives it another's array.
    .unsafeFlags(["-Xllvm", "-sil-disable-pass=object-outliner"], release),
    .enableExperimentalFeature("Extern"),
    .treatAllWarnings(as: .error),
]

let cSettings: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]

// The linker optimizes the whole program (`--experimental-lto-mode full` in the Makefile).
let staticLink: [String] = [
    "-Xclang-linker", "-static", "-Xclang-linker", "-nostdlib",
    "-Xclang-linker", "-Wno-unused-command-line-argument",
    "-Xlinker", "\(sysrootLibraries)/crt1.o", "-Xlinker", "\(sysrootLibraries)/crti.o",
    "-Xlinker", "-L\(sysrootLibraries)",
    "-Xlinker", "-lswiftUnicodeDataTables", "-Xlinker", "-lcap", "-Xlinker", "-lseccomp",
    "-Xlinker", "-ljansson",
    "-Xlinker", "\(sysrootLibraries)/libc.a", "-Xlinker", "\(sysrootLibraries)/crtn.o",
    "-Xlinker", "--gc-sections", "-Xlinker", "--icf=all", "-Xlinker", "-O2",
    "-use-ld=lld",
    // release.ld drops .eh_frame, which debuggers would read.
    "-Xlinker", "-mllvm", "-Xlinker", "-force-dwarf-frame-section",
    "-Xlinker", "-T", "-Xlinker", "\(Context.packageDirectory)/Sources/apus/release.ld",
    "-Xlinker", "--no-eh-frame-hdr", "-Xlinker", "--build-id=none",
    "-Xlinker", "-z", "-Xlinker", "norelro",
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests",
        swiftSettings: [oneLibc])
}

let package = Package(
    name: "apus",
    traits: [.trait(name: "Static", description: "The release: Embedded Swift against musl.")],
    targets: [
        .target(name: "CLinux", cSettings: cSettings),
        .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(
            name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
        library("Bytes", []),
        library("Formats", ["Bytes"]),
        library("Services", ["Bytes", "Formats"]),
        library("Linux", ["Bytes", "CLinux"]),
        library("Commands", ["Bytes", "Linux"]),
        library("ServiceFiles", ["Bytes", "Commands", "Formats", "Linux", "Services"]),
        library(
            "Supervision",
            ["Bytes", "Commands", "Formats", "Linux", "ServiceFiles", "Services"]),
        library("Logging", ["Bytes", "Commands", "Formats", "Linux"]),
        library("Networking", ["Bytes", "Commands", "Formats", "Linux"]),
        library(
            "Confinement",
            ["Bytes", "Commands", "Formats", "Linux", "CCap", "CJansson", "CSeccomp"]),
        library(
            "Init",
            ["Bytes", "Commands", "Formats", "Linux", "ServiceFiles", "Services", "Supervision"]),
        library(
            "Programs",
            [
                "Bytes", "Commands", "Confinement", "Formats", "Init", "Linux", "Logging",
                "Networking", "ServiceFiles", "Services", "Supervision",
            ]),
        .executableTarget(
            name: "apus", dependencies: ["Programs"], exclude: ["release.ld"],
            cSettings: cSettings,
            linkerSettings: [
                .unsafeFlags(
                    ["-enable-experimental-feature", "Embedded", "-wmo"] + staticLink, release)
            ]),
        tests("Bytes", ["Bytes"]),
        tests("Linux", ["Bytes", "CLinux", "Linux"]),
        tests("Commands", ["Bytes", "Commands", "Linux"]),
        tests("Formats", ["Bytes", "Formats"]),
        tests("Services", ["Bytes", "Formats", "Services"]),
        tests(
            "ServiceFiles", ["Bytes", "Commands", "Formats", "Linux", "ServiceFiles", "Services"]),
        tests(
            "Supervision", ["Bytes", "Commands", "Supervision", "Formats", "Linux", "Services"]),
        tests("Logging", ["Bytes", "Commands", "Logging", "Formats", "Linux"]),
        tests("Networking", ["Bytes", "Commands", "Networking", "Formats", "Linux"]),
        tests("Confinement", ["Bytes", "Commands", "Confinement", "CSeccomp", "Linux"]),
        tests("Init", ["Bytes", "Init", "Linux", "Services"]),
        tests("Simulation", ["Bytes", "Formats", "Services"]),
    ],
    swiftLanguageModes: [.v6]
)

// For `make fuzz`: what libFuzzer's main calls.
if Context.environment["FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "Bytes", "Commands", "Confinement", "Formats", "Linux", "Logging", "Networking",
                "Services",
            ],
            path: "Tests/Fuzz", exclude: ["seeds"],
            swiftSettings: [oneLibc, .unsafeFlags(["-parse-as-library"])]))
}
