/// How a report looks. Series colours keep a contrast of 3:1 with the page in light and dark, and stay apart for readers
/// with any of the common colour deficiencies; markers and dashes tell series apart as well. Print is always light.
let styleSheet: StaticString = """

    :root { color-scheme: light dark; --page: #ffffff; --panel: #f5f6f8; --ink: #1a1d21; --soft: #5a626d; --rule: #d9dde3;
      --good: #0b7a4b; --bad: #b3261e; --open: #8a5a00; --good-tint: #e9f6ef; --bad-tint: #fcedeb; --open-tint: #fdf4e0;
      --shade: rgb(26 29 33 / 0.3);
      --s0: #0072b2; --s1: #c4500a; --s2: #00825e; --s3: #97408a; --s4: #8a6d00; --s5: #3d86c6; --s6: #b8336a; --s7: #5f6b78; }
    @media screen and (prefers-color-scheme: dark) { :root { --page: #14171b; --panel: #1d2127; --ink: #e8eaed;
      --soft: #a3abb6; --rule: #363c45; --good: #4cc38a; --bad: #ff8a80; --open: #f0b849; --good-tint: #15291f;
      --bad-tint: #33191a; --open-tint: #2e2512; --shade: rgb(232 234 237 / 0.34);
      --s0: #56b4f5; --s1: #ff8a4a; --s2: #2ec79a; --s3: #e18fd3; --s4: #d9b92f;
      --s5: #8fcbff; --s6: #ff7fa9; --s7: #aab4c0; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5; overflow-wrap: break-word;
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
    main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
    h1 { font-size: 22px; line-height: 1.25; margin: 32px 0 2px; }
    h2 { font-size: 20px; line-height: 1.3; margin: 52px 0 8px; padding-top: 14px; border-top: 1px solid var(--rule); }
    h3 { font-size: 15px; margin: 0; }
    p { margin: 8px 0; max-width: 76ch; text-wrap: pretty; }
    .subtitle, footer, figcaption p { color: var(--soft); }
    .subtitle { margin: 0 0 18px; }
    code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; background: var(--panel);
      border-radius: 4px; padding: 1px 5px; }
    .word { white-space: nowrap; } .tiles code { background: none; padding: 0; }
    .banner { border: 1px solid var(--tone); border-left-width: 8px; border-radius: 8px; padding: 16px 24px;
      background: var(--tint); }
    .banner.good { --tone: var(--good); --tint: var(--good-tint); }
    .banner.bad { --tone: var(--bad); --tint: var(--bad-tint); }
    .banner.open { --tone: var(--open); --tint: var(--open-tint); }
    .headline { font-size: 29px; font-weight: 700; line-height: 1.22; margin: 0 0 8px; max-width: 44ch;
      text-wrap: balance; }
    .flag code { font-size: 18px; font-weight: 600; background: var(--page); border: 1px solid var(--rule);
      padding: 3px 10px; }
    .notice { border-left: 4px solid var(--open); background: var(--open-tint); padding: 10px 16px; border-radius: 4px;
      max-width: none; }
    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; margin: 16px 0 0; }
    .tiles > div { background: var(--panel); border-radius: 8px; padding: 14px 16px; max-width: 320px; }
    .tiles dt { font-size: 14px; color: var(--soft); }
    .tiles dd { margin: 0; font-size: 14px; color: var(--soft); }
    .tiles .figure { font-size: 27px; line-height: 1.3; font-weight: 650; color: var(--ink);
      font-variant-numeric: tabular-nums; }
    .row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 20px 40px;
      align-items: start; margin: 16px 0; }
    .row > * { min-width: 0; } .row > .wide { grid-column: 1 / -1; }
    figure { margin: 0; }
    figcaption p { margin: 2px 0 0; font-size: 14px; }
    .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 0; padding: 0;
      font-size: 14px; }
    .legend li { display: flex; align-items: center; gap: 7px; min-width: 0; overflow-wrap: anywhere; }
    .swatch { flex: none; overflow: visible; }
    .plot { display: block; width: 100%; max-width: 560px; height: auto; margin-top: 8px; overflow: visible; }
    .plot.broad { max-width: 1072px; }
    .plot text { font-size: 13px; fill: var(--soft); }
    .plot .axis { font-size: 12.5px; }
    .plot .label, .plot .value { font-variant-numeric: tabular-nums; }
    .plot .value { paint-order: stroke; stroke: var(--page); stroke-width: 3px; fill: var(--ink); font-size: 12px; font-weight: 600; }
    .middle { text-anchor: middle; } .end { text-anchor: end; }
    .grid { stroke: var(--rule); } .base { stroke: var(--soft); }
    .reference { stroke: var(--ink); stroke-width: 1.4; stroke-dasharray: 5 4; }
    .dotted { stroke-dasharray: 1.5 3.5; }
    .line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
    .mark { fill: var(--c); stroke: var(--page); stroke-width: 1; }
    .interval { fill: none; stroke: var(--c); stroke-width: 1.3; }
    .bar { fill: var(--c); stroke: var(--c); stroke-width: 1.5; }
    .bar.outline { fill: var(--soft); fill-opacity: 0.12; stroke: var(--soft); stroke-dasharray: 4 2; }
    .cell { fill: var(--s0); }
    .s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
    .s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); } .s7 { --c: var(--s7); }
    .sum, .ink { --c: var(--ink); } .line.sum { stroke-width: 2.8; }
    /* What scrolls sideways has a shadow on the side where there is more. */
    .table { overflow-x: auto; margin: 0; container-type: inline-size; background-repeat: no-repeat;
      background-image: linear-gradient(to right, var(--page) 14px, transparent),
        linear-gradient(to left, var(--page) 14px, transparent), linear-gradient(to right, var(--shade), transparent),
        linear-gradient(to left, var(--shade), transparent);
      background-position: left, right, left, right; background-size: 20px 100%, 20px 100%, 14px 100%, 14px 100%;
      background-attachment: local, local, scroll, scroll; }
    table { border-collapse: collapse; font-size: 14.5px; line-height: 1.35; min-width: 100%; }
    caption { text-align: left; font-size: 15px; font-weight: 700; padding-bottom: 6px; }
    caption span:not(.word) { display: block; position: sticky; left: 0; max-width: 100cqw; }
    th, td { padding: 6px 0 6px 18px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
    th:first-child { padding-left: 0; min-width: 7ch; max-width: 30ch; } tbody th.long { overflow-wrap: anywhere; }
    thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
    tbody th { font-weight: 400; }
    td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
    td.number { white-space: nowrap; }
    td small, tbody th small { display: block; color: var(--soft); font-size: 12.5px; }
    tr.strong > * { font-weight: 700; } tr.strong small { font-weight: 400; }
    .terms { display: grid; gap: 8px 28px; margin: 12px 0; } section > h3 { font-size: 16px; margin-top: 28px; }
    .terms > div { display: grid; grid-template-columns: minmax(9ch, 13em) 1fr; gap: 0 20px; }
    .terms dt { font-weight: 600; } .terms dd { margin: 0; max-width: 76ch; overflow-wrap: anywhere; }
    footer { color: var(--soft); font-size: 14px; padding-top: 28px; padding-bottom: 40px; }
    @media (max-width: 560px) {
      main, footer { padding-left: 16px; padding-right: 16px; }
      h1 { margin-top: 20px; } .headline { font-size: 23px; } .banner { padding: 12px 16px; }
      .tiles { grid-template-columns: 1fr 1fr; } .tiles > div { padding: 10px 12px; } .tiles .figure { font-size: 22px; }
      .plot text, .plot .axis { font-size: 15px; } .plot .value { font-size: 13px; }
      .terms > div { grid-template-columns: 1fr; } th, td { padding-left: 10px; } }
    @media print {
      @page { margin: 14mm; }
      body { font-size: 10.5pt; } main, footer { max-width: none; padding: 0; } h1 { margin-top: 0; }
      * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
      h2, h3, caption, thead, section > p { break-after: avoid; } section > p { break-inside: avoid; } h2 { margin-top: 26px; }
      figure, tr, .table, .banner, .tiles > div, .terms > div, .notice { break-inside: avoid; }
      .row { grid-template-columns: 1fr 1fr; gap: 14px 24px; }
      .table { overflow: visible; background: none; container-type: normal; } caption span:not(.word) { max-width: none; }
      table { font-size: 7.8pt; } th, td { padding: 2px 0 2px 7px; } td small { font-size: 6.8pt; }
      caption, h3 { font-size: 9.5pt; } figcaption p, .legend { font-size: 8.5pt; } thead { display: table-header-group; }
      .tiles { grid-template-columns: repeat(4, 1fr); } .tiles .figure { font-size: 17pt; } }

    """
