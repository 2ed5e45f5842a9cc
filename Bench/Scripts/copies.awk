# Reads the JSON of `foretoken measure --domain edit`; prints a table of one line.

# The number behind a key in some text.
function number(text, key) {
    return match(text, "\"" key "\":[-+.0-9eE]+") ? substr(text, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0
}

{
    domain = substr($0, index($0, "\"domain_speeds\":"))
    domain = substr(domain, 1, index(domain, "]"))
    count = split(substr($0, index($0, "\"speeds\":[")), parts, "{\"draft\":\"")
    for (i = count; i > 1; i--) {
        mode = substr(parts[i], 1, index(parts[i], "\"") - 1)
        rate[mode] = number(parts[i], "tokens_per_second")
        drafted[mode] = number(parts[i], "modules") + number(parts[i], "lookup")
        held[mode] = number(parts[i], "modules_held") + number(parts[i], "lookup_held")
    }
    if (!rate["off"] || !rate["auto"]) exit 1
    share = drafted["auto"] ? sprintf("%.0f %%", 100 * held["auto"] / drafted["auto"]) : "none"
    speed = substr(domain, index(domain, "\"auto\":"))
    printf "%s  %-14s %10s %10s %9s %10s   %s%s\n", bold, "", "off tok/s", "auto tok/s", "speed-up", "accepted", "copies gain at most", plain
    printf "%s  %-14s %10.0f %10.0f %8.2fx %10s   %.2fx%s\n", green, "edited files", rate["off"], rate["auto"], number(speed, "value"), share, number(domain, "copy_limit"), plain
}
