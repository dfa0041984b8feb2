"""Fingerprints of documents and weighted lexicons, through `postern` and the real processes."""
import email.message
import io
import json
import os
import random
import shutil
import stat
import subprocess
import tempfile
import textwrap
import unittest

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

import documents as d
import lab
import prose

POSTERN = os.path.join(lab.BUILD, "postern")


def docx(paragraphs):
    return d.docx(body="".join(d.para(p.replace("&", "&amp;")) for p in paragraphs))


def odt(paragraphs):
    return d.odf("text", "<office:body>%s</office:body>" % "".join("<text:p>%s</text:p>" % p for p in paragraphs))


def pdf(paragraphs):
    """Pages of short lines with a head and a page's number, as a word processor prints them."""
    out, lines = io.BytesIO(), []
    for p in paragraphs:
        lines += textwrap.wrap(p, 72) + [""]
    c = canvas.Canvas(out, pagesize=A4)
    for page in range(0, len(lines), 48):
        text = c.beginText(60, 780)
        text.textLine("Armorique SA - page %d" % (page // 48 + 1))
        for l in lines[page:page + 48]:
            text.textLine(l)
        c.drawText(text)
        c.showPage()
    c.save()
    return out.getvalue()


def body(paragraphs, quote="> "):
    """The text in a mail, quoted, in lines of 60."""
    return "".join(quote + l + "\r\n" for p in paragraphs for l in textwrap.wrap(p, 60) + [""])


def html(paragraphs):
    return "<html><body>%s</body></html>" % "".join("<p>%s</p>" % p.replace(" ", "&#32;", 1) for p in paragraphs)


def mail(name=None, data=None, text="Bonjour", page=None):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "compte rendu"
    m.set_content(text)
    if page:
        m.add_alternative(page, subtype="html")
    if name:
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes(policy=m.policy.clone(linesep="\r\n"))


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


class Tool(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="postern-fingerprint-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.index = os.path.join(self.dir, "board")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def run_tool(self, *args, status=0):
        r = subprocess.run([POSTERN, *args], capture_output=True, text=True)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def fp(self, verb, *args, status=0):
        return self.run_tool("fingerprint", verb, self.index, *args, status=status)

    def listed(self):
        return {x["name"]: x for x in map(json.loads, self.run_tool("--json", "fingerprint", "list", self.index).splitlines())}

    def found(self, *paths):
        out = self.run_tool("--json", "fingerprint", "check", self.index, *paths, status=1).splitlines()
        return {(os.path.basename(x["file"]), x["document"]): x["overlap"] for x in map(json.loads, out)}

    def test_every_kind_of_file(self):
        texts = {n: prose.minutes(i) for i, n in enumerate(["a.docx", "b.odt", "c.pdf", "d.txt", "e.eml", "f.zip", "g.html"])}
        made = {"a.docx": docx(texts["a.docx"]), "b.odt": odt(texts["b.odt"]), "c.pdf": pdf(texts["c.pdf"]),
                "d.txt": "\n".join(texts["d.txt"]).encode(), "e.eml": mail(text=body(texts["e.eml"], "")),
                "f.zip": d.zip_of({"inner.docx": docx(texts["f.zip"])}), "g.html": html(texts["g.html"]).encode()}
        for name, data in made.items():
            write(self.path("documents", "2026", name), data)
        write(self.path("documents", ".hidden"), b"x" * 1000)
        out = self.fp("add", self.path("documents"))
        self.assertEqual(sorted(self.listed()), ["2026/" + n for n in sorted(made)])
        self.assertIn("2026/a.docx: added", out)
        letters = {n: sum(c.isalnum() for p in t for c in p) for n, t in texts.items()}
        for name, x in self.listed().items():
            n = letters[os.path.basename(name)]
            self.assertGreaterEqual(x["letters"], n * 0.98, name)
            self.assertLess(x["letters"], n * 1.1, name)       # heads of pages and of mail
            # two in WINDOW + 1 grams are chosen, and few of them are the same
            self.assertAlmostEqual(x["hashes"] / n, 2 / 34, delta=0.012, msg=name)
        # each of them, in every other form
        for name, t in texts.items():
            for form, data in (("x.docx", docx(t)), ("x.pdf", pdf(t)), ("x.txt", body(t).encode())):
                best = self.found(write(self.path("tried", form), data))
                self.assertGreater(best.pop((form, "2026/" + name)), 85, (name, form))
                self.assertLess(max(best.values(), default=0), 20, best)       # of the same genre

    def test_parts_of_it(self):
        t = prose.minutes(1, paragraphs=100)
        write(self.path("minutes.docx"), docx(t))
        self.fp("add", self.path("minutes.docx"))
        other = prose.minutes(2, paragraphs=100)
        shuffled = t[:]
        random.Random(3).shuffle(shuffled)
        cases = {
            "copy.docx": (docx(t), 100, 100), "page.docx": (docx(t[40:50]), 80, 100),
            "quarter.pdf": (pdf(t[30:60] + other[:70]), 25, 50), "shuffled.docx": (docx(shuffled), 85, 100),
            "edited.docx": (docx(prose.edited(t)), 30, 95), "other.docx": (docx(other), 0, 20),
            "paragraph.txt": (t[20].encode(), 60, 100),
        }
        for name, (data, low, high) in cases.items():
            path = write(self.path("tried", name), data)
            r = subprocess.run([POSTERN, "--json", "fingerprint", "check", self.index, path], capture_output=True, text=True)
            overlap = json.loads(r.stdout.splitlines()[0])["overlap"] if r.stdout else 0
            self.assertTrue(low <= overlap <= high, "%s: %s" % (name, overlap))

    def test_add_replace_remove(self):
        a, b = prose.minutes(1), prose.minutes(2)
        write(self.path("a.txt"), "\n".join(a).encode())
        write(self.path("b.txt"), "\n".join(b).encode())
        self.assertIn("a.txt: added, ", self.fp("add", self.path("a.txt"), self.path("b.txt")))
        was = self.listed()
        self.assertIn("a.txt: replaced, ", self.fp("add", self.path("a.txt")))
        self.assertEqual({n: x["hashes"] for n, x in self.listed().items()}, {n: x["hashes"] for n, x in was.items()})
        write(self.path("a.txt"), "\n".join(prose.minutes(3)).encode())
        self.fp("add", self.path("a.txt"))
        self.assertNotIn(("x.txt", "a.txt"), {k: v for k, v in self.found(write(self.path("x.txt"), "\n".join(a + b).encode())).items() if v > 20})
        self.assertIn("did you mean `b.txt`?", self.fp("remove", "b.tyt", status=1))
        self.assertIn("1 removed", self.fp("remove", "b.txt"))
        self.assertEqual(list(self.listed()), ["a.txt"])
        self.fp("add", self.path("b.txt"), "--name", "Board, March")
        self.assertEqual(sorted(self.listed()), ["Board, March", "a.txt"])
        self.assertIn("2 documents", self.fp("list"))
        with open(self.path("board", "index.fpr"), "rb") as f:
            data = f.read()
        for t in (b"directeur", b"quorum", "présidente".encode()):
            self.assertNotIn(t, data)
        self.assertEqual(os.listdir(self.index), ["index.fpr"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path("board", "index.fpr")).st_mode), 0o640)

    def test_the_index_of_the_page(self):
        """tests/policies/page: made with this program from the documents beside it, and they are found."""
        page = os.path.join(lab.ROOT, "tests", "policies", "page", "fingerprints")
        self.index = os.path.join(page, "board")
        for n in ("minutes-2026-03.txt", "minutes-2026-06.txt"):
            self.assertEqual(self.found(os.path.join(page, "documents", n))[(n, n)], 100)

    def test_ignore(self):
        t = prose.minutes(1, 6)
        write(self.path("letter.txt"), (prose.DISCLAIMER + "\n" + "\n".join(t)).encode())
        write(self.path("disclaimer.txt"), prose.DISCLAIMER.encode())
        self.fp("add", self.path("letter.txt"))
        mine = write(self.path("mine.txt"), ("Bonjour, voici nos horaires.\n" + prose.DISCLAIMER).encode())
        self.assertGreater(self.found(mine)[("mine.txt", "letter.txt")], 50)
        out = self.fp("add", "--ignore", self.path("disclaimer.txt"), self.index.replace("board", "letter.txt"))
        self.assertIn("disclaimer.txt: added as ignored", out)
        self.assertIn("none of these documents", self.run_tool("fingerprint", "check", self.index, mine))
        whole = write(self.path("whole.txt"), "\n".join(t).encode())
        self.assertGreater(self.found(whole)[("whole.txt", "letter.txt")], 95)
        self.assertTrue(self.listed()["disclaimer.txt"]["ignored"])

    def test_what_cannot_be_added(self):
        write(self.path("short.txt"), b"Too short to be recognised.")
        write(self.path("good.txt"), "\n".join(prose.minutes(1)).encode())
        write(self.path("locked.zip"), d.sevenzip({"a.txt": b"secret " * 100}, "-psecret", "-mem=AES256", kind="zip"))
        write(self.path("sub", "good.txt"), b"x" * 100)
        out = self.fp("add", *(self.path(n) for n in ("short.txt", "good.txt", "locked.zip", "nowhere.txt", "sub/good.txt")), status=1)
        self.assertIn("short.txt: not added: a text of 22 letters and digits, and it takes 64 to be recognised", out)
        self.assertIn("locked.zip: not added: no text was found, it is encrypted", out)
        self.assertIn("nowhere.txt: No such file or directory", out)
        self.assertIn("is called `good.txt` too", out)
        self.assertEqual(list(self.listed()), ["good.txt"])
        for args in ((), ("add",), ("add", self.index), ("list", self.index, "x"), ("remove", self.index), ("fetch", self.index),
                     ("add", self.index, "a", "b", "--name", "c"), ("add", self.index, "--nme", "x", "a")):
            self.assertIn("usage: postern fingerprint add DIR FILE...", self.run_tool("fingerprint", *args, status=2))
        self.assertIn("has no index of fingerprints", self.run_tool("fingerprint", "list", self.path("sub"), status=1))
        self.assertIn("No such file", self.run_tool("fingerprint", "remove", self.path("none"), "x", status=1))
        self.assertFalse(os.path.exists(self.path("none")))

    def test_a_damaged_index_is_not_written_over(self):
        write(self.path("a.txt"), "\n".join(prose.minutes(1)).encode())
        self.fp("add", self.path("a.txt"))
        path = self.path("board", "index.fpr")
        with open(path, "r+b") as f:
            f.truncate(os.path.getsize(path) - 1)
        with open(path, "rb") as f:
            was = f.read()
        for args in (("add", self.path("a.txt")), ("list",), ("remove", "a.txt"), ("check", self.path("a.txt"))):
            self.assertRegex(self.fp(*args, status=1), r"index.fpr: the index of fingerprints is cut off: \d+ of \d+ bytes")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), was)

    def test_two_at_a_time_lose_nothing(self):
        for i in range(12):
            write(self.path("%d.txt" % i), "\n".join(prose.minutes(i)).encode())
        running = [subprocess.Popen([POSTERN, "fingerprint", "add", self.index, self.path("%d.txt" % i)],
                                    stdout=subprocess.DEVNULL) for i in range(12)]
        self.assertEqual([p.wait(60) for p in running], [0] * 12)
        self.assertEqual(len(self.listed()), 12)


