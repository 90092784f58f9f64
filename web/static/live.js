// Keeps the parts of a page that follow the ledger current, without a reload. Reading works without this file.
(() => {
  const parts = [...document.querySelectorAll("[data-live]")];
  if (!parts.length) return;
  const look = async () => {
    if (document.hidden || document.activeElement?.closest("[data-live] form")) return;
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } }).catch(() => null);
    if (!answer?.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (next && next.innerHTML !== part.innerHTML) part.innerHTML = next.innerHTML;
    }
  };
  setInterval(look, 3000);
})();
