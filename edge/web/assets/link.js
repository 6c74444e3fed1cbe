// What the page was opened with. Importing this module takes the query out of the address bar and out of the history, before
// anything else happens; from then on it is kept here only, and gone when the page is.

const raw = location.search.slice(1);
// With the origin in front: alone, a path that begins with two slashes would name another host.
history.replaceState(null, "", location.origin + location.pathname);

/** The value of a query parameter, byte for byte: a plus sign stays one, since base64 has them. Null if absent or broken. */
export function parameter(name) {
    for (const pair of raw.split("&")) {
        const at = pair.indexOf("=");
        if (at > 0 && pair.slice(0, at) === name) {
            return decoded(pair.slice(at + 1));
        }
    }
    return null;
}

/** The same for text that a person reads: a plus sign stands for a space. */
export function text(name) {
    return parameter(name)?.replaceAll("+", " ") ?? null;
}

function decoded(value) {
    try {
        return decodeURIComponent(value);
    } catch {
        return null;
    }
}
