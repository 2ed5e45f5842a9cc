import ForetokenJSON
import ForetokenTemplate

/// One message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// Who speaks.
    public enum Role: String, Sendable, CaseIterable {
        /// Instructions that hold for the whole conversation.
        case system
        /// The same by the name that newer clients give it.
        case developer
        /// The person.
        case user
        /// The model.
        case assistant
        /// What a tool that the model called gave back.
        case tool
    }

    /// Who speaks.
    public var role: Role
    /// What is said, without any markers; nil where the model called tools and said nothing.
    public var content: String?
    /// What the model thought before it spoke.
    public var reasoning: String?
    /// Tools that the model called, each an object with a `function` that has a `name` and `arguments`.
    public var toolCalls: [JSONValue] = []
    /// The call that a tool answers.
    public var toolCallID: String?
    /// The speaker's or the tool's name.
    public var name: String?

    /// A message of `role`.
    public init(_ role: Role, _ content: String?) {
        self.role = role
        self.content = content
    }
}

/// A conversation for the model to answer, or to go on with where the last message is its own.
public struct ChatPrompt: Sendable, Equatable {
    /// In order.
    public var messages: [ChatMessage]
    /// Descriptions of the tools that the model may call.
    public var tools: [JSONValue] = []
    /// Whether the model is to think before it answers; nil leaves it to the checkpoint's chat format.
    public var thinking: Bool?
    /// What the format itself adds to the system message.
    var declaration: [TemplatePiece] = []

    /// A conversation.
    public init(_ messages: [ChatMessage], tools: [JSONValue] = [], thinking: Bool? = nil) {
        self.messages = messages
        self.tools = tools
        self.thinking = thinking
    }

    /// Whether the model goes on with its own last message instead of beginning one.
    public var continuesAnswer: Bool { messages.last?.role == .assistant }
}
