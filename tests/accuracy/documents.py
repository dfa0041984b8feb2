"""documents.py -- puts values into mail as people write it: sentences, forms, columns, HTML.

A Document is the text and the truth about it: which identifiers stand where, and what is promised of them.
"""
import html
from collections import namedtuple

import negatives

# kind: T a text, M a message. truths: (detector, from, to, level or None); bytes of a text, of a message 0.
Document = namedtuple("Document", "group detector kind data truths")

SENTENCES = {
    "en": ["My {l} is {v}, please update the file.", "Please find below the {l}: {v}.", "{l}: {v}", "{l} = {v}", "As discussed, the {l} {v} belongs to Mrs Martin.",
           "The {l} on the form reads {v}.", "Could you check {v}? It is the {l} of the applicant.", "{L} {v} was recorded on Monday.", "For your records, {l} : {v} (see the attached copy).",
           "He wrote down his {l}, {v}, and left.", "- {l}: {v}", "{l} - {v}", "I was given {v} as {l} by the clerk."],
    "fr": ["Mon {l} est {v}, merci de mettre à jour le dossier.", "Voici le {l} demandé : {v}.", "{l} : {v}", "{l} = {v}", "Comme convenu, le {l} {v} est celui de Mme Martin.",
           "Le {l} inscrit sur le formulaire est le {v}.", "Pouvez-vous vérifier {v} ? C'est le {l} du demandeur.", "{L} {v} enregistré lundi.", "Pour mémoire, {l}: {v} (voir copie jointe).",
           "Il a noté son {l}, {v}, puis il est parti.", "- {l} : {v}", "{l} - {v}", "On m'a donné {v} comme {l}."],
    "de": ["Meine {l} lautet {v}.", "{l}: {v}", "Bitte notieren Sie die {l} {v}.", "Die {l} des Antragstellers ist {v}, siehe Anlage."],
    "es": ["Mi {l} es {v}.", "{l}: {v}", "Le adjunto el {l} {v} del solicitante.", "con {l} {v} y domicilio en Madrid"],
    "it": ["Il mio {l} è {v}.", "{l}: {v}", "Le invio il {l} {v} del richiedente.", "nato a Roma, {l} {v}"],
    "nl": ["Mijn {l} is {v}.", "{l}: {v}", "Hierbij het {l} {v} van de aanvrager."],
    "pt": ["O meu {l} é {v}.", "{l}: {v}", "Segue o {l} {v} do requerente."],
    "pl": ["Mój {l} to {v}.", "{l}: {v}", "Proszę zanotować {l} {v}."],
    "sv": ["Mitt {l} är {v}.", "{l}: {v}", "Sökandens {l} {v} finns i ärendet."],
    "no": ["Mitt {l} er {v}.", "{l}: {v}", "Søkerens {l} {v} står i saken."],
    "da": ["Mit {l} er {v}.", "{l}: {v}", "Ansøgerens {l} {v} fremgår af sagen."],
    "fi": ["Minun {l} on {v}.", "{l}: {v}", "Hakijan {l} {v} on lomakkeessa."],
    "zh": ["我的{l}是{v}。", "{l}：{v}"], "ko": ["제 {l}는 {v}입니다.", "{l}: {v}"]}
ALONE = ["Could you look at {v} for me?", "{v}", "Here it is again: {v}", "See {v} and tell me.", "Voici : {v}", "Merci de vérifier {v} avant ce soir.", "({v})", "J'ai reçu {v} hier.", "we have {v}, then nothing."]
MENTIONS = ["Please send us your {l} before the end of the month.", "Merci de nous transmettre votre {l} avant la fin du mois.", "The {l} is missing in the form.", "Il manque le {l} dans le dossier.",
            "{l} : (à compléter)", "{l}: not provided", "Without a {l} we cannot go on.", "Le {l} n'est pas obligatoire."]
FILLERS = ["The meeting of 14 March at 10:30 is moved to room 204.", "La réunion du 14 mars à 10 h 30 est déplacée salle 204.", "Thank you for your quick answer.", "Je vous remercie de votre retour rapide.",
           "We counted 1,250 visitors in 2025, 12.5 % more than in 2024.", "Nous avons compté 1 250 visiteurs en 2025, soit 12,5 % de plus.", "Please note that the office is closed from 24 to 31 December.",
           "Le bureau sera fermé du 24 au 31 décembre inclus.", "The contract starts on 01/04/2026 and ends on 31/03/2027.", "Le contrat débute le 01/04/2026 et se termine le 31/03/2027.", "Kind regards, Anne",
           "Bien cordialement, Jean-Paul", "Can you send the slides again?", "Pouvez-vous renvoyer les diapositives ?", "I will be at the station at 17:42.", "Le train arrive à 17 h 42, voie 12."]


