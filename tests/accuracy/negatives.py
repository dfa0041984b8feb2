"""negatives.py -- what looks like an identifier and is none, as it stands in mail; nothing here is of a maker.

Each function gives one sentence, line or block. Numbers are drawn without regard to any check digit,
so that one in ten (or in a hundred) satisfies whichever is asked for: that is what real numbers do.
"""
import base64
import datetime
import hashlib
import string
import uuid

from makers import digits, luhn_digit

UPPER = string.ascii_uppercase
HEX = "0123456789abcdef"


def pick(r, *options):
    return r.choice(options)


def drawn(r, n, alphabet):
    return "".join(r.choice(alphabet) for _ in range(n))


def order(r):
    n = digits(r, r.choice([6, 8, 9, 9, 10, 11, 12, 13, 14, 15]), r.choice("123456789"))
    return pick(r, "Order number %s has shipped.", "Votre commande n° %s est expédiée.", "Commande %s du 12 mars.", "Order #%s",
                "Your order %s is confirmed.", "Bon de commande : %s", "Purchase order %s", "PO %s", "N° de commande : %s") % n


def invoice(r):
    n = r.choice([digits(r, 9), digits(r, 10), "%d-%s" % (r.randint(2019, 2026), digits(r, 6)), "F%s" % digits(r, 9), "%s/%d" % (digits(r, 5), r.randint(2019, 2026)), digits(r, 14)])
    return pick(r, "Invoice %s is due on Friday.", "Facture n° %s à régler sous 30 jours.", "Invoice no. %s", "Facture : %s", "Avoir n° %s", "Quote %s attached.", "Devis %s ci-joint.") % n


def reference(r):
    n = r.choice([digits(r, 9), digits(r, 11), digits(r, 13), "%s-%s" % (digits(r, 3), digits(r, 6)), "%s %s %s" % (digits(r, 3), digits(r, 3), digits(r, 3)),
                  drawn(r, 2, UPPER) + digits(r, 7), drawn(r, 3, UPPER) + "-" + digits(r, 8), digits(r, 8) + r.choice(UPPER)])
    return pick(r, "Ref. %s", "Réf. : %s", "Your reference: %s", "Votre référence %s", "Dossier n° %s", "Case %s was closed.", "Ticket #%s", "Ticket %s est résolu.",
                "Contrat n° %s", "Contract %s", "Article %s", "Item no. %s", "Référence produit : %s", "Client n° %s", "Customer number %s", "Numéro de client : %s") % n


def timestamp(r):
    t = r.randint(1000000000, 1900000000)
    d = datetime.datetime.utcfromtimestamp(t)
    return pick(r, "%d" % t, "%d" % (t * 1000 + r.randint(0, 999)), "%d" % (t * 1000000 + r.randint(0, 999999)), d.strftime("%Y%m%d%H%M%S"), d.strftime("%Y-%m-%dT%H:%M:%S.") + digits(r, 6) + "Z",
                "ts=%d" % t, d.strftime("%Y%m%d_%H%M%S"), d.strftime("backup-%Y%m%d%H%M%S.tar.gz"), d.strftime("%d.%m.%Y %H:%M:%S"), d.strftime("IMG_%Y%m%d_%H%M%S.jpg"), d.strftime("%y%m%d-%H%M"))


def hashes(r):
    b = r.randbytes(32)
    return pick(r, "md5 %s" % hashlib.md5(b).hexdigest(), "sha1:%s" % hashlib.sha1(b).hexdigest(), "SHA256 (file) = %s" % hashlib.sha256(b).hexdigest(), "commit %s" % hashlib.sha1(b).hexdigest(),
                "index %s..%s 100644" % (hashlib.sha1(b).hexdigest()[:7], hashlib.md5(b).hexdigest()[:7]), "fixed in %s" % hashlib.sha1(b).hexdigest()[:12], hashlib.sha256(b).hexdigest().upper(), hashlib.sha512(b).hexdigest())


