import ForetokenPlacement
import Testing

@Suite struct FNV1aTests {
    @Test func hashesAreThePublishedOnes() {
        // Test vectors of FNV-1a 64: "", "a", "foobar".
        #expect(FNV1a().digits == "cbf29ce484222325")
        for (text, digits) in [("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8")] {
            var hash = FNV1a()
            Array(text.utf8).withUnsafeBytes { hash.add($0) }
            #expect(hash.digits == digits)
        }
    }
}
