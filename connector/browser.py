"""A bookkeeper's browser in a few lines, for the demo: follows redirects, keeps cookies, fills in a form."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

Values = dict[str, str | list[str]]


@dataclass
class Form:
    action: str
    method: str = "get"
    values: Values = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Page:
    url: str
    status: int
    forms: list[Form]
    sentence: str  # its main heading and first paragraph

    def form(self, name: str) -> Form:
        """The form with a field of this name. Raises LookupError with what the page says instead."""
        for form in self.forms:
            if name in form.names:
                return form
        raise LookupError(f"{self.url} has no such form. It says: {self.sentence}")


class Browser:
    def __init__(self) -> None:
        self.session = requests.Session()

    def get(self, url: str) -> Page:
        return self._page(self.session.get(url, timeout=60))

    def submit(self, form: Form, chosen: Values) -> Page:
        """Submit with these choices on top of what the form holds."""
        return self._page(
            self.session.request(form.method, form.action, data={**form.values, **chosen}, timeout=60)
        )

    def _page(self, answer: requests.Response) -> Page:
        reader = _Reader(answer.url)
        reader.feed(answer.text)
        return Page(
            answer.url, answer.status_code, reader.forms, " ".join(" ".join(reader.words).split())[:300]
        )


class _Reader(HTMLParser):
    """Collects forms with their hidden and filled fields, and the words of headings and paragraphs."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.forms, self.words, self.inside = url, list[Form](), list[str](), 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attributes}
        if tag == "form":
            self.forms.append(
                Form(urljoin(self.url, given.get("action", "")), given.get("method", "get").lower())
            )
        elif tag in ("input", "button", "select") and self.forms and given.get("name"):
            form = self.forms[-1]
            form.names.add(given["name"])
            if tag == "input" and given.get("type", "text") not in ("checkbox", "radio", "submit"):
                form.values[given["name"]] = given.get("value", "")
        elif tag in ("h1", "h2", "p"):
            self.inside += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "h2", "p") and self.inside:
            self.inside -= 1

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.words.append(data)
