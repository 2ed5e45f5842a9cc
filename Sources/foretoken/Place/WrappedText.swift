import ForetokenReport

extension Terminal {
    /// Lines that fit the terminal, or 100 columns.
    func wrapped(_ text: String, _ style: Style? = nil) -> String {
        let width = isInteractive ? min(100, self.width) : 100
        return Terminal(isInteractive: true, usesColor: usesColor, width: width).prose(text, style)
    }
}
