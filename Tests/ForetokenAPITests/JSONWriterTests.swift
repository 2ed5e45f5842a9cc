import ForetokenAPI
import ForetokenJSON
import Testing

@Suite struct JSONWriterTests {
    @Test func whatIsWrittenReadsBackTheSame() throws {
        let text = "a\"b\\c\n\r\t\u{0}\u{1F}\u{7F}/é\u{2028}😀"
        var writer = JSONWriter()
        writer.object { object in
            object.member(text, text)
            object.member("none", nil)
            object.member("number", -1.5e-7)
            object.member("whole", UInt64.max)
            object.member("infinite", Double.infinity)
            object.member("flag", true)
            object.member("list", [1, 2, 3])
            object.list("mixed") { list in
                list.object { _ in }
                list.list { _ in }
                list.null()
                list.value("x")
            }
            object.object("empty") { _ in }
        }
        let value = try JSONValue(writer.bytes)
        #expect(value.object?[text]?.string == text)
        #expect(value.object?["none"] == .null && value.object?["infinite"] == .null)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self).hasSuffix(
                "\"number\":-1.5e-07,\"whole\":18446744073709551615,\"infinite\":null,\"flag\":true,\"list\":[1,2,3],"
                    + "\"mixed\":[{},[],null,\"x\"],\"empty\":{}}"))
        #expect(writer.bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
    }
}
