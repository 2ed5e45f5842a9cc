// swift-tools-version: 6.2
import PackageDescription

/// CI sets FORETOKEN_STRICT, so that a newer compiler's new warning never breaks a user's build.
let strict = Context.environment["FORETOKEN_STRICT"] != nil

let swift: [SwiftSetting] =
    [.enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility")]
    + (strict ? [.treatAllWarnings(as: .error)] : [])

func c(_ extra: [CSetting] = []) -> [CSetting] {
    [.define("_GNU_SOURCE")] + extra + (strict ? [.treatAllWarnings(as: .error)] : [])
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")

/// The pkg-config name of the MPI that the plugin for several hosts is built with: Debian's choice (`mpi-c`) unless told, as
/// `ompi-c` or `mpich`. Without any, the plugin only says what to install.
let mpi = Context.environment["FORETOKEN_MPI"] ?? "mpi-c"

/// Rooms that other packages may depend on.
let libraries = [
    "ForetokenText", "ForetokenLaboratory", "ForetokenSpeculation", "ForetokenModel", "ForetokenTokenizer",
    "ForetokenTemplate", "ForetokenGrammar", "ForetokenWeights", "ForetokenPlacement", "ForetokenHardware",
    "ForetokenJSON",
]

let package = Package(
    name: "Foretoken",
    products: [
        .executable(name: "foretoken", targets: ["foretoken"]),
        .library(name: "foretoken-mpi", type: .dynamic, targets: ["CForetokenMPI"]),
    ]
        + libraries.map { .library(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CNUMA", pkgConfig: "numa", providers: [.apt(["libnuma-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CMPI", pkgConfig: mpi, providers: [.apt(["libopenmpi-dev"])]),

        // Flags of its own would keep other packages from depending on this one. Debug builds leave the kernels slow;
        // `swift test -Xcc -O2` does not.
        .target(name: "CForetokenKernels", dependencies: ["COpenBLAS"], cSettings: c([.headerSearchPath("bodies")])),
        .target(name: "CForetokenSystem", dependencies: ["CNUMA"], cSettings: c()),
        .target(name: "CForetokenDemo", exclude: ["model", "suite.jsonl"], cSettings: c()),
        .target(name: "CForetokenPage", cSettings: c()),
        .target(name: "CForetokenHosts", cSettings: c()),
        // Loaded by the program when a launcher has started it, never linked.
        .target(name: "CForetokenMPI", dependencies: ["CMPI", "CForetokenHosts"], cSettings: c()),

        .target(name: "ForetokenJSON", swiftSettings: swift),
        .target(name: "ForetokenGrammar", dependencies: ["ForetokenJSON"], swiftSettings: swift),
        .target(
            name: "ForetokenHardware", dependencies: ["ForetokenJSON", "CForetokenSystem"], swiftSettings: swift),
        .target(
            name: "ForetokenPlacement", dependencies: ["ForetokenJSON"], exclude: ["README.md"], swiftSettings: swift),
        .target(name: "ForetokenReport", swiftSettings: swift),
        .target(
            name: "ForetokenLoad",
            dependencies: [
                "ForetokenJSON", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: swift),
        .target(name: "ForetokenTemplate", swiftSettings: swift),
        .target(
            name: "ForetokenWeights",
            dependencies: [
                "CForetokenKernels", "CForetokenDemo", "ForetokenHardware", "ForetokenPlacement", "ForetokenJSON",
            ],
            swiftSettings: swift),
        .target(
            name: "ForetokenTokenizer", dependencies: ["ForetokenTemplate", "ForetokenJSON", heap],
            swiftSettings: swift),
        .target(
            name: "ForetokenModel",
            dependencies: ["ForetokenWeights", "ForetokenPlacement", "ForetokenHardware", "CForetokenKernels"],
            swiftSettings: swift),
        .target(
            name: "ForetokenCluster", dependencies: ["ForetokenModel", "ForetokenHardware", "CForetokenHosts"],
            exclude: ["README.md"], swiftSettings: swift),
        .target(
            name: "ForetokenSpeculation",
            dependencies: [
                "ForetokenModel", "ForetokenWeights", "ForetokenPlacement", "ForetokenHardware", "CForetokenKernels",
            ],
            exclude: ["README.md"], swiftSettings: swift),
        .target(
            name: "ForetokenLaboratory",
            dependencies: [
                "ForetokenSpeculation", "ForetokenModel", "ForetokenWeights", "ForetokenPlacement",
                "ForetokenHardware", "CForetokenKernels",
            ],
            swiftSettings: swift),
        .target(
            name: "ForetokenText",
            dependencies: [
                "ForetokenSpeculation", "ForetokenModel", "ForetokenWeights", "ForetokenTokenizer",
                "ForetokenGrammar", "ForetokenPlacement", "ForetokenHardware", "ForetokenJSON",
            ],
            swiftSettings: swift),
        .target(
            name: "ForetokenAPI",
            dependencies: [
                "ForetokenText", "ForetokenSpeculation", "ForetokenWeights", "ForetokenTokenizer", "ForetokenGrammar",
                "ForetokenJSON",
            ],
            swiftSettings: swift),
        .target(
            name: "ForetokenServer",
            dependencies: [
                "ForetokenAPI", "ForetokenText", "ForetokenSpeculation", "ForetokenModel", "ForetokenHardware",
                "CForetokenPage",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            exclude: ["README.md", "page", "openapi.json"], swiftSettings: swift),
        .executableTarget(
            name: "foretoken",
            dependencies: [
                "ForetokenServer", "ForetokenAPI", "ForetokenText", "ForetokenLaboratory", "ForetokenSpeculation",
                "ForetokenCluster", "ForetokenModel", "ForetokenWeights", "ForetokenTokenizer", "ForetokenPlacement",
                "ForetokenHardware", "ForetokenLoad", "ForetokenReport", "ForetokenJSON", argumentParser,
            ],
            exclude: ["README.md"], swiftSettings: swift),

        .target(
            name: "ForetokenTestSupport",
            dependencies: ["ForetokenModel", "ForetokenWeights", "ForetokenPlacement", "ForetokenHardware"],
            path: "Tests/ForetokenTestSupport",
            swiftSettings: swift),
        .executableTarget(
            name: "template-probe", dependencies: ["ForetokenTokenizer", "ForetokenTemplate", "ForetokenJSON"],
            path: "Tests/TemplateProbe",
            swiftSettings: swift),
        .executableTarget(
            name: "split-probe", dependencies: ["ForetokenTokenizer", "ForetokenJSON"], path: "Tests/SplitProbe",
            swiftSettings: swift),
        .executableTarget(
            name: "hosts-probe", dependencies: ["ForetokenCluster", "ForetokenModel", "ForetokenHardware"],
            path: "Tests/HostsProbe",
            swiftSettings: swift),
        .executableTarget(
            name: "foretoken-fuzz",
            dependencies: [
                "ForetokenWeights", "ForetokenTokenizer", "ForetokenTemplate", "ForetokenJSON", "ForetokenPlacement",
                "ForetokenGrammar", "ForetokenHardware", "ForetokenTestSupport",
            ],
            path: "Tests/Fuzz/Driver", swiftSettings: swift),
        .target(name: "CForetokenAllocationProbe", path: "Tests/CForetokenAllocationProbe", cSettings: c()),
        .target(
            name: "CForetokenEmulatedKernels", dependencies: ["CForetokenKernels"],
            path: "Tests/CForetokenEmulatedKernels",
            cSettings: c([
                .headerSearchPath("../../Sources/CForetokenKernels"),
                .headerSearchPath("../../Sources/CForetokenKernels/bodies"),
            ])),
        .testTarget(
            name: "CForetokenKernelsTests",
            dependencies: ["CForetokenKernels", "CForetokenEmulatedKernels", "ForetokenTestSupport"],
            swiftSettings: swift),
        .testTarget(name: "ForetokenTemplateTests", dependencies: ["ForetokenTemplate"], swiftSettings: swift),
        .testTarget(name: "ForetokenJSONTests", dependencies: ["ForetokenJSON"], swiftSettings: swift),
        .testTarget(
            name: "ForetokenGrammarTests",
            dependencies: [
                "ForetokenGrammar", "ForetokenTokenizer", "ForetokenJSON", "ForetokenTestSupport",
                "CForetokenAllocationProbe",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenHardwareTests", dependencies: ["ForetokenHardware", "CForetokenSystem"],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "ForetokenPlacementTests", dependencies: ["ForetokenPlacement", "ForetokenTestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenWeightsTests",
            dependencies: ["ForetokenWeights", "ForetokenHardware", "ForetokenTestSupport", "CForetokenKernels"],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenTokenizerTests",
            dependencies: ["ForetokenTokenizer", "ForetokenTemplate", "ForetokenJSON", "ForetokenTestSupport"],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "ForetokenModelTests",
            dependencies: ["ForetokenModel", "ForetokenPlacement", "ForetokenTestSupport"],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "ForetokenClusterTests", dependencies: ["ForetokenCluster"], swiftSettings: swift),
        .testTarget(
            name: "ForetokenSpeculationTests",
            dependencies: [
                "ForetokenSpeculation", "ForetokenPlacement", "ForetokenTestSupport", "CForetokenAllocationProbe",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenLoadTests",
            dependencies: [
                "ForetokenLoad", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenLaboratoryTests",
            dependencies: [
                "ForetokenLaboratory", "ForetokenSpeculation", "ForetokenPlacement", "ForetokenTokenizer",
                "ForetokenTestSupport", "CForetokenKernels",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenTextTests",
            dependencies: [
                "ForetokenText", "ForetokenSpeculation", "ForetokenTokenizer", "ForetokenWeights",
                "ForetokenPlacement", "ForetokenHardware", "ForetokenTestSupport",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenAPITests",
            dependencies: [
                "ForetokenAPI", "ForetokenText", "ForetokenSpeculation", "ForetokenTokenizer", "ForetokenJSON",
                "CForetokenAllocationProbe",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ForetokenServerTests",
            dependencies: [
                "ForetokenServer", "ForetokenAPI", "ForetokenText", "ForetokenSpeculation", "ForetokenModel",
                "ForetokenTokenizer", "ForetokenWeights", "ForetokenJSON",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "foretoken", "foretoken-fuzz", "ForetokenPlacement", "ForetokenReport", "ForetokenSpeculation",
                "ForetokenTestSupport", "ForetokenText",
            ],
            swiftSettings: swift),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
