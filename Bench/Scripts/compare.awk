# Reads the JSON lines of `foretoken generate --input-file` from files named off.N and auto.N; prints a table.

# The value behind a key, up to the given closing character.
function value(key, end,    start, rest) {
    start = index($0, "\"" key "\":")
    if (!start) return ""
    rest = substr($0, start + length(key) + 3)
    return substr(rest, 1, match(rest, end) - 1)
}

function median(list, count,    i, j, swap) {
    for (i = 2; i <= count; i++)
        for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
            swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap
        }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}

function row(name, off, auto, acceptance, same) {
    printf "  %-14s %10.0f %10.0f %8.2fx %10s   %s\n", name, off, auto, auto / off, acceptance, same
}

FNR == 1 {
    part = split(FILENAME, path, "/")
    split(path[part], name, ".")
    mode = name[1]
    run = name[2] + 0
    if (run > runs) runs = run
}

{
    id = value("id", ",")
    gsub(/"/, "", id)
    if (!(id in seen)) { seen[id] = 1; ids[++count] = id }
    speed[mode, id, run] = value("predicted_per_second", "[,}]") + 0
    time[mode, run] += value("predicted_ms", "[,}]")
    made[mode, run] += value("predicted_n", "[,}]") - 1
    drafted[id] += value("draft_n", "[,}]")
    accepted[id] += value("draft_n_accepted", "[,}]")
    tokens = value("tokens", "]")
    if (!(id in first)) first[id] = tokens
    if (tokens != first[id] || tokens == "") differs[id] = 1
}

END {
    printf "%s  %-14s %10s %10s %9s %10s   %s%s\n", bold, "prompt", "off tok/s", "auto tok/s", "speed-up", "accepted", "same tokens", plain
    for (i = 1; i <= count; i++) {
        id = ids[i]
        for (run = 1; run <= runs; run++) { off[run] = speed["off", id, run]; auto[run] = speed["auto", id, run] }
        share = drafted[id] ? sprintf("%.0f %%", 100 * accepted[id] / drafted[id]) : "none"
        row(id, median(off, runs), median(auto, runs), share, id in differs ? "NO" : "yes")
        allDrafted += drafted[id]
        allAccepted += accepted[id]
        if (id in differs) wrong = 1
    }
    for (run = 1; run <= runs; run++) {
        off[run] = 1000 * made["off", run] / time["off", run]
        auto[run] = 1000 * made["auto", run] / time["auto", run]
    }
    share = allDrafted ? sprintf("%.0f %%", 100 * allAccepted / allDrafted) : "none"
    printf "%s", green
    row("all together", median(off, runs), median(auto, runs), share, wrong ? "NO" : "yes")
    printf "%s", plain
    exit wrong
}
