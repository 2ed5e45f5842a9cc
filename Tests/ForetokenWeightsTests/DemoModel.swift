import FoundationEssentials

/// The demo model's folder in the source tree.
enum DemoModel {
    static let directory: String = {
        // Tests/ForetokenWeightsTests/DemoModel.swift → the package's root.
        let components = #filePath.split(separator: "/").dropLast(3)
        return "/" + components.joined(separator: "/") + "/Sources/CForetokenDemo/model"
    }()

    static let isPresent = FileManager.default.fileExists(atPath: directory + "/config.json")
}
