// Addresses that came from elsewhere.

/** The address in full, if it is one of the web and names a host; else null. `javascript:`, `data:` and relative ones are not. */
export function webAddress(given) {
    if (typeof given !== "string" || !/^https?:\/\/[^/\\]/i.test(given)) {
        return null;
    }
    // The parser skips spaces and line breaks, and takes what stands before an `@` for a name.
    if (/[\u0000-\u0020\u007f\\]/.test(given)) {
        return null;
    }
    try {
        const url = new URL(given);
        const isPlain = url.username === "" && url.password === "";
        return isPlain && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
    } catch {
        return null;
    }
}