def phone(r):
    fr = "0%d %s" % (r.randint(1, 9), " ".join(digits(r, 2) for _ in range(4)))
    n = r.choice([fr, fr.replace(" ", "."), fr.replace(" ", ""), "+33 " + fr[1:], "0033" + fr[1:].replace(" ", ""), "+44 20 7%s %s" % (digits(r, 3), digits(r, 4)), "(0)20 7946 %s" % digits(r, 4),
                  "(%s) %s-%s" % (digits(r, 3, "4"), digits(r, 3), digits(r, 4)), "%s-%s-%s" % (digits(r, 3, "2"), digits(r, 3, "5"), digits(r, 4)), "+1 %s %s %s" % (digits(r, 3, "6"), digits(r, 3), digits(r, 4)),
                  "+49 30 %s" % digits(r, 7), "+49 (0)89 / %s-%s" % (digits(r, 5), digits(r, 2)), "+34 9%s %s %s" % (digits(r, 2), digits(r, 3), digits(r, 3)), "+39 06 %s" % digits(r, 8), "+31 20 %s" % digits(r, 7),
                  "+351 21%s %s %s" % (digits(r, 1), digits(r, 3), digits(r, 3)), "+48 %s %s %s" % (digits(r, 3), digits(r, 3), digits(r, 3)), "+46 8-%s %s %s" % (digits(r, 3), digits(r, 2), digits(r, 2)), "+47 %s %s %s" % (digits(r, 3), digits(r, 2), digits(r, 3)),
                  "+358 9 %s" % digits(r, 7), "+45 %s" % " ".join(digits(r, 2) for _ in range(4)), "+61 2 %s %s" % (digits(r, 4), digits(r, 4)), "+91 %s %s" % (digits(r, 5, "9"), digits(r, 5)), "+86 10 %s %s" % (digits(r, 4), digits(r, 4)),
                  "+55 11 9%s-%s" % (digits(r, 4), digits(r, 4)), "+41 22 %s %s %s" % (digits(r, 3), digits(r, 2), digits(r, 2)), "+32 2 %s %s %s" % (digits(r, 3), digits(r, 2), digits(r, 2)), "0800 %s %s" % (digits(r, 3), digits(r, 3))])
    return pick(r, "Tél. %s", "Tel: %s", "Phone: %s", "Call me on %s.", "Appelez le %s.", "Mobile : %s", "Fax %s", "T. %s", "Ligne directe : %s", "Office %s", "%s") % n


def uuids(r):
    u = str(uuid.UUID(bytes=r.randbytes(16), version=4))
    return pick(r, "request_id=%s", "id: %s", "{%s}", "urn:uuid:%s", "trace %s finished", "boundary=\"%s\"") % r.choice([u, u.upper(), u.replace("-", "")])


def tracking(r):
    n = r.choice(["1Z" + drawn(r, 6, UPPER + string.digits) + digits(r, 10), digits(r, 12), digits(r, 15), digits(r, 20), "9400 1%s" % " ".join([digits(r, 3)] + [digits(r, 4) for _ in range(3)] + [digits(r, 2)]),
                  "6A" + digits(r, 11), "8L" + digits(r, 11), drawn(r, 2, UPPER) + digits(r, 9) + "FR", "JD01" + digits(r, 14), "JJD" + digits(r, 18), "3S" + drawn(r, 4, UPPER) + digits(r, 9), digits(r, 10), "00" + digits(r, 18), digits(r, 14), "RR%sGB" % digits(r, 9)])
    return pick(r, "Tracking number: %s", "UPS tracking %s", "Suivi colissimo %s", "N° de suivi : %s", "FedEx %s", "DHL waybill %s", "Votre colis %s arrive demain.", "Chronopost : %s", "Your parcel %s is on its way.", "Sendungsnummer %s") % n


def books(r):
    body = r.choice(["978", "979"]) + digits(r, 9)
    ean = body + str(-sum(int(c) * (1, 3)[i % 2] for i, c in enumerate(body)) % 10)
    b10 = digits(r, 9)
    k = sum((i + 1) * int(c) for i, c in enumerate(b10)) % 11
    shop = r.choice(["301", "400", "500", "84", "761"])
    shop += digits(r, 12 - len(shop))
    shop += str(-sum(int(c) * (1, 3)[i % 2] for i, c in enumerate(shop)) % 10)
    return pick(r, "ISBN %s-%s-%s-%s-%s" % (ean[:3], ean[3], ean[4:6], ean[6:12], ean[12]), "ISBN %s" % ean, "ISBN-10: %s%s" % (b10, "X" if k == 10 else k), "EAN %s" % shop, "Code-barres : %s" % shop, "GTIN 0%s" % shop, "ISSN %s-%s" % (digits(r, 4), digits(r, 4)))


