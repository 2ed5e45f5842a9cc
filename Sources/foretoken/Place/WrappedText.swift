import ForetokenReport

extension Terminal {
    /// Words in lines that fit the terminal, or 100 columns.
    func wrapped(_ text: String, _ style: Style? = nil) -> String {
        let width = isInteractive ? min(100, self.width) : 100
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.displayWidth + 1 + String(word).displayWidth <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines.map { line in (style.map { styled(line, $0) } ?? line) + "\n" }.joined()
    }
}
