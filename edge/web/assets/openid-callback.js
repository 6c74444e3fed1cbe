// Back from the identity provider, to enroll.

import { returned } from "./returned.js";
import { call, Problem } from "./api.js";
import { fail, show } from "./page.js";
import { offer } from "./ready.js";
import { webAddress } from "./web-address.js";

finish();

async function finish() {
    show("finishing");
    try {
        const { url, token } = await call("openid/callback", { ...returned(), type: "enrollment" });
        if (typeof token !== "string" || token === "") {
            throw new Problem("The server gave no token.", 0, null);
        }
        offer(webAddress(url) ?? `${location.origin}/`, token);
    } catch (problem) {
        show("failed");
        // A 503 means that nothing was done: the code is still good.
        fail(problem, problem.status === 503 ? finish : null);
    }
}
