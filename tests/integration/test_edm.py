"""Exact data match: from an export to mail that is held, through the real tool and the real daemon."""
import contextlib
import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import unittest
import zipfile
from email.message import EmailMessage

import lab

TOOL = os.path.join(lab.BUILD, "postern")
with open(os.path.join(lab.ROOT, "docs", "EDM.md")) as f:
    PAGE = f.read()

HEADER = "nir;last_name;first_name;birth_date\n"
ROWS = """184127645108946;DE LA FONTAINE;Jean;07/12/1984
269052A45108912;D'Artagnan-Lévêque;Zoé;30/05/1969
150019912345670;MARTIN;Paul;05/01/1950
250019912345634;MARTIN;Marie;14/07/1950
"""
POLICY = """version: 1
detectors:
  patients:
    exact: "file:edm/patients.idx"
    columns: {require: [nir], any: {min: 1, of: [last_name, birth_date], within: 300}}
    confidence: {alone: medium, near: high}
rules:
  - {id: two, severity: high, when: {finds: {patients: {min: 2, confidence: high}}}, then: {reject: "5.7.1 patients (ref $ref)"}}
  - {id: one, when: {finds: {patients: {confidence: high}}}, then: {hold: dpo@example.lab}}
  - {id: number, when: {finds: {patients: {confidence: medium}}}, then: {add_header: {X-Patient: $findings}}}
"""
COLUMNS = ["--column", "nir=nir", "--column", "last_name=name", "--column", "first_name=name", "--column",
           "birth_date=date"]


def build(folder, text, name="patients", columns=COLUMNS, verb="build", check=True):
    source = os.path.join(folder, name + ".csv")
    with open(source, "w") as f:
        f.write(text)
    r = subprocess.run([TOOL, "edm", verb, source, os.path.join(folder, name + ".idx"), *columns], capture_output=True,
                       text=True)
    if check and r.returncode:
        raise AssertionError(r.stdout + r.stderr)
    os.unlink(source)
    return r


def xlsx(rows):
    """The least that is a workbook, with the values in shared strings as programs write them."""
    cells = [c for row in rows for c in row]
    sheet = "".join("<row>%s</row>" % "".join('<c t="s"><v>%d</v></c>' % cells.index(c) for c in row) for row in rows)
    ns = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>')
        z.writestr("xl/workbook.xml", '<workbook %s xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/'
                   'relationships"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>' % ns)
        z.writestr("xl/_rels/workbook.xml.rels", '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
                   'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
                   'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>')
        z.writestr("xl/sharedStrings.xml", "<sst %s>%s</sst>" % (ns, "".join("<si><t>%s</t></si>" % c for c in cells)))
        z.writestr("xl/worksheets/sheet1.xml", "<worksheet %s><sheetData>%s</sheetData></worksheet>" % (ns, sheet))
    return b.getvalue()


