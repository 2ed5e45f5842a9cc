import ForetokenSpeculation
enum OutputFile { static func write(_ b: [UInt8], to: String) throws {} }
struct MeasurePage { let m: Measurement; init(_ m: Measurement) { self.m = m }; var html: String { "" } }
