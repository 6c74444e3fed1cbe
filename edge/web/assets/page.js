// What all pages do with their elements. Texts are set as text, never as markup.

export function element(id) {
    return document.getElementById(id);
}

/** Shows one section of the page, or none, and hides the others. */
export function show(id) {
    for (const section of document.querySelectorAll("main > section")) {
        section.hidden = section.id !== id;
    }
}

/** Says what went wrong; with `again`, offers to do that once more. */
export function fail(problem, again) {
    const lines = [paragraph(sentence(problem))];
    if (problem.requestId) {
        lines.push(paragraph(`Reference for support: ${problem.requestId}`));
    }
    if (again) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = "Try again";
        button.addEventListener("click", () => {
            clear();
            again();
        });
        lines.push(button);
    }
    element("problem").replaceChildren(...lines);
    element("problem").focus();
}

export function clear() {
    element("problem").replaceChildren();
}

/** Runs `act` when the form is sent; meanwhile, its buttons are off. */
export function onSubmit(id, act) {
    const form = element(id);
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        run([...form.querySelectorAll("button")], act);
    });
}

/** Runs `act` when the button is pressed; meanwhile, it is off. */
export function onPress(id, act) {
    const button = element(id);
    button.addEventListener("click", () => run([button], act));
}

async function run(buttons, act) {
    clear();
    buttons.forEach((button) => (button.disabled = true));
    try {
        await act();
    } catch (problem) {
        fail(problem);
    } finally {
        buttons.forEach((button) => (button.disabled = false));
    }
}

function paragraph(words) {
    const line = document.createElement("p");
    line.textContent = words;
    return line;
}

/** `token expired` becomes `Token expired`. */
function sentence(problem) {
    const words = problem.message || "Something went wrong on this page.";
    return words[0].toUpperCase() + words.slice(1);
}
