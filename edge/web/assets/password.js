// Asks for a mail with a link to a new password.

import { call } from "./api.js";
import { element, onSubmit, show } from "./page.js";

onSubmit("request-form", async () => {
    await call("password-reset/request", { email: element("email").value.trim() });
    show("sent");
});
