"""The documents keep up with the sources: the README names every program, the architecture page every module, and
what they link to exists."""

import re
import subprocess

import pytest

from apus import BIN, ROOT, run
from services import lay

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "NOTICE"])


def test_the_readme_names_every_program():
    table = re.search(r"^## Programs\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.M)
             for name in re.findall(r"`(\S+)`", row)]
    programs = subprocess.check_output([BIN / "apus", "--list"], text=True).split()
    assert sorted(named) == sorted(programs)


def test_the_architecture_page_names_every_module():
    text = (ROOT / "docs/architecture.md").read_text()
    for path in (ROOT / "Sources").iterdir():
        assert re.search(rf"\b{path.name}\b", text), path.name
    for path in (ROOT / "Tests").iterdir():
        if path.is_dir() and not path.name.endswith("Tests") and not path.name.startswith((".", "__")):
            assert f"Tests/{path.name}" in text, path.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / target).exists(), target
    folders = "Sources|Tests|Scripts|Benchmarks|docs|man|examples|rootfs-skel"
    for path in re.findall(rf"`((?:{folders})/[\w./+-]*)`", text):
        if not re.search(r"Name|name\.", path):
            assert (ROOT / path).exists(), path


def test_the_binary_is_small():
    assert (BIN / "apus").stat().st_size <= 1808 << 10


def test_the_file_for_debuggers_fits_the_binary():
    """gdb finds functions, lines and callers in a process that runs the binary."""
    debug = ROOT / "build/apus.debug"
    if not debug.exists() or BIN != ROOT / "build/bin":
        pytest.skip("the binary comes from elsewhere")
    shown = subprocess.run(
        ["gdb", "--batch", "-ex", f"symbol-file {debug}", "-ex", "break *write", "-ex", "run",
         "-ex", "backtrace", "--args", BIN / "svok"], capture_output=True, text=True).stdout
    for function, file in (("emit", "Messages"), ("run", "EntryPoint"), ("apusMain", "EntryPoint")):
        assert re.search(rf"^#\d+ .*{function}.*/{file}\.swift:\d+$", shown, re.M), shown


def test_the_settings_of_the_readme_are_right(tmp_path):
    text = (ROOT / "README.md").read_text()
    settings = re.search(r"```settings\n(.*?)```", text, re.S).group(1)
    for name in "web", "db":
        lay(tmp_path / name)
    (tmp_path / "web/settings").write_text(settings)
    result = run("svcheck", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
