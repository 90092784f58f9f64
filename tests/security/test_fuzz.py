"""Bytes and values that nobody meant: an answer, never an error. `make bench NAME=scale` tries tens of thousands."""

from __future__ import annotations

import pytest
from flask import Flask

from benchmarks.scaling import fuzz
from web import openapi


def test_no_request_and_no_file_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORBEAR_DATA_DIR", "")  # the fuzz sets its own, and leaves no trace
    found = fuzz.requests(examples=1, odd=200)
    assert found["fuzz_5xx"] == 0
    assert found["fuzz_cases"] > 290  # every operation, and the odd ones


def test_the_description_names_what_a_view_reads() -> None:
    site = Flask(__name__)
    site.add_url_rule("/shelves/<int:shelf>/<name>", "shelf", _view, methods=["GET", "POST"])
    paths = openapi.describe(site)["paths"]
    assert list(paths) == ["/shelves/{shelf}/{name}"]
    post = paths["/shelves/{shelf}/{name}"]["post"]
    assert post["summary"] == "Puts a book."
    kinds = {part["name"]: (part["in"], part["schema"]["type"]) for part in post["parameters"]}
    assert kinds == {"name": ("path", "string"), "shelf": ("path", "integer"), "by": ("query", "string")}
    schema = post["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert set(schema["properties"]) == {"title", "volume", "csrf"}
    assert list(schema["patternProperties"]) == ["^page.+$"]


def _view(shelf: int, name: str) -> str:
    """Puts a book."""
    from flask import request

    numbered = [request.form[f"page{n}"] for n in range(shelf)]
    return "".join(
        [request.args.get("by", name), request.form["title"], *request.form.getlist("volume"), *numbered]
    )
