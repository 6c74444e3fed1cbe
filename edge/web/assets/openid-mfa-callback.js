// Back from the identity provider, to finish a login.

import { returned } from "./returned.js";
import { call } from "./api.js";
import { fail, show } from "./page.js";

finish();

async function finish() {
    show("finishing");
    try {
        await call("openid/callback/mfa", { ...returned(), type: "mfa" });
        show("done");
    } catch (problem) {
        show("failed");
        // A 503 means that nothing was done: the code is still good.
        fail(problem, problem.status === 503 ? finish : null);
    }
}
