// Hands a token over to the client: by deep link, or by hand.

import { element, show } from "./page.js";

/** Shows how to use `token` at `url`. */
export function offer(url, token) {
    const link = `defguard://addinstance?token=${encodeURIComponent(token)}&url=${encodeURIComponent(url)}`;
    element("open").href = link;
    element("url").textContent = url;
    element("shown-token").textContent = token;
    element("command").textContent = `dg enroll -u ${quoted(url)} -t ${quoted(token)}`;
    for (const button of document.querySelectorAll("button.copy")) {
        button.addEventListener("click", () => copy(button, element(button.dataset.copies).textContent));
    }
    show("ready");
    element("open").focus();
}

async function copy(button, words) {
    try {
        await navigator.clipboard.writeText(words);
        button.textContent = "Copied";
    } catch {
        button.textContent = "Select it and copy";
    }
}

/** As a shell takes it for one word. */
function quoted(word) {
    return /^[\w.:/@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
