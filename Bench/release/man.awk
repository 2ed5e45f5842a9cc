# Makes a man page from what `foretoken help COMMAND` prints.
#     awk -v command='foretoken generate' -v version=0.1.0 -v date=2026-01-31 -v others='foretoken chat,…' -f man.awk

function quoted(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    # A line that begins so would be an order to the formatter.
    return (text ~ /^[.']/ ? "\\&" : "") text
}

# A word in <brackets> stands for what a user writes.
function term(text) {
    text = quoted(text)
    gsub(/<[^<>]*>/, "\\fI&\\fB", text)
    return "\\fB" text "\\fP"
}

function page(name) {
    gsub(/ /, "-", name)
    return name
}

function begin(usage,    i, name) {
    name = page(command)
    printf ".TH \"%s\" 1 \"%s\" \"foretoken %s\" \"User Commands\"\n", toupper(name), date, quoted(version)
    print ".SH NAME\n" quoted(name) " \\- " quoted(paragraphs[1])
    print ".SH SYNOPSIS\n" term(usage)
    print ".SH DESCRIPTION"
    for (i = 1; i <= count; i++) print (i > 1 ? ".PP\n" : "") quoted(paragraphs[i])
}

/^OVERVIEW: / { part = "overview"; count = 1; sub(/^OVERVIEW: /, "") }
/^USAGE: / { part = "items"; sub(/^USAGE: /, ""); begin($0); next }

part == "overview" && /^$/ { if (paragraphs[count] != "") count++; next }
part == "overview" { paragraphs[count] = paragraphs[count] (paragraphs[count] == "" ? "" : " ") $0; next }

/^$/ || /^  See '/ { next }
/^[A-Z][A-Z -]*:$/ { sub(/:$/, ""); print ".SH " quoted($0); next }
# What an option means begins in column 27, or on the next line where the option itself is too long.
/^  [^ ]/ {
    short = length($0) > 26 && substr($0, 26, 2) ~ /^ [^ <]/
    name = short ? substr($0, 3, 23) : substr($0, 3)
    sub(/ +$/, "", name)
    print ".TP\n" term(name)
    if (short) print quoted(substr($0, 27))
    next
}
/^ / { sub(/^ +/, ""); print quoted($0); next }
{ print "man.awk: this line of the help of " command " is not understood: " $0 >"/dev/stderr"; failed = 1; exit 1 }

END {
    if (failed || part != "items") exit 1
    print ".SH SEE ALSO"
    n = split(others, names, ",")
    for (i = 1; i <= n; i++)
        if (names[i] != command) list = list (list == "" ? "" : ",\n") ".BR " quoted(page(names[i])) " (1)"
    # The comma belongs to the name before it.
    gsub(/ \(1\),/, " (1),", list)
    print list
}
