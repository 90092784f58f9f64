// Keeps what follows the ledger current without a reload, and ties the slider to its number field.
// Reading and approving work without this file.
(() => {
  const parts = [...document.querySelectorAll("[data-live]")];
  const shown = new Map();
  const busy = (part) =>
    part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  const touched = (part) =>
    [...part.querySelectorAll("input, select, textarea")].some((f) =>
      f.type === "checkbox" || f.type === "radio" ? f.checked !== f.defaultChecked
        : f.tagName === "SELECT" ? f.selectedIndex !== Math.max(0, [...f.options].findIndex((o) => o.defaultSelected))
          : f.value !== f.defaultValue);
  let pressed = false; // a press whose target goes away between down and up would be lost
  addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { pressed = false; });
  const alike = (e) => e.href ?? e.textContent; // the same link, button or summary in what comes next
  const replace = (part, next) => {
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const open = new Set([...part.querySelectorAll("details[open] > summary")].map((s) => s.textContent));
    part.innerHTML = next.innerHTML;
    for (const s of part.querySelectorAll("details > summary")) if (open.has(s.textContent)) s.parentNode.open = true;
    if (focused) [...part.querySelectorAll(focused.tagName)].find((e) => alike(e) === alike(focused))?.focus();
    const said = document.getElementById("said");
    if (said && part.dataset.live) said.textContent = part.dataset.live;
  };
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } }).catch(() => null);
    if (!answer?.ok) return;
    if (answer.redirected) return clearInterval(timer);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (!next || pressed || busy(part) || touched(part)) continue;
      if (next.innerHTML === (shown.get(part) ?? part.innerHTML)) continue;
      shown.set(part, next.innerHTML);
      replace(part, next);
    }
  };
  const timer = parts.length ? setInterval(look, 3000) : 0;

  for (const range of document.querySelectorAll("input[type=range][data-counts]")) {
    const number = document.getElementById(range.dataset.amount);
    const words = document.getElementById(range.dataset.words);
    const total = Number(range.dataset.total);
    const say = () => {
      const n = Number(range.value);
      range.setAttribute("aria-valuetext", `${n} payments of about ${(total / n).toFixed(2)} ${range.dataset.currency}`);
      if (words) words.textContent = n === 1 ? "1 payment" : `${n} payments`;
    };
    range.addEventListener("input", () => { number.value = (total / Number(range.value)).toFixed(2); say(); });
    number.addEventListener("input", () => {
      const each = Number(number.value);
      if (each > 0) range.value = String(Math.max(1, Math.min(Number(range.max), Math.ceil(total / each - 1e-9))));
      say();
    });
    say();
  }

  // One press is enough: the button says what it does and cannot be pressed twice.
  // It keeps its width, and no other form goes off meanwhile: a second press must not land on its neighbor.
  let sent = false;
  document.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    if (!event.target.matches("[data-once]")) return;
    sent = true;
    const button = event.submitter;
    if (!button?.dataset.busy) return;
    button.style.minWidth = `${button.offsetWidth}px`;
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // In a list that says so, arrows (or j and k) move; only while the focus is in it, so no letter is taken elsewhere.
  for (const list of document.querySelectorAll("[data-moves]")) {
    list.addEventListener("keydown", (event) => {
      const way = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      const links = [...list.querySelectorAll("li a")];
      const next = links[links.indexOf(document.activeElement) + way];
      if (next) { event.preventDefault(); next.focus(); }
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const search = document.getElementById("search");
    if (search) { event.preventDefault(); search.focus(); }
  });
})();
