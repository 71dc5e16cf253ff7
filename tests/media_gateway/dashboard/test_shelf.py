"""The page's files: kept by browsers under their version, asked for anew without, compressed, and nothing besides."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from media_gateway.dashboard.page import Page

pytestmark = pytest.mark.anyio
CODE = "export const words = 'hello';\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "styles").mkdir(parents=True)
    (static / "lib").mkdir()
    (static / "index.html").write_text(
        '<link rel="icon" href="/static/x.svg">\n'
        '    <link rel="stylesheet" href="/static/styles/a.css">\n'
        '    <link rel="stylesheet" href="/static/styles/b.css">\n'
        '<script type="importmap">{"imports": {"p": "/static/lib/p.js"}}</script>\n'
        '<script type="module" src="/static/app.js"></script>\n'
    )
    (static / "styles" / "a.css").write_text("a { color: red }")
    (static / "styles" / "b.css").write_text("b { color: blue }")
    (static / "app.js").write_text(CODE)
    (static / "lib" / "p.js").write_text("x")
    (static / "lib" / ".stamp").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    return static


def client(folder: Path) -> httpx2.AsyncClient:
    app = Starlette(routes=Page(folder).routes())
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


async def test_a_browser_keeps_what_the_page_names_and_asks_for_the_rest(folder: Path) -> None:
    async with client(folder) as http:
        html = (await http.get("/")).text
        (version,) = set(re.findall(r"/static/(v[0-9a-f]{12})/", html))
        assert html.count(f"/static/{version}/") == html.count("/static/") == 4
        mine = await http.get(f"/static/{version}/app.js")
        assert "immutable" in mine.headers["cache-control"]
        assert (mine.headers["content-type"].split(";")[0], mine.text) == ("text/javascript", CODE)
        for path in ("/static/app.js", "/static/v000000000000/app.js"):
            other = await http.get(path)
            assert (other.status_code, other.headers["cache-control"], other.text) == (200, "no-cache", CODE)
        again = await http.get("/static/app.js", headers={"If-None-Match": mine.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        (folder / "app.js").write_text("changed")
        assert version not in (await http.get("/")).text
        changed = await http.get("/static/app.js", headers={"If-None-Match": mine.headers["etag"]})
        assert (changed.status_code, changed.text) == (200, "changed")


async def test_all_stylesheets_come_as_one_in_their_order(folder: Path) -> None:
    async with client(folder) as http:
        html = (await http.get("/")).text
        (sheet,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', html)
        assert (await http.get(sheet)).text == "a { color: red }\nb { color: blue }"


async def test_text_is_compressed_for_who_takes_it(folder: Path) -> None:
    async with client(folder) as http:
        async with http.stream("GET", "/static/app.js", headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
            assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(raw) == CODE.encode()
        assert len(raw) < len(CODE) / 5
        plain = await http.get("/static/app.js", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "lib/.stamp",
        "..%2fsecret.txt",
        "../secret.txt",
        "styles",
        "",
        "none.js",
        "%2e%2e/secret.txt",
        "lib/../../secret.txt",
    ],
)
async def test_nothing_else_is_given(folder: Path, path: str) -> None:
    async with client(folder) as http:
        answer = await http.get(f"/static/{path}")
        assert answer.status_code in (404, 307)
        assert "secret" not in answer.text
