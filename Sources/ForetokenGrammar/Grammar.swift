import ForetokenJSON

/// A language of JSON texts: any object, or the values that fit a JSON Schema. Each of its texts is JSON that fits the schema; it
/// does not have every such text, since a model needs only one way to write each value:
///
/// - Between two marks at most one blank may stand, or a line break and up to 80 blanks or tabs, also before the value; nothing
///   may follow it.
/// - Objects and lists lie at most 64 levels inside each other; what could not be ended within them is not begun, as far as no
///   later text decides which alternative of several it is.
/// - Members come in the order of `properties`; those that `required` alone names come next, others last. A key may have any
///   spelling only where the schema names none. Keys that it does not name may repeat.
/// - Values of `const` and `enum`, members of objects among them, are written as the schema has them. Texts that a keyword
///   constrains have one spelling: what must be escaped is, as `\"`, `\\`, `\n`, `\r` and `\t`, and nothing else.
///
/// What it takes of JSON Schema, everything else being refused with its place:
///
/// | | |
/// |:--|:--|
/// | any | `true`, `false`, `type` (one or a list), `enum`, `const`, `anyOf`, `allOf` of one schema, `$ref` into the same document (recursive too); `oneOf` whose schemas obviously exclude each other: by type, by values, or by a required property whose values do |
/// | objects | `properties`, `required`, `additionalProperties` (true unless given, but see `init(schema:isStrict:)`) |
/// | lists | `items`, `prefixItems`, `minItems`, `maxItems` (up to 4,096), `uniqueItems: false` |
/// | strings | `minLength`, `maxLength` (some 3,600 characters in all bounds together); or `pattern`; or `format`: date, time, date-time, uuid, ipv4 |
/// | numbers | no bounds |
/// | passed over | `title`, `description`, `default`, `examples`, `deprecated`, `readOnly`, `writeOnly`, `discriminator`, `$comment`, `$schema`, `$id` of the whole, `$defs` and `definitions` that nothing refers to |
///
/// Without `type`, `enum` and the like, keywords decide: a schema with `properties` is an object, one with none of the above is
/// any value. `$ref`, `anyOf`, `oneOf` and `allOf` stand alone in a schema, `enum` and `const` beside `type` at most. A pattern
/// is one of ECMAScript with the Unicode flag, of characters, classes, groups, `|` and quantifiers (counts up to 4,096), found
/// anywhere in the text but for `^` at the beginning and `$` at the end of one of its outermost alternatives.
public struct Grammar: Sendable {
    let automaton: Automaton

    /// How many states its automaton has.
    public var stateCount: Int { automaton.stateCount }

    /// Any JSON object.
    public static func jsonObject() throws(GrammarError) -> Grammar {
        var net = Net()
        let values = try FreeValues(in: &net)
        return Grammar(automaton: try Determiniser.automaton(of: net, values: [values.object]))
    }

    private init(automaton: Automaton) { self.automaton = automaton }

    /// The values that fit a schema.
    /// - Parameter isStrict: whether an object whose `properties` are given has no others unless `additionalProperties` says so.
    /// - Throws: `GrammarError` for what is not taken, for a schema that no value fits, and for one that is too large.
    public init(schema: JSONValue, isStrict: Bool) throws(GrammarError) {
        try self.init(schemas: [(schema, isStrict)])
    }

    /// The values that fit several schemas, at least one; a text is one of a schema that is known when it begins, see
    /// `GrammarCursor`. They share what they have in common, and the bounds on a schema's size are those of all together.
    /// - Parameter suffix: what each value is followed by, and without which it is not complete; it takes one of the levels.
    /// - Throws: as for one schema.
    public init(schemas: [(schema: JSONValue, isStrict: Bool)], suffix: String = "") throws(GrammarError) {
        var net = Net()
        let free = try FreeValues(in: &net)
        var values: [Int32] = []
        for (index, one) in schemas.enumerated() {
            do throws(GrammarError) {
                var reader = try SchemaReader(one.schema, isStrict: one.isStrict, free, &net)
                let value = try reader.read()
                swap(&net, &reader.net)
                net.path = "#"
                values.append(suffix.isEmpty ? value : try net.add(value, suffix: suffix.utf8))
            } catch {
                var error = error
                error.schema = index
                throw error
            }
        }
        automaton = try Determiniser.automaton(of: net, values: values)
    }
}
