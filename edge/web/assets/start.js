// The landing page: from a token to the client that uses it.

import { parameter } from "./link.js";
import { call, Problem } from "./api.js";
import { element, onPress, onSubmit, show } from "./page.js";
import { offer } from "./ready.js";
import { webAddress } from "./web-address.js";

const HERE = `${location.origin}/`;

const token = parameter("token");
if (token) {
    offer(HERE, token);
} else {
    show("ask");
}

onSubmit("token-form", async () => {
    const typed = element("token").value.trim();
    if (typed === "") {
        throw new Problem("Enter the token.", 0, null);
    }
    offer(HERE, typed);
});

onPress("sign-in", async () => {
    const { url } = await signIn();
    const address = webAddress(url);
    if (address === null) {
        throw new Problem("The address of the identity provider is not valid. Tell your administrator.", 0, null);
    }
    location.assign(address);
});

async function signIn() {
    try {
        return await call("openid/auth_info", { type: "enrollment", state: null });
    } catch (problem) {
        // No provider, or no licence for one.
        if (problem.status === 402 || problem.status === 404) {
            throw new Problem("Single sign-on is not set up here. Use the token from your administrator.", problem.status, null);
        }
        throw problem;
    }
}
