"""The schemas that editors use: they say what the structs say, and every modeline finds its own."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from catherd.bus import schemas, yaml_read
from catherd.bus.config import Agent, Phase
from catherd.core.messages import Ballot, Tiebreak

ROOT = str(Path(__file__).resolve().parents[2])
MODELINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)


def _valid(name: str, text: str) -> bool:
    data: Any = yaml_read.loads(text, "a test").data
    return jsonschema.Draft202012Validator(schemas.json_schema(name)).is_valid(data)


@pytest.mark.parametrize("name", schemas.KINDS)
def test_a_committed_schema_is_the_generated_one(name: str) -> None:
    with open(
        os.path.join(ROOT, schemas.FOLDER, f"{name}.json"), encoding="utf-8"
    ) as file:
        assert file.read() == schemas.schema_text(name), (
            "catherd schemas writes them anew"
        )


def test_no_schema_stands_there_that_nothing_generates() -> None:
    assert sorted(os.listdir(os.path.join(ROOT, schemas.FOLDER))) == [
        f"{name}.json" for name in schemas.KINDS
    ]


@pytest.mark.parametrize("name", schemas.KINDS)
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.json_schema(name))


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [
        path
        for path in listed.split("\0")
        if path.endswith((".yaml", ".md")) and os.path.isfile(f"{ROOT}/{path}")
    ]


def test_every_modeline_of_a_tracked_yaml_file_names_a_schema_that_is_there() -> None:
    found = []
    for path in _tracked():
        if not path.startswith(("agents/", "phases/", "bus/")):
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            for target in MODELINE.findall(file.read()):
                found.append(path)
                assert os.path.isfile(
                    os.path.join(ROOT, os.path.dirname(path), target)
                ), f"{path}: {target}"

    assert "phases/debate.yaml" in found


@pytest.mark.parametrize(
    ("folder", "name", "kind"), [("agents", "agent", Agent), ("phases", "phase", Phase)]
)
def test_the_files_of_this_repository_are_valid(
    folder: str, name: str, kind: type[msgspec.Struct]
) -> None:
    files = [
        f for f in sorted(os.listdir(os.path.join(ROOT, folder))) if f.endswith(".yaml")
    ]
    assert files
    for file in files:
        with open(os.path.join(ROOT, folder, file), encoding="utf-8") as text:
            data = yaml_read.loads(text.read(), file).data
        jsonschema.validate(data, schemas.json_schema(name))
        msgspec.convert(
            {
                key: value
                for key, value in data.items()
                if key not in {"options", "rehearsal"}
            },
            kind,
        )


def test_what_the_engine_takes_the_schema_takes_and_the_other_way_round() -> None:
    tie = "catherd: 1\nchoice:\nreason:\ntied: [hazel, birch]\n"
    yaml_read.typed(yaml_read.loads(tie, "tie"), Tiebreak)
    assert _valid("tiebreak", tie)
    assert not _valid("tiebreak", "choice: [hazel]\n")

    ballot = "ranking: [hazel, [birch, yarrow]]\n"
    yaml_read.typed(yaml_read.loads(ballot, "ballot"), Ballot)
    assert _valid("ballot", ballot)
    assert not _valid("ballot", "ranking: hazel\n")


def test_a_schema_does_not_offer_what_the_path_says() -> None:
    text = json.dumps(schemas.json_schema("agent"))

    assert '"id"' not in text


def test_an_option_may_be_a_number_a_switch_or_a_list() -> None:
    assert _valid("agent", "options: {temperature: 0.7, stream: false, stop: [a, b]}\n")
    assert not _valid("agent", "runs: nowhere\n")
    assert not _valid("agent", "options: {nested: {a: 1}}\n")