def addresses(r):
    v4 = ".".join(str(r.randint(0, 255)) for _ in range(4))
    v6 = ":".join(drawn(r, 4, HEX) for _ in range(8))
    mac = [drawn(r, 2, HEX) for _ in range(6)]
    return pick(r, "from %s port %d" % (v4, r.randint(1024, 65535)), v6, "2001:db8::%s:%s" % (drawn(r, 4, HEX), drawn(r, 4, HEX)), ":".join(mac), "-".join(mac).upper(), "%s/%d" % (v4, r.randint(8, 32)), "MAC %s.%s.%s" % tuple(drawn(r, 4, HEX) for _ in range(3)), "host-%s.example.net" % v4.replace(".", "-"))


def versions(r):
    v = "%d.%d.%d" % (r.randint(0, 30), r.randint(0, 99), r.randint(0, 20000))
    return pick(r, "version %s", "Upgraded to v%s.", "%s-1+deb12u3", "build %s." + digits(r, 4), "package_%s_amd64.deb", "KB" + digits(r, 7) + " (%s)", "Firefox/%s", "CVE-2024-" + digits(r, 5) + " in %s") % v


def blobs(r):
    b = base64.b64encode(r.randbytes(r.choice([24, 48, 90]))).decode()
    return pick(r, b, "\n".join(b[i:i + 60] for i in range(0, len(b), 60)), "bh=%s; b=%s" % (base64.b64encode(r.randbytes(32)).decode(), b), "data:image/png;base64," + b, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%s u@h" % b[:43], "nonce=" + b, "ETag: \"%s\"" % r.randbytes(12).hex())


def logs(r):
    v4 = ".".join(str(r.randint(1, 254)) for _ in range(4))
    return pick(r, "Mar 14 10:%02d:%02d mx1 postfix/smtpd[%s]: %s: client=h.example.net[%s]" % (r.randint(0, 59), r.randint(0, 59), digits(r, 5), drawn(r, 11, HEX.upper()), v4),
                "%s - - [14/Mar/2026:10:30:%02d +0100] \"GET /p/%s?id=%s HTTP/1.1\" 200 %s" % (v4, r.randint(0, 59), digits(r, 9), digits(r, 10), digits(r, 5)),
                "[%s.%s] usb 1-1: new device idVendor=%s, idProduct=%s, SerialNumber=%s" % (digits(r, 5), digits(r, 6), drawn(r, 4, HEX), drawn(r, 4, HEX), digits(r, 15)),
                "0x%s: %s %s" % (drawn(r, 16, HEX), drawn(r, 4, HEX), drawn(r, 4, HEX)), "pid=%s uid=%s session=%s duration=%s" % (digits(r, 5), digits(r, 4), digits(r, 9), digits(r, 7)),
                "Message-Id: <%s.%s@example.org>" % (digits(r, 14), drawn(r, 8, UPPER)), "Exception at line %s (thread %s)" % (digits(r, 4), digits(r, 15)))


def money(r):
    n = r.randint(1000, 999999999)
    fr = "{:,}".format(n).replace(",", " ")
    return pick(r, "%s,%02d EUR" % (fr, r.randint(0, 99)), "${:,}.{:02d}".format(n, r.randint(0, 99)), "Total : %s €" % fr, "Montant TTC %s,00" % fr, "Budget %s k€" % fr, "{:,}".format(n).replace(",", "."), "CA 2025 : %s" % fr, "net %d" % n, "Population : %s habitants" % fr)


def coordinates(r):
    a, b = r.uniform(-90, 90), r.uniform(-180, 180)
    return pick(r, "%.6f, %.6f" % (a, b), "GPS %.7f %.7f" % (a, b), "lat=%.14f&lon=%.14f" % (a, b), "48°%02d'%02d\"N 2°%02d'%02d\"E" % tuple(r.randint(0, 59) for _ in range(4)), "pi = 3.14159265358979%s" % digits(r, 6), "%.15e" % a)


def serials(r):
    return pick(r, "S/N %s" % drawn(r, 12, UPPER + string.digits), "Serial no. %s" % digits(r, 10), "N° de série : %s" % drawn(r, 10, UPPER + string.digits), "Service tag %s" % drawn(r, 7, UPPER + string.digits), "P/N %s-%s-%s" % (digits(r, 3), digits(r, 5), digits(r, 2)), "SKU %s" % digits(r, 9), "Lot %s" % digits(r, 8), "Licence XXXXX-%s" % "-".join(drawn(r, 5, UPPER + string.digits) for _ in range(4)), "Asset %s" % digits(r, 15))


