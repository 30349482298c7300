"""T-005: the page is whole: every field has a label, every id that the script wants exists, nothing comes from elsewhere."""

import re
import unittest
from html.parser import HTMLParser
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"


class Elements(HTMLParser):
    """All start tags of a page: [(tag, attributes)]."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def values(self, attribute: str, *tags: str) -> list[str]:
        return [have[attribute] or "" for tag, have in self.seen if attribute in have and (not tags or tag in tags)]


class PageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.html = (STATIC / "index.html").read_text(encoding="utf-8")
        self.script = (STATIC / "shelf.js").read_text(encoding="utf-8")
        self.page = Elements(self.html)

    def test_every_field_outside_the_template_has_a_label(self) -> None:
        fields = Elements(re.sub(r"<template.*?</template>", "", self.html, flags=re.S))
        labelled = set(self.page.values("for", "label"))
        self.assertLessEqual({"name", "owner"}, labelled)
        self.assertEqual(set(), set(fields.values("id", "input", "select")) - labelled)

    def test_the_script_labels_the_fields_of_each_thing(self) -> None:
        for words in ("Borrower of ${thing.name}", "Lend ${thing.name}", "Take back ${thing.name}"):
            self.assertIn(f'setAttribute("aria-label", `{words}`)', self.script)

    def test_every_id_that_the_script_asks_for_is_on_the_page_once(self) -> None:
        ids = self.page.values("id")
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(set(), set(re.findall(r'byId\("([\w-]+)"\)', self.script)) - set(ids))

    def test_the_page_asks_for_its_own_files_only(self) -> None:
        asked = self.page.values("src") + self.page.values("href", "link")
        files = [name for name in asked if not name.startswith("data:")]
        self.assertLessEqual({"/shelf.css", "/shelf.js"}, set(files))
        for name in files:
            self.assertTrue((STATIC / name.lstrip("/")).is_file(), name)

    def test_it_reads_on_a_phone_and_aloud(self) -> None:
        self.assertIn("viewport", self.page.values("name", "meta"))
        self.assertEqual(["en"], self.page.values("lang", "html"))
        self.assertLessEqual({"status", "alert"}, set(self.page.values("role")))

    def test_the_script_uses_the_addresses_of_the_interface(self) -> None:
        for call in ('"GET", "/api/things"', '"POST", "/api/things"', '"POST", `/api/things/${thing.id}/loan`',
                     '"DELETE", `/api/things/${thing.id}/loan`'):
            self.assertIn(call, self.script)


if __name__ == "__main__":
    unittest.main()