def fillers(r, n):
    return [r.choice(FILLERS) for _ in range(n)]


def language(r, maker):
    return r.choice(["en", "fr"] + sorted(maker.labels))


def join(r, parts, value_at, value, detector, level, group):
    """The parts with blanks or line ends between them; where the value stands in bytes."""
    out, truths = "", []
    for i, p in enumerate(parts):
        if i:
            out += r.choice([" ", "\n", "\r\n", "\n\n"])
        if i == value_at:
            at = len((out + p[0]).encode())
            truths.append((detector, at, at + len(value.encode()), level))
            out += p[0] + value + p[1]
        else:
            out += p
    return Document(group, detector, "T", out.encode(), truths)


def around(template, label, value):
    text = template.replace("{L}", label[:1].upper() + label[1:]).replace("{l}", label)
    before, after = text.split("{v}")
    return before, after


def labelled(r, maker):
    lang = language(r, maker)
    label, f = r.choice(maker.labels[lang]), r.choice(maker.forms(r))
    template = r.choice(SENTENCES[lang])
    if getattr(maker, "own_label", False):
        word = {"fr": "est", "de": "ist", "es": "es", "it": "è", "nl": "is", "pt": "é", "pl": "to", "sv": "är", "da": "er", "no": "er", "fi": "on"}.get(lang, "is")
        template = r.choice(["{l}: {v}", "{l} : {v}", "{l}={v}", "login jmartin / {l}: {v}", "The {l} " + word + " {v}", "{l} " + word + " {v}", "VPN {l}: {v}"])
        level = f.level if "login" in template or "VPN" in template else f.alone
    else:
        level = f.level
    if getattr(maker, "block", False):
        template = r.choice(["Here is the {l}:\n{v}\n", "Voici la {l} :\n{v}\n", "{l}\n\n{v}"])
    middle = around(template, label, f.text)
    before, after = fillers(r, r.randint(0, 3)), fillers(r, r.randint(0, 2))
    if r.random() < 0.4:
        after.append(r.choice(negatives.KINDS)(r))
    return join(r, before + [middle] + after, len(before), f.text, maker.name, level, "labelled")


def form_sheet(r, maker):
    """Lines of names and values, as web forms send them."""
    lang = r.choice(["en", "fr"])
    label, f = r.choice(maker.labels[lang]), r.choice(maker.forms(r))
    sep = r.choice([": ", " : ", "\t", " = ", ":\n", " ........ "])
    names = {"en": [("Last name", "Martin"), ("First name", "Anne"), ("City", "Rouen"), ("Date of birth", "12/03/1984"), ("Phone", negatives.digits(r, 10, "06"))],
             "fr": [("Nom", "Martin"), ("Prénom", "Anne"), ("Ville", "Rouen"), ("Date de naissance", "12/03/1984"), ("Téléphone", negatives.digits(r, 10, "06"))]}[lang]
    k = r.randint(0, len(names))
    text = "".join(a + sep + b + "\n" for a, b in names[:k]) + label + sep
    at = len(text.encode())
    rest = "\n" + "".join(a + sep + b + "\n" for a, b in names[k:])
    return Document("labelled", maker.name, "T", (text + f.text + rest).encode(), [(maker.name, at, at + len(f.text.encode()), f.alone if getattr(maker, "own_label", False) else f.level)])


def alone(r, maker):
    forms = [f for f in maker.forms(r) if f.alone]
    if not forms or getattr(maker, "own_label", False):
        return None
    f = r.choice(forms)
    middle = around(r.choice(ALONE), "", f.text)
    before, after = fillers(r, r.randint(0, 2)), fillers(r, r.randint(0, 2))
    return join(r, before + [middle] + after, len(before), f.text, maker.name, f.alone, "alone")


def cells(r, maker, rows):
    """A table with a column of values of one form: header, rows, number of the column."""
    lang = r.choice(["en", "fr"])
    label = r.choice(maker.labels[lang])
    k = r.randrange(len(maker.forms(r)))
    head = {"en": ["id", "last name", "date", "phone", "order no", "amount"], "fr": ["id", "nom", "date", "téléphone", "n° commande", "montant"]}[lang]
    lines, truth = [], []
    column = r.randint(0, len(head))
    for i in range(rows):
        row = [str(1000 + i), r.choice(["Martin", "Durand", "Smith", "Roy"]), "%02d/%02d/2025" % (r.randint(1, 28), r.randint(1, 12)), negatives.digits(r, 10, "06"), negatives.digits(r, 9), "%d.%02d" % (r.randint(1, 9999), r.randint(0, 99))]
        f = maker.forms(r)[k]
        row.insert(column, f.text)
        truth.append(f)
        lines.append(row)
    head.insert(column, label if r.random() < 0.6 else label.replace(" ", "_").upper() if r.random() < 0.5 else label.replace(" ", "_").lower())
    return head, lines, column, truth


