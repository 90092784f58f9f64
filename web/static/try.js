// Shows what a form would do while it is filled in: its own "try" button, pressed by itself. Works without this file.
// A form with data-steps answers in parts, and may take long: it begins when the button is pressed, then goes on by itself.
(() => {
  const form = document.querySelector("form[data-try]");
  const button = form?.querySelector("button[data-tries]");
  const shown = form && document.getElementById(form.dataset.try);
  if (!button || !shown) return;
  const steps = form.dataset.steps !== undefined;
  const said = document.getElementById("said");
  let timer = 0, asked = 0, touched = false, begun = false;
  const ask = async (pressed, mine) => {
    const body = new URLSearchParams(new FormData(form, pressed));
    const answer = await fetch(pressed.formAction, { method: "POST", body }).catch(() => null);
    const text = answer?.ok && !answer.redirected ? await answer.text().catch(() => null) : null;
    if (text === null || mine !== asked) return null; // the form changed while the answer came
    return new DOMParser().parseFromString(text, "text/html").getElementById(shown.id);
  };
  const look = async (byHand = false) => {
    const mine = ++asked;
    shown.setAttribute("aria-busy", "true");
    let fresh = await ask(button, mine);
    if (!fresh && mine === asked && byHand) form.requestSubmit(button); // the server's own page says why
    const rows = [];
    while (fresh) {
      rows.push(...(fresh.querySelector("[data-rows]")?.children ?? []));
      fresh.querySelector("[data-rows]")?.replaceChildren(...rows);
      shown.innerHTML = fresh.innerHTML;
      const more = shown.querySelector("button[data-more]");
      if (!more) break;
      more.hidden = true;
      fresh = await ask(more, mine);
    }
    if (mine !== asked) return;
    shown.removeAttribute("aria-busy");
    if (said && touched) said.textContent = shown.querySelector("header ~ *")?.textContent ?? "";
  };
  form.addEventListener("input", () => {
    touched = true;
    clearTimeout(timer);
    if (!steps || begun) timer = setTimeout(() => look(), steps ? 1000 : 400);
  });
  if (steps) button.addEventListener("click", (event) => { event.preventDefault(); begun = touched = true; look(true); });
  if (shown.dataset.first !== undefined) look().finally(() => shown.removeAttribute("data-first"));
})();
