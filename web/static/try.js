// Shows what a form would do while it is filled in: its own "try" button, pressed by itself. Works without this file.
(() => {
  const form = document.querySelector("form[data-try]");
  const button = form?.querySelector("button[data-tries]");
  const shown = form && document.getElementById(form.dataset.try);
  if (!button || !shown) return;
  let timer = 0, asked = 0, touched = false;
  const look = async () => {
    const mine = ++asked;
    const body = new URLSearchParams(new FormData(form, button));
    const answer = await fetch(button.formAction, { method: "POST", body }).catch(() => null);
    if (!answer?.ok || answer.redirected || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(shown.id);
    if (!fresh) return;
    shown.innerHTML = fresh.innerHTML;
    const said = document.getElementById("said");
    if (said && touched) said.textContent = shown.querySelector("header ~ *")?.textContent ?? "";
  };
  form.addEventListener("input", () => { touched = true; clearTimeout(timer); timer = setTimeout(look, 400); });
  if (shown.dataset.first !== undefined) look().finally(() => shown.removeAttribute("data-first"));
})();