def csv(r, maker):
    head, lines, column, truth = cells(r, maker, r.randint(6, 40))
    if any("\n" in f.text for f in truth) or getattr(maker, "own_label", False):
        return None
    sep = r.choice([";", ",", "\t", "|", " | "])
    if any(sep.strip(" ") and sep.strip(" ") in c for row in [head] + lines for c in row):
        sep = "\t"
    if any("\t" in f.text for f in truth):
        return None
    quote = '"' if r.random() < 0.3 and sep != "\t" and not any('"' in f.text for f in truth) else ""
    text = sep.join(quote + c + quote for c in head) + "\n"
    truths = []
    for row, f in zip(lines, truth):
        at = len((text + sep.join(quote + c + quote for c in row[:column]) + (sep if column else "") + quote).encode())
        truths.append((maker.name, at, at + len(f.text.encode()), f.level))
        text += sep.join(quote + c + quote for c in row) + "\n"
    return Document("column", maker.name, "T", text.encode(), truths)


def message(body, ctype="text/html; charset=utf-8"):
    return ("From: a@example.org\r\nTo: b@example.net\r\nSubject: files\r\nMIME-Version: 1.0\r\nContent-Type: " + ctype +
            "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body + "\r\n").encode()


def html_table(r, maker):
    head, lines, column, truth = cells(r, maker, r.randint(3, 15))
    if any("\n" in f.text for f in truth) or getattr(maker, "own_label", False):
        return None
    e = html.escape
    body = "<html><body><table><tr>" + "".join("<th>%s</th>" % e(c) for c in head) + "</tr>\r\n"
    body += "".join("<tr>" + "".join("<td>%s</td>" % e(c) for c in row) + "</tr>\r\n" for row in lines) + "</table></body></html>"
    return Document("column", maker.name, "M", message(body), [(maker.name, i, i, f.level) for i, f in enumerate(truth)])


def html_split(r, maker):
    """A value with tags inside: bold digits, spans for each group, a comment."""
    lang = r.choice(["en", "fr"])
    label, f = r.choice(maker.labels[lang]), r.choice(maker.forms(r))
    if "\n" in f.text or getattr(maker, "own_label", False) or len(f.text) > 70:
        return None
    k = r.randint(1, len(f.text) - 1)
    e = html.escape
    v = r.choice([e(f.text[:k]) + "<b>" + e(f.text[k:]) + "</b>", e(f.text[:k]) + "<!-- x -->" + e(f.text[k:]), "".join("<span>%s</span>" % e(c) for c in f.text), e(f.text[:k]) + "<font color=red>" + e(f.text[k:]) + "</font>"])
    body = "<html><body><p>%s</p><p>%s: %s</p><p>%s</p></body></html>" % (r.choice(FILLERS), e(label), v, r.choice(FILLERS))
    return Document("labelled", maker.name, "M", message(body), [(maker.name, 0, 0, f.level)])


def invalid(r, maker):
    lang = r.choice(["en", "fr"])
    before, after = around(r.choice(SENTENCES[lang]), r.choice(maker.labels[lang]), "")
    text = "\n".join(fillers(r, 1) + [before + maker.invalid(r) + after] + fillers(r, 1))
    return Document("invalid", maker.name, "T", text.encode(), [])


def mention(r, maker):
    """The word is there, the number is another one's."""
    label = r.choice(maker.labels[r.choice(["en", "fr"])])
    parts = [r.choice(MENTIONS).replace("{l}", label)] + [r.choice(negatives.KINDS)(r) for _ in range(2)]
    if r.random() < 0.5:
        parts.insert(0, parts.pop())
    return Document("mention", maker.name, "T", r.choice([" ", "\n", "\n\n"]).join(parts).encode(), [])


TRACE = ["Received", "Message-ID", "DKIM-Signature", "X-Spam-Report", "X-Mailer", "ARC-Seal", "List-Id", "Authentication-Results", "References", "In-Reply-To", "Return-Path"]


def trace_header(r, maker):
    """A valid value and its name where only programs write: nobody is to be told of it."""
    f = r.choice([f for f in maker.forms(r)])
    if "\n" in f.text:
        return None
    head = "%s: %s %s; by mx.example.net id %s\r\n" % (r.choice(TRACE), r.choice(maker.labels["en"]), f.text, f.text)
    return Document("trace", maker.name, "M", head.encode() + message("<p>%s</p>" % r.choice(FILLERS)), [])


def hard_negative(r):
    parts = [r.choice(negatives.KINDS)(r) for _ in range(r.randint(3, 8))] + fillers(r, 2)
    r.shuffle(parts)
    return Document("negative", None, "T", r.choice(["\n", "\n\n", " ", "\r\n"]).join(parts).encode(), [])
