/// How a `TokenPicture` looks. Text keeps a contrast of 4.5:1 with what it stands on in light and dark; each origin has a
/// line of its own as well as a colour. The picture brings its paper along, since a page may be dark where its reader's
/// system is light.
let tokenStyleSheet: StaticString = """

    text { font: 16px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
      fill: #1a1d21; text-rendering: geometricPrecision; white-space: pre; }
    .page { fill: #ffffff; stroke: #d9dde3; } .box { fill: #eef0f3; stroke: #bcc4ce; }
    .rule { stroke: #d9dde3; } .strong { font-weight: 700; } text.small { font-size: 13px; }
    text.soft, text.prompt { fill: #5a626d; }
    .mark { stroke-width: 1.5; stroke: #5a626d; } .mark.prediction { stroke-dasharray: 4 2; }
    .mark.wrong { stroke: #b3261e; stroke-width: 1.8; stroke-dasharray: 1.8 2.2; }
    .end { fill: none; stroke: #5a626d; stroke-width: 1.2; stroke-linejoin: round; opacity: 0.75; }
    text.module { fill: #005f43; } .mark.module, .end.module { stroke: #00825e; } .tint.module { fill: #cdeede; }
    text.lookup { fill: #00528a; } .mark.lookup, .end.lookup { stroke: #0072b2; } .tint.lookup { fill: #d0e5f8; }
    text.prediction { fill: #7a2b6e; } .mark.prediction, .end.prediction { stroke: #97408a; }
    .tint.prediction { fill: #f3ddef; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e8eaed; } .page { fill: #14171b; stroke: #363c45; } .box { fill: #22272e; stroke: #4d5661; }
      .rule { stroke: #363c45; } text.soft, text.prompt { fill: #a3abb6; }
      .mark, .end { stroke: #a3abb6; } .mark.wrong { stroke: #ff8a80; }
      text.module { fill: #7fe3c0; } .mark.module, .end.module { stroke: #2ec79a; } .tint.module { fill: #124434; }
      text.lookup { fill: #9ad4ff; } .mark.lookup, .end.lookup { stroke: #56b4f5; } .tint.lookup { fill: #123c5c; }
      text.prediction { fill: #f2b8e8; } .mark.prediction, .end.prediction { stroke: #e18fd3; }
      .tint.prediction { fill: #4d2747; } }

    """