class Daemon(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("edm")
        self.addCleanup(self.lab.close)
        self.lab.dns({"other.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.lab.config(delivery={"port": self.mx.port})
        self.lab.policy(POLICY)
        self.folder = self.lab.path("policy.d", "edm")
        os.makedirs(self.folder)
        self.index = os.path.join(self.folder, "patients.idx")
        build(self.folder, HEADER + ROWS)
        self.lab.start_postern()

    def send(self, body, **kw):
        code, text = self.lab.send("b@other.lab", body=body, **kw)
        return code, text.split("ref ")[1].rstrip(")") if "ref " in text else text.split()[-1]

    def lines(self, *args, status=0):
        r = self.lab.tool("--json", *args, check=False)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return [json.loads(l) for l in r.stdout.splitlines()]

    def outcome(self, ident):
        def there():
            r = self.lab.tool("--json", "explain", ident, check=False)
            return r.returncode == 0 and json.loads(r.stdout)
        record = lab.wait_for(there, because="the record of " + ident)
        return record["recipients"][0]["outcome"], record

    def attached(self, name, data):
        m = EmailMessage()
        m["From"], m["To"], m["Subject"] = "a@example.lab", "b@other.lab", "list"
        m.set_content("Here it is.\n")
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        return m.as_bytes().replace(b"\n", b"\r\n")

    def attention(self):
        return " ".join(n["text"] for n in json.loads(self.lab.tool("--json", "status", check=False).stdout)["attention"])

    def test_rows_are_found(self):
        code, ident = self.send("Le patient 1 84 12 76 451 089 46, M. Jean de la\r\nFontaine.\r\n")
        self.assertEqual(code, 250)
        outcome, record = self.outcome(ident)
        self.assertEqual(outcome, "hold")
        found = record["findings"][0]
        self.assertEqual((found["detector"], found["confidence"], found["distinct"]), ("patients", "high", 1))
        self.assertEqual(found["masked"], ["last_name+nir"] if found["offsets"][0][0] > 40 else ["nir+last_name"])
        # of a text no row is in, of a number alone, of a number with a name of another row
        self.assertEqual(self.outcome(self.send("1 84 12 76 451 089 47 Martin\r\n")[1])[0], "deliver")
        for body in ("150019912345670\r\n", "150019912345670 Bernard\r\n", "De la Fontaine 150019912345670\r\n"):
            outcome, record = self.outcome(self.send(body)[1])
            self.assertEqual(outcome, "deliver", body)
            self.assertEqual(record["findings"][0]["confidence"], "medium")
        self.assertEqual(self.outcome(self.send("Martin, Marie, 14/07/1950\r\n")[1])[1]["findings"], [])
        # two rows, in files
        rows = [r.split(";") for r in ROWS.strip().split("\n")]
        for name, data in (("a.csv", "\n".join(";".join(r) for r in rows).encode("windows-1252")),
                           ("a.xlsx", xlsx(rows)), ("a.txt", ROWS.replace(";", "\t").encode())):
            code, text = self.lab.send("b@other.lab", raw=self.attached(name, data))
            self.assertEqual(code, 550, name + text)
            outcome, record = self.outcome(text.split("ref ")[1].rstrip(")"))
            found = [f for f in record["findings"] if f["name"] == name]
            self.assertEqual(sum(f["distinct"] for f in found), 4, record["findings"])
            shown = json.dumps(record["findings"])
            for value in ("FONTAINE", "Martin", "MARTIN", "1984", "1841276"):
                self.assertNotIn(value, shown)

    def test_another_index_and_the_past(self):
        body = "Mme Zoé d'Artagnan Lévêque (2 69 05 2A 451 089 12)\r\n"
        code, before = self.send(body)
        self.assertEqual(self.outcome(before)[0], "hold")
        first = self.lines("replay", before)[0]
        self.assertTrue(first["same"], first)
        # she is no patient any more
        build(self.folder, HEADER + "".join(l + "\n" for l in ROWS.splitlines() if "269052" not in l))
        lab.wait_for(lambda: self.outcome(self.send(body)[1])[0] == "deliver", because="the new index")
        after = self.send(body)[1]
        self.assertEqual(self.outcome(after)[1]["findings"], [])
        # What was found then was found: the old policy is replayed from the record, without its index.
        again = self.lines("replay", before)[0]
        self.assertTrue(again["same"], again)
        self.assertEqual(again["policy"], first["policy"])
        self.assertNotEqual(self.lines("replay", after)[0]["policy"], first["policy"])
        out = self.lab.tool("policy", "diff", check=False).stdout
        self.assertRegex(out, r"(?m)^-edm/patients.idx: 4 rows, built .*\n\+edm/patients.idx: 3 rows, built ")
        # a changed rule over the past: the records answer
        self.lab.policy(POLICY.replace("then: {hold: dpo@example.lab}", "then: {quarantine: patients}"))
        *changes, total = self.lines("diff", "--last", "1h", status=1)
        self.assertEqual(total["cannot_be_replayed"], 0, total)
        # also of those that are held: what was found then counts, not what the index of today would say
        self.assertEqual([c["is"] for c in changes], ["quarantine"], changes)

    def test_broken_indexes(self):
        with open(self.index, "rb") as f:
            good = f.read()
        body = "Martin 150019912345670\r\n"
        # cut short, put in its place: refused, the old one stays
        def replace(data):
            with open(self.index + ".new", "wb") as f:
                f.write(data)
            os.rename(self.index + ".new", self.index)
        for data, why in ((good[:-7], "cut short"), (good[:5000] + b"x" + good[5001:], "damaged"), (b"", "empty")):
            replace(data)
            lab.wait_for(lambda: why in self.attention(), because=why)
            self.assertEqual(self.outcome(self.send(body)[1])[0], "hold")
        replace(good)
        lab.wait_for(lambda: "refused" not in self.attention(), because="the good one")
        # Written into where it lies: nothing is judged by it. A whole other index comes into force.
        with open(self.index, "r+b") as f:
            f.seek(len(good) - 20)
            f.write(b"scp scp scp")
        self.assertEqual(self.lab.send("b@other.lab", body=body)[0], 451)
        self.assertIn("was written into where it lies", self.lab.log())
        lab.wait_for(lambda: "damaged" in self.attention(), because="the alarm")
        self.assertEqual(self.lab.send("b@other.lab", body="Hello\r\n")[0], 451)
        os.truncate(self.index, 5000)       # pages that are mapped are gone; nobody looks at them
        self.assertEqual(self.lab.send("b@other.lab", body=body)[0], 451)
        replace(good)
        lab.wait_for(lambda: self.lab.send("b@other.lab", body="Hello\r\n")[0] == 250, because="mail again")
        self.assertNotIn("ended by signal", self.lab.log())
        # another key: both must change together
        build(self.folder, HEADER + ROWS, verb="rekey")
        lab.wait_for(lambda: "refused" not in self.attention() and self.lab.send("b@other.lab", body="Hi\r\n")[0] == 250,
                     because="the new key")
        key = os.path.join(self.folder, "patients.key")
        os.chmod(key, 0o644)
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("edm/patients.key may be read by others than its owner (mode 0644): chmod 600 it", r.stderr)


class Tool(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("edm-tool")
        self.addCleanup(self.lab.close)

    def run_page(self, argv, **kw):
        return subprocess.run(argv, capture_output=True, text=True, cwd=self.lab.dir, **kw)

    def test_the_page(self):
        """Every command of docs/EDM.md prints what the page shows; its policy loads, and finds."""
        self.lab.write("patients.csv", re.search(r"```csv\n(.*?)```", PAGE, re.S).group(1))
        yaml = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
        self.lab.write("patients.yaml", yaml[0])
        self.lab.write("numbers.txt", "1 84 12 76 451 089 46\n1 84 12 76 451 088 44\n")
        self.lab.write("row.txt", "nir=184127645108946\nlast_name=De la Fontaine\nbirth_date=7 décembre 1984\n")
        n = 0
        for block in re.findall(r"```console\n(.*?)```", PAGE, re.S):
            for command, shown in re.findall(r"^\$ (.*)\n((?:[^$\n].*\n|\n)*)", block, re.M):
                r = self.run_page(["sh", "-c", command + " 2>&1"], env={**os.environ, "PATH": lab.BUILD + ":" +
                                                                       os.environ["PATH"]})
                pattern = re.escape(shown).replace(r"\.\.\.", r"[\s\S]*")
                self.assertRegex(r.stdout, "^" + pattern + "$", command)
                n += 1
        self.assertEqual(n, 4)
        self.lab.config()
        self.lab.policy(yaml[1])
        os.makedirs(self.lab.path("policy.d", "edm"))
        for e in ("idx", "key"):
            shutil.copy(self.lab.path("patients." + e), self.lab.path("policy.d", "edm"))
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertNotIn("warning", r.stderr)
        self.lab.write("m.eml", "From: a@example.org\nTo: b@example.net\nSubject: x\n\n"
                       "2.69.05.2a.451.089.12 D'Artagnan-Leveque\n")
        r = self.lab.tool("--json", "explain", "m.eml", "--no-antivirus", "--direction", "outbound", check=False,
                          cwd=self.lab.dir)
        self.assertEqual(json.loads(r.stdout)["recipients"][0]["outcome"], "hold", r.stdout + r.stderr)

    def test_values_are_no_arguments(self):
        build(self.lab.dir, HEADER + ROWS)
        r = self.run_page([TOOL, "edm", "check", "patients.idx", "nir", "--value", "184127645108946"])
        self.assertEqual(r.returncode, 2)
        self.assertIn("values come by the standard input", r.stderr)
        r = self.run_page([TOOL, "edm", "check", "patients.idx", "nir"], input="184127645108946\n")
        self.assertEqual((r.returncode, r.stdout), (0, "line 1, nir: found, in 1 row\n"))
        self.assertNotIn("1841", r.stdout)
        r = self.run_page([TOOL, "--json", "edm", "check", "patients.idx"], input="nir=184127645108946\nlast_name=Martin\n")
        self.assertEqual(r.returncode, 1)
        last = json.loads(r.stdout.splitlines()[-1])
        self.assertEqual(last, {"v": 1, "together": 0})
        self.assertEqual(self.run_page([TOOL, "edm", "check", "patients.idx", "nri"], input="x").returncode, 2)

    def test_pipe_and_terminal(self):
        """From a pipe, no progress but on a terminal, and never a value in it."""
        argv = [TOOL, "edm", "build", "-", "patients.idx", *COLUMNS]
        text = HEADER + ROWS * 5000
        r = self.run_page(argv, input=text)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(r.stderr, "")
        main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        self.lab.write("big.csv", text)
        argv[3] = "big.csv"
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=other, cwd=self.lab.dir)
        os.close(other)
        seen = b""
        with contextlib.suppress(OSError):
            while True:
                piece = os.read(main, 4096)
                if not piece:
                    break
                seen += piece
        os.close(main)
        p.communicate()
        self.assertEqual(p.returncode, 0)
        self.assertRegex(seen.decode(), r"reading: 20000 rows of 20000, 100 %, \d+/s, 0s left")
        self.assertIn("sorting birth_date: ", seen.decode())
        self.assertNotIn("FONTAINE", seen.decode())
        info = json.loads(self.run_page([TOOL, "--json", "edm", "info", "patients.idx"]).stdout)
        self.assertEqual((info["rows"], info["proved"]), (20000, True))
        self.assertEqual([c["values"] for c in info["columns"]], [4, 3, 4, 4])
        self.assertEqual([c["most"] for c in info["columns"]], [5000, 10000, 5000, 5000])
        self.assertEqual(os.stat(self.lab.path("patients.key")).st_mode & 0o777, 0o600)
        self.assertEqual([n for n in os.listdir(self.lab.dir) if n.startswith(".")], [])

    def test_info_without_the_key(self):
        build(self.lab.dir, HEADER + ROWS)
        os.unlink(self.lab.path("patients.key"))
        r = self.run_page([TOOL, "edm", "info", "patients.idx"])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("only its header was looked at: patients.key: No such file or directory", r.stdout)
        self.run_page([TOOL, "edm", "key", "patients.key"])
        r = self.run_page([TOOL, "edm", "info", "patients.idx"])
        self.assertEqual(r.returncode, 1)
        self.assertIn("it was made with another key", r.stderr)

    def test_what_a_build_says(self):
        for columns, text, want in (
                ([], HEADER + ROWS, "which columns?"),
                (["--column", "nri=nir"], HEADER + ROWS, "the header line has no column `nri`, did you mean `nir`?"),
                (["--column", "nir=nri"], HEADER + ROWS, "unknown type `nri`; did you mean `nir`?"),
                (["--column", "nir=nir", "--encoding", "utf-16"], HEADER + ROWS, "unknown encoding `utf-16`"),
                (["--column", "last_name=date"], HEADER + ROWS, "column last_name: 4 of 4 values are no `date`"),
                (["--column", "nir=nir", "--strict"], HEADER + "x;a;b;c\n", "line 2, column nir: "),
                (["--column", "nir=nir", "--delimiter", "tab"], HEADER + ROWS, "no column `nir`")):
            r = build(self.lab.dir, text, columns=columns, check=False)
            self.assertIn(r.returncode, (1, 2))
            self.assertIn(want, r.stderr)
            self.assertFalse(os.path.exists(self.lab.path("patients.idx")))
            self.assertFalse(os.path.exists(self.lab.path("patients.key")), "a key without an index")


if __name__ == "__main__":
    unittest.main()
