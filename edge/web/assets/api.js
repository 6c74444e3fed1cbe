// Calls to this Edge, and nowhere else.

/** A call that did not succeed: a sentence for a person, and the request's name for support. */
export class Problem extends Error {
    constructor(sentence, status, requestId) {
        super(sentence);
        this.status = status;
        this.requestId = requestId;
    }
}

/** Longer than the Edge ever takes. */
const PATIENCE_MS = 15000;

/** POSTs JSON; gives the answer's JSON, or throws a Problem. */
export async function call(path, body) {
    let response;
    try {
        response = await fetch(`/api/v1/${path}`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(body),
            redirect: "error",
            referrerPolicy: "no-referrer",
            signal: AbortSignal.timeout(PATIENCE_MS),
        });
    } catch {
        throw new Problem("The server could not be reached. Check your connection and try again.", 0, null);
    }
    const answer = await json(response);
    if (response.ok) {
        return answer;
    }
    throw new Problem(sentence(response.status, answer.error), response.status, answer.request_id ?? null);
}

async function json(response) {
    try {
        const answer = await response.json();
        return answer !== null && typeof answer === "object" ? answer : {};
    } catch {
        return {};
    }
}

function sentence(status, error) {
    if (status === 503) {
        return "The service is not available right now. Try again in a moment.";
    }
    if (status === 429) {
        return "Too many attempts. Wait a while and try again.";
    }
    return typeof error === "string" && error !== "" ? error : "The server gave no answer that this page understands.";
}
