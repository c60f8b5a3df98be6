"""The page on designs: its commands run as written, what it shows is what they print, and no slot is left out."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch
from pages import LANGUAGES, ROOT, Run, find_blocks, find_commands, write_files

import groundup
from groundup.families.registry import FAMILIES
from groundup.model.config import Design

PAGES = {language: ROOT / "docs" / language / "design-your-own-model.md" for language in LANGUAGES}


def shown(language: str, mark: str) -> str:
    (block,) = find_blocks(PAGES[language], mark)
    return block.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_as_written(
    language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(PAGES[language], tmp_path)
    printed: dict[str, list[str]] = {}
    for arguments in find_commands(PAGES[language]):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        printed.setdefault(" ".join(arguments[:2]) if arguments[0] == "inspect" else arguments[0], []).append(ended.out)
    assert printed["inspect design"] == [shown(language, "shown design"), shown(language, "shown difference")]
    (written,) = printed["generate"]
    assert written.rstrip() == shown(language, "shown written").rstrip()
    assert len(printed["train"]) == 2 and all("layer 0" in out for out in printed["inspect attention"])
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("two.html", "look.html"))
    (snippet,) = find_blocks(PAGES[language], "run python")
    (tmp_path / "snippet.py").write_text(snippet.text, encoding="utf-8")
    capfd.readouterr()
    runpy.run_path("snippet.py")
    lines = capfd.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines if "written by groundup" in line] == ["groundup", "llama"]
    pytest.importorskip("transformers")
    (snippet,) = find_blocks(PAGES[language], "run in transformers")
    (tmp_path / "snippet.py").write_text(snippet.text, encoding="utf-8")
    runpy.run_path("snippet.py")
    prompt = re.search(r'write\("(\w+)"', snippet.text)[1]
    (ours,) = groundup.generate("taken/mine", [prompt], groundup.Decoding(max_tokens=28))
    # Half a character at the end is shown there, and not here.
    assert capfd.readouterr().out.rstrip("\n\ufffd") == (prompt + ours.text).rstrip("\n")
    torch.set_num_threads(1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_folder_of_the_second_design_opens_in_transformers(
    language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    write_files(PAGES[language], tmp_path)
    (_, second) = (arguments for arguments in find_commands(PAGES[language]) if arguments[0] == "train")
    assert run(*second, "train.steps=2").code == 0
    model, loading = transformers.AutoModelForCausalLM.from_pretrained("runs/llama/model", output_loading_info=True)
    assert type(model).__name__ == "LlamaForCausalLM" and not any(loading.values())
    torch.set_num_threads(1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_of_a_design_is_in_the_table_of_slots(language: str) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    table = text[text.index("<!-- slots -->") :].split("\n\n")[0]
    named = [re.findall(r"`(\w+)`", row.split("|")[2]) for row in table.splitlines()[3:]]
    keys = [key for row in named for key in row]
    assert sorted(keys) == sorted(Design.model_fields)


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_and_families_are_up_to_date(language: str) -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    text = PAGES[language].read_text(encoding="utf-8")
    assert generate["fill_code"](text) == text, "run: python docs/generate.py"
    for family in FAMILIES[:-1]:
        assert f"`{family.model_type}`" in text
    stale = text.replace("QWEN3: Final", "QWEN9: Final").replace("| `gpt2` |", "| `gpt3` |")
    assert stale != text and generate["fill_code"](stale) == text
