"""What the checks of the documents find, and what they let pass."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import commands
import evidence
import links
import markdown
from markdown import ROOT

README = ROOT / "README.md"


class Markdown(unittest.TestCase):
    def test_headings_are_named_as_github_names_them(self):
        text = "# A, b & `c_d`\n## Same\n## Same\n```sh\n# no heading\n```\n### [Linked](x.md)\n"
        self.assertEqual(markdown.anchors(text), {"a-b--c_d", "same", "same-1", "linked"})

    def test_links_are_found_in_prose_and_not_in_code(self):
        text = "[a](b.md) `[no](no.md)` [`code`](c.md#d) ![p](e.png)\n\n    ```sh\n    [no](no.md)\n    ```\n[f]: g.md\n"
        found = [target for _, target in markdown.links(markdown.split(text)[1])]
        self.assertEqual(found, ["b.md", "c.md#d", "e.png", "g.md"])

    def test_a_block_that_is_not_closed_is_told(self):
        with self.assertRaisesRegex(ValueError, "line 1"):
            markdown.split("```sh\nls\n")


class Links(unittest.TestCase):
    def test_what_is_there_can_be_followed(self):
        for target in ("docs/plan.md", "docs/plan.md#p3-doc2-documentation-for-10", "#licence", "docs/json",
                       "https://example.org/nowhere", "Makefile#L1"):
            self.assertIsNone(links.wrong_link(README, target), target)

    def test_what_is_not_there_cannot(self):
        for target in ("docs/nothing.md", "docs/plan.md#nothing", "#nothing", "../outside", "/etc/passwd", "Makefile#L99999"):
            self.assertIsNotNone(links.wrong_link(README, target), target)

    def test_paths_and_names_in_code_are_those_of_the_project(self):
        for word in ("crates/core", "scripts/infra/*.py", "terraform/modules/{network,cluster}", "ls docs", "speakr_up",
                     "only_apps_know_adapters_and_the_core_knows_no_technology"):
            self.assertIsNone(links.wrong_word(word), word)
        # Put together here, so that the name stands nowhere in the code.
        for word in ("crates/nothing", "scripts/nothing/*.py", "terraform/modules/{network,nothing}",
                     "_".join(["no", "test", "has", "this", "name"])):
            self.assertIsNotNone(links.wrong_word(word), word)


class Commands(unittest.TestCase):
    def tried(self, text):
        (ROOT / "target").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
            document = pathlib.Path(folder) / "x.md"
            document.write_text(text, encoding="utf-8")
            return commands.check(document, "/nowhere")

    def test_a_command_that_fails_is_told_with_what_it_said(self):
        wrong, ran, _ = self.tried("```sh run\necho said; false\ntrue\n```\n")
        self.assertEqual(ran, 1)
        self.assertIn("said", wrong[0])

    def test_what_one_block_made_is_there_for_the_next_and_what_was_prepared_too(self):
        wrong, ran, _ = self.tried("```sh run\necho a >f\n```\n\n<!-- prepare: echo b >g -->\n```sh run\ncat f g\n```\n")
        self.assertEqual((wrong, ran), ([], 2))

    def test_shell_that_is_none_is_told_without_being_run(self):
        wrong, ran, read = self.tried("```sh\nif true; echo\n```\n```sh\nfalse\n```\n")
        self.assertEqual((len(wrong), ran, read), (1, 0, 2))


class Evidence(unittest.TestCase):
    def test_what_differs_each_time_is_replaced(self):
        said = "    PASS [   0.123s] (2/2) b\n    PASS [   1.5s] (1/2) a\nin 12.3 s, 3 passed\n" + str(ROOT) + "/x\n\n"
        self.assertEqual(evidence.normalised(said), ["    PASS a", "    PASS b", "in <time>, 3 passed", "./x"])

    def test_a_command_is_told_with_how_it_ended(self):
        self.assertEqual(evidence.run("echo a; echo b >&2; exit 3", False), (["a", "b", "(exit code 3)"], False))

    def test_a_block_is_commands_with_what_they_printed(self):
        fence = markdown.split("```evidence\n$ a \\\n  b\none\n$ c\n```\n")[0][0]
        self.assertEqual(evidence.commands_of(fence), [("a \\\n  b", ["one"]), ("c", [])])

    def test_the_plan_s_form_is_held(self):
        text = evidence.PLAN.read_text(encoding="utf-8")
        self.assertEqual(evidence.wrong_form(text)[0], [])
        ticked = text.replace("- [ ] **P3-IAC1.9**", "- [x] **P3-IAC1.9**")
        self.assertIn("P3-IAC1.9 is ticked and not shown", evidence.wrong_form(ticked)[0][0])
        gone = text.replace("**P3-CD2.1**", "**P3-CD2.9**")
        self.assertEqual(len(evidence.wrong_form(gone)[0]), 2)
        unmarked = text.replace(" — *not shown*", "", 1)
        self.assertIn("has no mark", evidence.wrong_form(unmarked)[0][0])


if __name__ == "__main__":
    unittest.main()