POLICY = """version: 1
detectors:
  board: {fingerprint: "dir:fingerprints/board", overlap: {medium: 30%, high: 60%}}
  medical: {lexicon: "file:lists/medical.txt", score: {medium: 8, high: 16, distinct: 3}}
rules:
  - {id: board, when: {finds: {board: {confidence: high}}}, then: {reject: "5.7.1 board (ref $ref)"}}
  - {id: board-partly, when: {finds: {board: {confidence: medium}}}, then: {hold: dpo@example.org}}
  - {id: medical, when: {finds: {medical: {confidence: high}}}, then: {reject: "5.7.1 medical: $findings (ref $ref)"}}
"""
LEXICON = "# words of letters\nangine\t4\nordonnance\t4\ninfarctus du myocarde\t8\nposologie\t6\n"


class Relay(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("fingerprint")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.lab.config(delivery={"port": self.mx.port})
        self.lab.policy(POLICY)
        self.words = write(self.lab.path("policy.d", "lists", "medical.txt"), LEXICON.encode())
        self.text = prose.minutes(1, paragraphs=60)
        self.add("minutes.docx", docx(self.text))
        self.lab.start_postern()

    def add(self, name, data):
        return self.lab.tool("fingerprint", "add", "dir:fingerprints/board", write(self.lab.path("documents", name), data))

    def answer(self, raw):
        code, text = self.lab.send("b@partner.lab", raw=raw)
        return code, text

    def attention(self):
        return " ".join(n["text"] for n in json.loads(self.lab.tool("--json", "status", check=False).stdout)["attention"])

    def explain(self, id):
        return json.loads(self.lab.tool("--json", "explain", id))

    def test_in_every_form(self):
        t = self.text
        gone = {
            "docx": mail("a.docx", docx(t)), "pdf": mail("a.pdf", pdf(t)), "odt": mail("a.odt", odt(t)),
            "body": mail(text=body(t)), "html": mail(text="voir", page=html(t)),
            "zip": mail("a.zip", d.zip_of({"x/a.docx": docx(t)})),
            "a page of six": mail("a.pdf", pdf(t[20:30])), "upper case": mail(text=body([p.upper() for p in t], "")),
            "in another order": mail("a.docx", docx(t[40:] + t[:40])),
        }
        for name, raw in gone.items():
            code, text = self.answer(raw)
            self.assertEqual((code, "5.7.1 board" in text), (550, True), (name, text))
        for name, raw in {"another one": mail("a.docx", docx(prose.minutes(2, 60))), "two sentences": mail(text=t[10][:250] + "\n" + "\n".join(prose.minutes(9)))}.items():
            self.assertEqual(self.answer(raw)[0], 250, name)
        id = self.answer(mail("a.docx", docx(prose.minutes(2, 35) + t[15:35])))[1].split()[-1]
        held = json.loads(self.lab.tool("--json", "held", "list").splitlines()[0])
        self.assertEqual(held["id"], id)
        found = next(f for f in self.explain(id)["findings"] if f["detector"] == "board")
        self.assertEqual(found["confidence"], "medium")
        self.assertRegex(found["masked"][0], r"^minutes\.docx \(3\d %\)$")
        self.assertRegex(found["grade"], r"^overlap 3[\d.]+ %, high from 60 %$")

    def test_documents_come_and_go_by_themselves(self):
        new = prose.minutes(5)
        raw = mail("n.docx", docx(new))
        self.assertEqual(self.answer(raw)[0], 250)
        self.add("new.pdf", pdf(new))
        lab.wait_for(lambda: self.answer(raw)[0] == 550, because="the document added")
        self.lab.tool("fingerprint", "remove", self.lab.path("policy.d", "fingerprints", "board"), "new.pdf")
        lab.wait_for(lambda: self.answer(raw)[0] == 250, because="the document removed")
        index = self.lab.path("policy.d", "fingerprints", "board", "index.fpr")
        with open(index, "rb") as f:
            good = f.read()
        write(index, good[:-9])
        text = lab.wait_for(lambda: "refused" in self.attention() and self.attention(), because="the alarm")
        self.assertIn("cut off", text)
        self.assertEqual(self.answer(mail("a.docx", docx(self.text)))[0], 550)      # the one before stays
        write(index, good)
        lab.wait_for(lambda: "refused" not in self.attention(), because="the index set right")

    def test_a_lexicon(self):
        shown = self.lab.tool("policy", "show", "detector:medical")
        self.assertIn("4 terms, which score 38.5 at most, medium from 8, high from 16, of 3 different ones", shown)
        self.assertIn('lexicon: "file:lists/medical.txt"', shown)
        shown = json.loads(self.lab.tool("--json", "policy", "show", "detector:board"))
        self.assertEqual((shown["kind"], shown["rules"]), ("fingerprint", ["board", "board-partly"]))
        self.assertRegex(shown["holds"], r"^1 document, \d+ fingerprints, medium from 30 %, high from 60 %$")
        self.assertIn("did you mean `medical`?", self.lab.tool("policy", "show", "medcal", check=False).stderr)
        letter = mail(text="Angine traitée; ordonnance et POSOLOGIE ci-jointes. Infarctus\ndu myocarde exclu.")
        code, text = self.answer(letter)
        self.assertEqual(code, 550)
        self.assertIn("medical: ", text)
        for word in ("ngine", "rdonnance", "sologie"):
            self.assertNotIn(word, text)
        self.assertEqual(self.answer(mail(text="angine angine angine angine angine angine angine, ordonnance"))[0], 250)
        write(self.words, LEXICON.replace("angine\t4", "angine 4").encode())
        text = lab.wait_for(lambda: "refused" in self.attention() and self.attention(), because="the alarm")
        self.assertIn("lists/medical.txt:2", text)
        self.assertEqual(self.answer(letter)[0], 550)
        write(self.words, b"angine\t1\n")
        lab.wait_for(lambda: self.answer(letter)[0] == 250, because="the shorter lexicon")

    def test_the_past(self):
        ids = [self.answer(mail(text=t))[1].split("ref ")[1].rstrip(")") for t in (
            "Angine, ordonnance, posologie, infarctus du myocarde.", body(self.text[:46] + prose.minutes(7)))]
        ids.append(self.answer(mail(text="angine, ordonnance, posologie"))[1].split()[-1])
        for id in ids:
            lab.wait_for(lambda: self.lab.tool("explain", id, check=False).returncode == 0, because="the record of " + id)
            r = self.lab.tool("replay", id, check=False)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        new = self.lab.path("new")
        shutil.copytree(self.lab.path("policy.d"), new)

        def changed(*replace):
            with open(os.path.join(new, "10-test.yaml"), "w") as f:
                text = POLICY
                for a, b in replace:
                    text = text.replace(a, b)
                f.write(text)
            r = self.lab.tool("--json", "diff", new, "--last", "1d", "--ids", "9", check=False)
            lines = [json.loads(l) for l in r.stdout.splitlines()]
            total = next(l for l in lines if "cannot_be_replayed" in l)
            return total["newly"], total["cannot_be_replayed"], r.stdout
        # thresholds of past messages are known ...
        newly, unknown, out = changed(("high: 16", "high: 14"))
        self.assertEqual((newly["reject"], sum(newly.values()), unknown), (1, 1, 0), out)
        self.assertIn(ids[2], out)
        newly, unknown, out = changed(("high: 16", "high: 40"), ("high: 60%", "high: 95%"))
        self.assertEqual((newly["release"], newly["hold"], unknown), (1, 1, 0), out)
        # ... another lexicon's words are not
        write(os.path.join(new, "lists", "medical.txt"), (LEXICON + "grippe\t3\n").encode())
        newly, unknown, out = changed()
        self.assertEqual((sum(newly.values()), unknown), (0, 2), out)
        self.assertIn("finds medical", out)


if __name__ == "__main__":
    unittest.main()
