"""The design document is one page that shows everything, loads nothing and runs nothing, whoever wrote it."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from catherd.core.errors import CatherdError
from catherd.design import html, safehtml
from catherd.design.safehtml import PageContext

pytestmark = pytest.mark.slow

TOOLSHED = Path(__file__).parents[1] / "documents" / "toolshed"
HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "main", "nav", "details", "summary", "section",
    "article", "figure", "figcaption", "div", "span", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl",
    "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "b", "i", "em", "strong", "s", "small", "img",
    "br", "hr", "blockquote",
}  # fmt: skip
VECTORS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](java&#x0A;script:alert(1))",
    "[a](vbscript:msgbox(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "<javascript:alert(1)>",
    '[a](x "onmouseover=alert(1) ")',
    '[a](<x" onclick="alert(1)>)',
    "![a](https://evil.example/pixel.png)",
    "![a](//evil.example/pixel.png)",
    "![a](data:image/svg+xml;base64,PHN2Zy8+)",
    '![a"onerror=alert(1)](x.png)',
    "![a](../../../../etc/passwd)",
    "[ref]: javascript:alert(1)\n\n[ref]",
    '```"><script>alert(1)</script>\nx\n```',
    "```gherkin\nFeature: <script>alert(1)</script>\n```",
    '```mermaid\nflowchart LR\n  a["<img src=x onerror=alert(1)>"] --> b\n  click a "javascript:alert(1)"\n```',
    "<style>body{background:url(https://evil.example)}</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "</section></main><base href=https://evil.example>",
    "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    'US-001"><script>alert(1)</script>',
]  # fmt: skip


class Reader(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.add(tag)
        for key, value in attrs:
            self.attributes.append((tag, key, value or ""))
            if key == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words += data


def read(text: str) -> Reader:
    """The page taken apart, after everything that could act was looked for."""
    reader = Reader()
    reader.feed(text)
    assert reader.tags <= HARMLESS
    for tag, key, value in reader.attributes:
        assert not key.startswith("on"), (tag, key, value)
        if key == "src":
            assert re.match(
                r"data:image/(svg\+xml|png|jpeg|gif|webp);base64,", value
            ), value
        if key == "href":
            assert re.match(r"#|https?://|mailto:", value), value
        assert key in {
            "id", "class", "href", "src", "alt", "width", "height", "decoding", "style", "lang", "charset", "name", "content",
            "http-equiv", "aria-label", "open", "rel", "title", "start",
        }, (tag, key)  # fmt: skip
        if key == "style":
            assert re.fullmatch(r"--w:\d+px|text-align:(left|right|center)", value)
    return reader


def fresh(root: Path) -> Path:
    """The toolshed's document below `root`."""
    shutil.copytree(TOOLSHED, root)
    return root


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toolshed's page."""
    folder = tmp_path_factory.mktemp("design")
    root = fresh(folder / "w")
    assert len(html.generate_all(str(root))) == 16
    html.render_design(
        str(root),
        str(folder / "out" / "design.html"),
        str(tmp_path_factory.getbasetemp() / "kept"),
    )
    return folder / "out" / "design.html"


def test_the_page_shows_every_artifact_once_and_its_links_all_lead_somewhere(
    page: Path,
) -> None:
    text = page.read_text()
    reader = read(text)
    for ident in ("UJ-001", "UJ-002", "US-001", "US-004", "SCR-001", "SCR-003", "T-001", "T-007", "overview", "roadmap",
                  "screens", "interface", "data", "decisions", "trace", "milestone-release"):  # fmt: skip
        assert reader.ids.count(ident) == 1, ident
    inner = {
        value[1:]
        for _, key, value in reader.attributes
        if key == "href" and value.startswith("#")
    }
    assert inner - set(reader.ids) == set()
    for words in ("Linden Street 12", "POST /api/tools", "CREATE TABLE tool", "Somebody was faster", "Keep the tools in SQLite",
                  "python3 -m unittest app/tests/test_borrow.py", "Mr Osei takes the paper list down"):  # fmt: skip
        assert words in " ".join(reader.words.split())


