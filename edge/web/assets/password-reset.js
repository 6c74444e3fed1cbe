// Chooses a new password, with the token of a mail.

import { parameter } from "./link.js";
import { call, Problem } from "./api.js";
import { element, fail, onSubmit, show } from "./page.js";

const token = parameter("token");
if (token) {
    open();
} else {
    show("missing");
}

async function open() {
    show("opening");
    try {
        const { deadline_timestamp: deadline } = await call("password-reset/start", { token });
        if (Number.isFinite(deadline)) {
            element("until").textContent = `The link is good until ${new Date(deadline * 1000).toLocaleTimeString()}.`;
        }
        show("choose");
        element("password").focus();
    } catch (problem) {
        const isRefused = problem.status >= 400 && problem.status < 500 && problem.status !== 429;
        show(isRefused ? "missing" : "");
        fail(problem, isRefused ? null : open);
    }
}

onSubmit("reset-form", async () => {
    const password = element("password").value;
    if (password !== element("repeated").value) {
        throw new Problem("The two passwords are not the same.", 0, null);
    }
    await call("password-reset/reset", { password });
    element("reset-form").reset();
    show("done");
});

element("shown").addEventListener("change", (event) => {
    const type = event.target.checked ? "text" : "password";
    element("password").type = type;
    element("repeated").type = type;
});
