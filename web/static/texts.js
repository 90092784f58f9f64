// Shows a text as a customer would read it while it is written. Trying and keeping work without this file.
(() => {
  const form = document.querySelector("form[data-try]");
  const field = form?.querySelector("textarea");
  const tried = document.getElementById("tried");
  if (!field || !tried) return;
  let timer = 0, asked = 0;
  const look = async () => {
    const mine = ++asked;
    const body = new FormData(form);
    body.set("do", "try");
    const answer = await fetch(location.pathname, { method: "POST", body: new URLSearchParams(body) }).catch(() => null);
    if (!answer?.ok || answer.redirected || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("tried");
    if (fresh) tried.innerHTML = fresh.innerHTML;
  };
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 400); });
})();
