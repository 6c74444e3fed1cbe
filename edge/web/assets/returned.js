// What an identity provider sends a person back with.

import { parameter, text } from "./link.js";
import { Problem } from "./api.js";

/** Code and state as they came, or a Problem that says what the provider said. */
export function returned() {
    const [code, state] = [parameter("code"), parameter("state")];
    const error = text("error");
    if (error !== null) {
        const said = text("error_description") || error;
        throw new Problem(`The identity provider says: ${said.slice(0, 300)}`, 400, null);
    }
    if (code === null || state === null) {
        throw new Problem("This page is opened by your identity provider only.", 400, null);
    }
    return { code, state };
}