def test_every_screen_is_there_in_every_state_beside_its_stories_and_journeys(
    page: Path,
) -> None:
    gallery = (
        page.read_text()
        .partition('<section id="screens">')[2]
        .partition("</section>")[0]
    )
    assert gallery.count("<figure>") == 10
    assert re.findall(r"<figcaption>(.*?)</figcaption>", gallery)[:4] == [
        "filled",
        "empty",
        "no-match",
        "error",
    ]
    for ident in ("US-001", "US-002", "US-003", "UJ-001", "UJ-002"):
        assert f'href="#{ident}"' in gallery


def test_every_diagram_is_embedded_as_a_picture(page: Path) -> None:
    text = page.read_text()
    assert (
        text.count('<div class="diagram">') == 9
    )  # map, Gantt, 2 x 2 journeys, 2 C4, ER
    assert "not drawn" not in text


def test_a_second_rendering_gives_the_same_bytes_from_what_was_kept(
    page: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = page.read_bytes()
    html.render_design(
        str(page.parent.parent / "w"),
        str(page),
        str(tmp_path_factory.getbasetemp() / "kept"),
    )
    assert page.read_bytes() == before


@pytest.mark.parametrize("vector", VECTORS)
def test_what_a_model_wrote_runs_nothing_and_loads_nothing(
    vector: str, tmp_path: Path
) -> None:
    place = PageContext(
        str(tmp_path),
        {},
        frozenset({"US-001"}),
        lambda text: safehtml.listing_html(text, "mermaid"),
    )
    read(
        str(
            safehtml.render_page(
                f"# Title {vector}\n\n{vector}\n\n- {vector}\n\n| a |\n|---|\n| {vector} |\n",
                "docs/x.md",
                place,
            )
        )
    )
    read(str(safehtml.inline_html(vector, place)))
    read(str(safehtml.gherkin(vector)))


def test_hostile_words_in_every_place_of_a_document_stay_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "CATHERD_WITHOUT", "mermaidx"
    )  # undrawn diagrams show their source
    root = fresh(tmp_path / "w")
    evil = '<script>alert(1)</script>\\"><img src=x onerror=alert(1)>'
    for path in root.rglob("*.*"):
        text = path.read_text()
        if path.suffix == ".yaml":
            text = re.sub(r"^( *(?:- )?(?:title|goal|demo|bar|text|summary|description|name): )[^\[{\"]*$", rf'\1"{evil}"', text,
                          flags=re.MULTILINE)  # fmt: skip
            text = text.replace("operationId: addTool", f'operationId: "{evil}"')
        elif path.suffix == ".md":
            text = text.replace("# ", "# <script>alert(1)</script> ").replace(
                "persona: ", "persona: <script>"
            )
            text = text.replace("want: ", "want: <img src=x onerror=alert(1)>").replace(
                "status: ", "status: <script>"
            )
        else:
            text = text.replace("note", "<script>")
        path.write_text(text)
    (root / "docs" / "ux" / "SCR-009.svg").write_text(
        '<svg viewBox="0 0 9 9"><script>alert(1)</script></svg>'
    )
    (root / "docs" / "spec" / "more<b>.md").write_text(
        "# More\n\n<script>alert(1)</script>\n"
    )
    html.render_design(str(root), str(tmp_path / "out.html"))
    text = (tmp_path / "out.html").read_text()
    read(text)
    assert "&lt;script&gt;" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_pictures_of_the_tree_are_embedded_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "docs" / "img").mkdir(parents=True)
    (tmp_path / "docs" / "img" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret.png").write_bytes(b"\x89PNG")
    os.symlink(tmp_path / "secret.png", tmp_path / "docs" / "img" / "b.png")
    place = PageContext(str(tmp_path), {}, frozenset(), lambda _: Markup(""))
    made = safehtml.render_page(
        "![one](img/a.png) ![two](../secret.png) ![three](img/b.png) ![four](https://example.org/x.png)",
        "docs/x.md",
        place,
    )
    assert str(made) == (
        '<p><img alt="one" src="data:image/png;base64,iVBORw=="> <span class="dropped">[picture: two]</span> '
        '<span class="dropped">[picture: three]</span> <span class="dropped">[picture: four]</span></p>\n'
    )


@pytest.mark.parametrize(
    ("view_box", "wanted"),
    [
        ("0 0 200 100.4", (200, 100)),
        (" -1.5e+3, 0, 2E2, .4 ", (200, 1)),
        ("0 0 0 0", (1, 1)),
        ("0 0 1e999 5", (300, 150)),
        ("0 0 5 1e400", (300, 150)),
        ("0 0 5 99999999999999999999999", (300, 150)),
        ("0 0 nan 5", (300, 150)),
        ("0 0 -5 5", (300, 150)),
        ("0 0 1.2.3 4", (300, 150)),
        ("0 0 1e 5", (300, 150)),
        ("0 0 5", (300, 150)),
        ("", (300, 150)),
    ],
)
def test_a_picture_has_the_size_that_it_says_or_that_browsers_take(
    view_box: str, wanted: tuple[int, int]
) -> None:
    assert safehtml.size(f'<svg viewBox="{view_box}"></svg>') == wanted


def test_a_picture_that_says_an_impossible_size_stands_in_the_page(
    tmp_path: Path,
) -> None:
    (tmp_path / "docs" / "ux").mkdir(parents=True)
    drawing = tmp_path / "docs" / "ux" / "SCR-001.svg"
    drawing.write_text('<svg viewBox="0 0 1e999 5"></svg>')

    html.render_design(str(tmp_path), str(tmp_path / "out.html"))

    assert 'width="300" height="150"' in (tmp_path / "out.html").read_text()


def test_ids_become_links_but_not_within_links_or_code(tmp_path: Path) -> None:
    anchors = {"docs/stories/US-001.md": "US-001", "docs/index.md": "overview"}
    place = PageContext(
        str(tmp_path), anchors, frozenset({"US-001"}), lambda _: Markup("")
    )
    made = safehtml.render_page(
        "US-001, US-999, `US-001`, [US-001](https://example.org), [it](stories/US-001.md), [top](index.md#goals), "
        "[gone](nothing.md)",
        "docs/index.md",
        place,
    )
    assert str(made) == (
        '<p><a href="#US-001">US-001</a>, US-999, <code>US-001</code>, '
        '<a href="https://example.org" rel="noopener noreferrer">US-001</a>, <a href="#US-001">it</a>, '
        '<a href="#index-md--goals">top</a>, <a>gone</a></p>\n'
    )


def test_half_a_document_renders_and_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "stories").mkdir(parents=True)
    (tmp_path / "docs" / "stories" / "US-001.md").write_text(
        "---\nas: [\n---\n# Broken\n"
    )
    (tmp_path / "docs" / "roadmap.yaml").write_text(
        "milestones: {poc: 3, mvp: {exit: 4}}\n"
    )
    (tmp_path / "docs" / "tasks").mkdir()
    monkeypatch.setenv("CATHERD_WITHOUT", "mermaidx")
    (tmp_path / "docs" / "tasks" / "T-001.yaml").write_text(
        "title: 3\nstories: x\naccept: no\nsteps: {a: b}\n"
    )
    html.render_design(str(tmp_path), str(tmp_path / "out.html"))
    assert "T-001" in read((tmp_path / "out.html").read_text()).ids
    with pytest.raises(CatherdError) as error:
        html.render_design(str(tmp_path / "nowhere"), str(tmp_path / "out.html"))
    assert (
        str(error.value)
        == f"{tmp_path}/nowhere/docs: there is no design document here\n  fix: make plan"
    )


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_a_browser_reads_the_page_on_a_phone_without_scrolling_sideways_or_asking_the_network(
    page: Path,
) -> None:
    api = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        phone = browser.new_page(viewport={"width": 390, "height": 800})
        phone.on("request", lambda request: asked.append(request.url))
        phone.goto(page.as_uri())
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.evaluate(
            "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
        )
        phone.emulate_media(media="print")
        assert (
            phone.evaluate("getComputedStyle(document.querySelector('nav')).display")
            == "none"
        )
        browser.close()
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]


def test_rendering_a_folder_makes_its_generated_files_first(tmp_path: Path) -> None:
    fresh(tmp_path / "w")
    start = "from catherd.cli import main; main(prog_name='catherd')"
    done = subprocess.run(
        [sys.executable, "-c", start, "design", "w"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{tmp_path}/design.html\n", "")
    assert html.generate_all(str(tmp_path / "w")) == []
