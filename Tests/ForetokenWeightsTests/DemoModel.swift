import ForetokenWeights

/// The demo model's folder in the source tree.
enum DemoModel {
    static let directory: String = {
        // Tests/ForetokenWeightsTests/DemoModel.swift → the package's root.
        let components = #filePath.split(separator: "/").dropLast(3)
        return "/" + components.joined(separator: "/") + "/Sources/CForetokenDemo/model"
    }()
}
