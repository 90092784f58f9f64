"""How a page comes up on a throttled phone, by Chromium's own clocks (not a Lighthouse score).

The profile is Lighthouse's "slow 4G": 1.6 Mbit/s down, 150 ms for each round trip, a processor four times
slower, an empty cache; a screen of 390 × 844. `first_render_ms` is the first contentful paint, `blocking_ms`
what long tasks took beyond 50 ms each, `shift` the cumulative layout shift.
"""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
ROUNDS = 5
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
WATCH = """
window.__blocked = 0; window.__shift = 0;
new PerformanceObserver(l => l.getEntries().forEach(e => { window.__blocked += Math.max(0, e.duration - 50); }))
  .observe({type: 'longtask', buffered: true});
new PerformanceObserver(l => l.getEntries().forEach(e => { if (!e.hadRecentInput) window.__shift += e.value; }))
  .observe({type: 'layout-shift', buffered: true});
"""
READ = """() => ({
  first: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  blocked: window.__blocked, shift: window.__shift,
  bytes: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .reduce((sum, e) => sum + e.transferSize, 0)})"""


def measure(url: str, cookie: str, chromium: str) -> dict[str, float]:
    """The middle of some first visits."""
    found: list[dict[str, Any]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(ROUNDS):
            context = browser.new_context(
                viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True
            )
            name, _, value = cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": url}])
            page = context.new_page()
            page.add_init_script(WATCH)
            phone = context.new_cdp_session(page)
            phone.send("Network.enable")
            phone.send("Network.emulateNetworkConditions", SLOW_4G)
            phone.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            page.goto(url, wait_until="load")
            page.wait_for_timeout(500)
            found.append(page.evaluate(READ))
            context.close()
        browser.close()

    def middle(key: str) -> float:
        return statistics.median(float(f[key]) for f in found)

    return {
        "first_render_ms": round(middle("first"), 1),
        "blocking_ms": round(middle("blocked"), 1),
        "shift": round(middle("shift"), 4),
        "first_visit_kb": round(middle("bytes") / 1000, 1),
    }
