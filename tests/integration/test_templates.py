"""Texts for people from the folder `templates`: the administrator's own, in two languages, with HTML; slips have their line."""
import email
import email.policy
import os
import unittest

import lab

POLICY = """version: 1
rules:
  - {id: cards, when: {subject: {words: [confidential]}}, then: {hold: {for: dpo@example.lab}, notify: {sender: held}}}
"""


class Templates(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("templates")
        self.addCleanup(self.lab.close)
        self.back = self.lab.mx()

    def config(self, **more):
        self.lab.policy(POLICY)
        self.lab.config(domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port]}}, **more)

    def notice(self, *headers):
        n = len(self.back.messages)
        code, text = self.lab.send("b@partner.lab", subject="confidential", headers=[
            'Content-Disposition: attachment; filename="<b>a&b.pdf"', *headers])
        self.assertEqual(code, 250, text)
        return email.message_from_bytes(self.back.wait(n + 1)[n][2], policy=email.policy.default)

    def test_own_texts(self):
        self.lab.write("templates/held.fr.txt", "Subject: Retenu à l'examen\n\nLa pièce $filenames est retenue ($rule).\n")
        self.lab.write("templates/held.fr.html", "<p>La pièce <b>$filenames</b> est retenue ($rule).</p>\n")
        self.lab.write("templates/held.en.txt", "Subject: Held\n\nThe file $filenames is held.\n")
        self.config()
        self.lab.start_postern()
        m = self.notice("Content-Language: fr")
        self.assertEqual(m["Subject"], "Retenu à l'examen")
        self.assertEqual(m.get_content_type(), "multipart/alternative")
        text, html = m.iter_parts()
        self.assertEqual(text.get_content().strip(), "La pièce <b>a&b.pdf est retenue (cards).")
        self.assertEqual((html.get_content_type(), html.get_content().strip()),
                         ("text/html", "<p>La pièce <b>&lt;b&gt;a&amp;b.pdf</b> est retenue (cards).</p>"))
        m = self.notice()
        self.assertEqual((m["Subject"], m.get_content_type()), ("Held", "text/plain"))
        # The policy folder's own goes before it; a change of either is a reload by itself.
        self.lab.write("templates/held.en.txt", "Subject: Changed\n\nx\n")
        lab.wait_for(lambda: self.notice()["Subject"] == "Changed", because="the changed text")
        self.lab.write("policy.d/templates/held.en.txt", "Subject: Nearer\n\nx\n")
        self.lab.tool("reload")
        self.assertEqual(self.notice()["Subject"], "Nearer")

    def test_slips(self):
        self.lab.write("texts/held.en.txt", "Subject: Held\n\nThe file $filename is held.\n")
        self.lab.write("texts/rejcted.en.txt", "Subject: No\n\nNo.\n")
        self.config(templates="texts")
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("templates/held.en.txt:3:10", r.stderr)
        self.assertIn("did you mean `$filenames`?", r.stderr)
        self.lab.write("texts/held.en.txt", "Subject: Held\n\nThe file $filenames is held.\n")
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertRegex(r.stderr, r"rejcted\.en\.txt: no rule asks for this template; did you mean `rejected`\?")
        os.rename(self.lab.path("texts"), self.lab.path("away"))
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("No such file", r.stderr)


if __name__ == "__main__":
    unittest.main()
