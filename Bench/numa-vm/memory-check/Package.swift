// swift-tools-version: 6.2
import PackageDescription

// The folders of the same names are the engine's own, so that this small program is built in seconds.
let package = Package(
    name: "memory-check",
    targets: [
        .systemLibrary(name: "CNUMA", pkgConfig: "numa"),
        .target(name: "CForetokenSystem", dependencies: ["CNUMA"], cSettings: [.define("_GNU_SOURCE")]),
        .target(name: "ForetokenJSON"),
        .target(name: "ForetokenHardware", dependencies: ["CForetokenSystem", "ForetokenJSON"]),
        .executableTarget(name: "memory-check", dependencies: ["ForetokenHardware"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