def plates(r):
    return pick(r, "%s-%s-%s" % (drawn(r, 2, UPPER), digits(r, 3), drawn(r, 2, UPPER)), "%s %s %s" % (digits(r, 4), drawn(r, 3, UPPER), digits(r, 2)), "%s%s %s" % (drawn(r, 2, UPPER), digits(r, 2), drawn(r, 3, UPPER)), "plate B-%s %s" % (drawn(r, 2, UPPER), digits(r, 4)), "immatriculé %s-%s-%s" % (drawn(r, 2, UPPER), digits(r, 3), drawn(r, 2, UPPER)))


def urls(r):
    return pick(r, "https://www.example.com/p/%s/%s?ref=%s" % (digits(r, 9), digits(r, 16), drawn(r, 20, UPPER + string.digits)), "https://meet.example.com/j/%s?pwd=%s" % (digits(r, 11), drawn(r, 32, HEX)), "/var/lib/x/%s/%s.dat" % (digits(r, 9), digits(r, 13)), "u%s@example.org" % digits(r, 9), "https://example.org/doc/%s#%s" % (digits(r, 13), drawn(r, 8, HEX)), "ID de réunion : %s %s %s" % (digits(r, 3), digits(r, 4), digits(r, 4)), "Meeting ID: %s %s %s" % (digits(r, 3), digits(r, 3), digits(r, 4)), "\\\\srv\\share\\%s" % digits(r, 9))


def tables(r):
    sep = r.choice(["\t", ";", " | ", "  "])
    return "\n".join(sep.join(str(r.randint(0, 10 ** r.choice([1, 2, 3, 3, 4, 5]))) for _ in range(r.randint(4, 10))) for _ in range(r.randint(2, 6)))


def codes(r):
    return pick(r, "Your verification code is %s." % digits(r, 6), "Votre code de vérification : %s" % digits(r, 6), "Réservation %s" % drawn(r, 6, UPPER + string.digits), "vol AF%s" % digits(r, 4), "Code postal %s" % digits(r, 5), "BP %s, 76%s ROUEN CEDEX" % (digits(r, 3), digits(r, 3)),
                "DOI 10.%s/j.%s.%s" % (digits(r, 4), drawn(r, 6, "abcdefgh"), digits(r, 9)), "arXiv:%s.%s" % (digits(r, 4), digits(r, 5)), "PMID %s" % digits(r, 8), "CAS %s-%s-%s" % (digits(r, 5), digits(r, 2), digits(r, 1)), "APE 6201Z", "rev %s" % digits(r, 8),
                "Brevet EP%s" % digits(r, 7), "UAI 076%sX" % digits(r, 4), "N° étudiant %s" % digits(r, 8), "account 401%s" % digits(r, 5), "compte 512000 : %s" % digits(r, 9), "norme ISO %s-%s" % (digits(r, 5), digits(r, 1)))


def unlisted(r):
    """Names of other numbers that no list in the program holds."""
    n = r.choice([digits(r, 9), digits(r, 9), digits(r, 10), digits(r, 11), digits(r, 12), digits(r, 14), digits(r, 15), "%s %s %s" % (digits(r, 3), digits(r, 3), digits(r, 3)), digits(r, 6) + "-" + digits(r, 4)])
    return pick(r, "Voucher %s", "Bordereau n° %s", "Booking %s", "Permit %s", "Police d'assurance %s", "Badge %s", "Compteur n° %s", "Point de livraison %s", "Numéro d'adhérent %s", "Licence n° %s",
                "Kundennummer %s", "Policy number %s", "Certificate %s", "Meter %s", "Warranty no. %s", "Abonnement %s", "Folio %s", "Vertrag %s", "Claim number %s", "Sinistre n° %s") % n


def bare(r):
    """No name at all."""
    n = r.choice([digits(r, 8), digits(r, 9), digits(r, 10), digits(r, 11), digits(r, 13), "%s %s %s" % (digits(r, 3), digits(r, 3), digits(r, 3))])
    return pick(r, "We received %s on Monday.", "Voir %s pour la suite.", "%s is done, thank you.", "Merci pour %s.", "Please close %s.", "On attend encore %s.") % n


def gift_cards(r):
    """Sixteen digits that pass Luhn and are no bank's."""
    n = r.choice(["9", "7", "1", "0"]) + digits(r, 14)
    n += luhn_digit(n)
    return pick(r, "Carte de fidélité %s %s %s %s", "Loyalty no. %s %s %s %s", "Carte cadeau %s-%s-%s-%s") % (n[:4], n[4:8], n[8:12], n[12:])


KINDS = [order, invoice, reference, timestamp, hashes, phone, uuids, tracking, books, addresses, versions, blobs, logs, money, coordinates, serials, plates, urls, tables, codes, gift_cards, unlisted, bare]
