// Sends a person who signs in to a location to the identity provider.

import { parameter } from "./link.js";
import { call, Problem } from "./api.js";
import { fail, show } from "./page.js";
import { webAddress } from "./web-address.js";

const token = parameter("token");
if (token) {
    leave();
} else {
    show("missing");
}

async function leave() {
    show("leaving");
    try {
        const { url } = await call("openid/auth_info", { type: "mfa", state: token });
        const address = webAddress(url);
        if (address === null) {
            throw new Problem("The address of the identity provider is not valid. Tell your administrator.", 0, null);
        }
        // In place of this page: it has nothing to come back to.
        location.replace(address);
    } catch (problem) {
        const isRefused = problem.status >= 400 && problem.status < 500 && problem.status !== 429;
        show(isRefused ? "missing" : "");
        fail(problem, isRefused ? null : leave);
    }
}
