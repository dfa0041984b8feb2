"""makers.py -- valid and invalid identifiers, made from the standards.

Nothing here looks at the detectors: each check digit is computed anew from the rule that the
issuer publishes, named in `source`, so that an error in the program shows as a miss and not as agreement.

Each maker is a class with
    name      of the detector it makes values for
    source    who defines the number
    forms(r)  a list of Form: the same or different values as people write them
    invalid(r)  the same look and not valid
    labels    how people name it, by language ("en", "fr" always; the country's own where it has one)
Form.level is what the policy language promises beside a label, Form.alone what it promises without.
"""
import datetime
import hashlib
from collections import namedtuple

LOW, MEDIUM, HIGH, NONE = "low", "medium", "high", None
Form = namedtuple("Form", "text alone level")


def form(text, alone=NONE, level=HIGH):
    return Form(text, alone, level)


def digits(r, n, first=None):
    return (first if first is not None else "") + "".join(r.choice("0123456789") for _ in range(n - len(first or "")))


def group(s, *sizes, sep=" "):
    out, at = [], 0
    for n in sizes:
        out.append(s[at:at + n])
        at += n
    assert at == len(s), (s, sizes)
    return sep.join(out)


def fours(s, sep=" "):
    return sep.join(s[i:i + 4] for i in range(0, len(s), 4))


def luhn_digit(body):
    """ISO/IEC 7812-1 annex B: double every second digit from the right, add the digits."""
    total = 0
    for i, c in enumerate(reversed(body)):
        v = int(c) * (2 if i % 2 == 0 else 1)
        total += v // 10 + v % 10
    return str(-total % 10)


def luhn_ok(s):
    return luhn_digit(s[:-1]) == s[-1]


def other_digit(r, s, at=-1):
    """The same with one digit changed."""
    at %= len(s)
    return s[:at] + r.choice([c for c in "0123456789" if c != s[at]]) + s[at + 1:]


def mod97(s):
    """ISO 7064 MOD 97-10 over letters as two digits."""
    return int("".join(str(int(c, 36)) for c in s)) % 97


def a_date(r, first=1930, last=2009):
    start = datetime.date(first, 1, 1).toordinal()
    return datetime.date.fromordinal(r.randint(start, datetime.date(last, 12, 31).toordinal()))


def until(make, good):
    while True:
        v = make()
        if good(v):
            return v


MAKERS = {}


def maker(cls):
    MAKERS[cls.name] = cls()
    return cls


# --- payment and bank ----------------------------------------------------------------------

@maker
class PaymentCard:
    name = "payment-card"
    source = "ISO/IEC 7812-1; ranges: Visa, Mastercard (2-series 2016), American Express, Discover, JCB, UnionPay rules"
    labels = {"en": ["card number", "credit card", "Visa card", "card no.", "Mastercard", "debit card number",
                     "payment card", "credit card number", "Amex"],
              "fr": ["numéro de carte", "carte bancaire", "n° de carte bancaire", "CB n°", "carte bleue",
                     "numéro de carte de crédit", "carte Visa", "numéro de CB"]}
    ISSUERS = [("4", 16, 5), ("51", 16, 1), ("52", 16, 1), ("53", 16, 1), ("54", 16, 1), ("55", 16, 1),
               ("34", 15, 1), ("37", 15, 1), ("6011", 16, 1), ("644", 16, 1), ("65", 16, 1), ("36", 14, 1),
               ("300", 14, 1), ("3530", 16, 1), ("3589", 16, 1), ("62", 16, 1), ("6759", 16, 1), ("2200", 16, 1)]

    def value(self, r):
        if r.random() < 0.1:
            head, n = str(r.randint(222100, 272099)), 16
        else:
            head, n, _ = r.choices(self.ISSUERS, [w for _, _, w in self.ISSUERS])[0]
        body = digits(r, n - 1, head)
        return body + luhn_digit(body)

    def write(self, s):
        if len(s) == 15:
            spaced, dashed = group(s, 4, 6, 5), group(s, 4, 6, 5, sep="-")
        elif len(s) == 14:
            spaced, dashed = group(s, 4, 6, 4), group(s, 4, 6, 4, sep="-")
        else:
            spaced, dashed = fours(s), fours(s, "-")
        return spaced, dashed

    def forms(self, r):
        s = self.value(r)
        spaced, dashed = self.write(s)
        out = [form(spaced, MEDIUM), form(dashed, MEDIUM), form(spaced, MEDIUM)]
        if len(s) in (15, 16):
            out.append(form(s, LOW))
        else:
            out.append(form(s, LOW, MEDIUM))
        return out

    def invalid(self, r):
        s = other_digit(r, self.value(r))
        return r.choice([s, self.write(s)[0]])


IBANS = {   # SWIFT IBAN registry: n digits, a letters, c either
    "FR": "nnnnnnnnnnccccccccccckk", "MC": "nnnnnnnnnnccccccccccckk", "DE": "n" * 18, "GB": "aaaa" + "n" * 14,
    "BE": "n" * 10 + "bb", "ES": "n" * 20, "IT": "a" + "n" * 10 + "c" * 12, "NL": "aaaa" + "n" * 10,
    "PT": "n" * 21, "CH": "n" * 5 + "c" * 12, "LU": "nnn" + "c" * 13, "AT": "n" * 16, "PL": "n" * 24,
    "SE": "n" * 20, "NO": "n" * 11, "DK": "n" * 14, "FI": "n" * 14, "IE": "aaaa" + "n" * 14, "AE": "n" * 19,
    "SA": "nn" + "c" * 18, "TR": "n" * 5 + "n" + "c" * 16, "GR": "n" * 7 + "c" * 16, "RO": "aaaa" + "c" * 16,
    "CZ": "n" * 20, "SK": "n" * 20, "HU": "n" * 24, "HR": "n" * 17, "SI": "n" * 15, "LT": "n" * 16,
    "LV": "aaaa" + "c" * 13, "EE": "n" * 16, "MT": "aaaa" + "n" * 5 + "c" * 18, "CY": "n" * 8 + "c" * 16,
    "BG": "aaaa" + "n" * 6 + "c" * 8, "IS": "n" * 22, "LI": "n" * 5 + "c" * 12, "MA": "n" * 24, "TN": "n" * 20,
    "BR": "n" * 23 + "ac", "IL": "n" * 19, "KZ": "nnn" + "c" * 13, "UA": "n" * 6 + "c" * 19}
IBANS.pop("MA")     # not in the registry


def rib_key(bank_branch_account):
    """CFONB: letters A-I 1-9, J-R 1-9, S-Z 2-9; key = 97 - (100 * number mod 97)."""
    plain = "".join(c if c.isdigit() else str((ord(c) - 65) % 9 + 1 if c < "S" else ord(c) - 83 + 2)
                    for c in bank_branch_account)
    return "%02d" % (97 - int(plain) * 100 % 97)


@maker
class Iban:
    name = "iban"
    source = "ISO 13616-1; SWIFT IBAN registry (structures), ISO 7064 MOD 97-10"
    labels = {"en": ["IBAN", "bank account", "account number (IBAN)", "our IBAN", "bank details, IBAN"],
              "fr": ["IBAN", "compte bancaire", "notre IBAN", "coordonnées bancaires, IBAN", "n° IBAN"],
              "de": ["IBAN", "Bankverbindung", "Kontonummer (IBAN)"], "es": ["IBAN", "cuenta bancaria"],
              "it": ["IBAN", "conto corrente"], "nl": ["IBAN", "rekeningnummer"], "pl": ["IBAN", "numer konta"],
              "pt": ["IBAN", "conta bancária"], "sv": ["IBAN", "bankkonto"], "da": ["IBAN", "kontonummer"],
              "fi": ["IBAN", "tilinumero"], "no": ["IBAN", "kontonummer"]}

    def value(self, r, country=None):
        country = country or r.choice(["FR"] * 8 + ["DE", "GB", "BE", "ES", "IT", "NL"] + sorted(IBANS))
        b = ""
        for k in IBANS[country]:
            b += {"n": lambda: r.choice("0123456789"), "a": lambda: r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                  "c": lambda: r.choice("0123456789" * 4 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ")}.get(k, lambda: k)()
        if b.endswith("kk"):
            b = b[:-2] + rib_key(b[:-2])
        if b.endswith("bb"):
            b = b[:-2] + "%02d" % (int(b[:-2]) % 97 or 97)
        return country + "%02d" % (98 - mod97(b + country + "00")) + b

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(fours(s), MEDIUM), form(fours(s), MEDIUM), form(s.lower(), MEDIUM),
                form(fours(s, "-"), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        s = s[:2] + other_digit(r, s[2:4]) + s[4:]
        return r.choice([s, fours(s)])


@maker
class Bic:
    name = "bic"
    source = "ISO 9362; the codes are those that the banks print on their own pages"
    labels = {"en": ["BIC", "SWIFT", "BIC/SWIFT", "SWIFT code", "BIC code"],
              "fr": ["BIC", "code BIC", "code SWIFT", "BIC/SWIFT", "BIC (SWIFT)"]}
    BANKS = """BNPAFRPPXXX SOGEFRPP CRLYFRPP AGRIFRPP882 CEPAFRPP751 CMCIFR2A PSSTFRPPPAR CCBPFRPPMTG BREDFRPPXXX
        CCFRFRPP AXABFRPP BOUSFRPPXXX FTNOFRP1XXX DEUTDEFF500 COBADEFFXXX HYVEDEMM GENODEFF PBNKDEFF INGDDEFF
        BARCGB22 HBUKGB4B LOYDGB2L NWBKGB2L MIDLGB22 CHASUS33 CITIUS33 BOFAUS3N WFBIUS6S INGBNL2A ABNANL2A RABONL2U
        KREDBEBB GEBABEBB BBRUBEBB UBSWCHZH80A CRESCHZZ80A POFICHBE BBVAESMM CAIXESBB BSCHESMM UNCRITMM BCITITMM
        BKAUATWW GIBAATWW NDEAFIHH DNBANOKK DABADKKK ESSESESS SWEDSESS HANDSESS BCOMPTPL CGDIPTPL PKOPPLPW BREXPLPW
        ROYCCAT2 TDOMCATT BOTKJPJT BKCHCNBJ HSBCHKHH ICBKCNBJ REVOLT21 NTSBDEB1 TRWIBEB1""".split()

    # Eight capitals of banks that are not among the large ones: they may be a word.
    SMALL = "PICTCHGG LOCYCHGG VONTCHZZ EFGBCHZZ KBLXLULL SBININBB HDFCINBB EBILAEAD NBADAEAA QNBAQAQA BMCEMAMC BCMAMAMC".split()

    def forms(self, r):
        if r.random() < 0.2:
            return [form(r.choice(self.SMALL), NONE, MEDIUM)]
        return [form(r.choice(self.BANKS), NONE, HIGH)]

    def invalid(self, r):
        return r.choice(["ATTENTION", "RECEPTION", "MAINTENANT", "DOCUMENTS", "VALIDATION", "BNPAQQPP", "SERVICES",
                         "CONFIDENTIEL", "VIREMENTS", "PAYMENTS", "INTERNAL", "TRANSFER"])


@maker
class FrRib:
    name = "fr-rib"
    source = "CFONB, relevé d'identité bancaire: key = 97 - (89 bank + 15 branch + 3 account) mod 97"
    labels = {"en": ["bank account (RIB)", "bank details", "account number", "RIB"],
              "fr": ["RIB", "relevé d'identité bancaire", "mon RIB", "compte bancaire", "n° de compte"]}

    def value(self, r):
        account = digits(r, 11) if r.random() < 0.7 else digits(r, 7) + r.choice("ABCDEFGHJKLMNPRST") + digits(r, 3)
        s = r.choice(["30004", "30003", "30002", "20041", "10278", "14518", "17515", "18206", "30066"]) + digits(r, 5) + account
        return s + rib_key(s)

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 5, 5, 11, 2), MEDIUM), form(s, LOW), form(group(s, 5, 5, 11, 2, sep="-"), MEDIUM)]

    def invalid(self, r):
        s = other_digit(r, self.value(r))
        return r.choice([s, group(s, 5, 5, 11, 2)])


@maker
class UsAba:
    name = "us-aba"
    source = "American Bankers Association, routing number policy: 3-7-1 check, Federal Reserve prefixes"
    labels = {"en": ["routing number", "ABA routing number", "ABA", "bank routing number", "ABA number"],
              "fr": ["numéro de routage", "code ABA", "ABA", "routing number"]}

    def value(self, r):
        s = r.choice(["02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "01", "26", "31"]) + digits(r, 6)
        total = sum(w * int(c) for w, c in zip((3, 7, 1, 3, 7, 1, 3, 7), s))
        return s + str(-total % 10)

    def forms(self, r):
        return [form(self.value(r))]

    def invalid(self, r):
        return other_digit(r, self.value(r))


@maker
class Isin:
    name = "isin"
    source = "ISO 6166: letters as two digits, then Luhn"
    labels = {"en": ["ISIN", "ISIN code", "bond, ISIN", "fund ISIN"], "fr": ["ISIN", "code ISIN", "titre (ISIN)", "fonds, ISIN"]}

    def value(self, r):
        c = r.choice(["FR", "US", "DE", "GB", "LU", "IE", "NL", "CH", "JP", "XS"])
        s = c + ("00" if c == "FR" else "") + "".join(r.choice("0123456789" * 3 + "ABCDEFGHJKLMNPQRSTUVWXYZ")
                                                     for _ in range(7 if c == "FR" else 9))
        return s + luhn_digit("".join(str(int(x, 36)) for x in s))

    def forms(self, r):
        s = until(lambda: self.value(r), lambda v: sum(c.isdigit() for c in v) > 5)
        return [form(s, LOW)]

    def invalid(self, r):
        s = self.value(r)
        return r.choice([other_digit(r, s), "QZ" + s[2:]])


B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
B32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(version, program):
    """BIP 173 (version 0) and BIP 350 (above)."""
    def polymod(values):
        chk = 1
        for v in values:
            top = chk >> 25
            chk = (chk & 0x1ffffff) << 5 ^ v
            for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)):
                if top >> i & 1:
                    chk ^= g
        return chk
    bits = int.from_bytes(program, "big") << (-8 * len(program) % 5)
    n = (8 * len(program) + 4) // 5
    data = [version] + [bits >> 5 * (n - 1 - i) & 31 for i in range(n)]
    hrp = [ord("b") >> 5, ord("c") >> 5, 0, ord("b") & 31, ord("c") & 31]
    chk = polymod(hrp + data + [0] * 6) ^ (1 if version == 0 else 0x2bc830a3)
    return "bc1" + "".join(B32[v] for v in data + [chk >> 5 * (5 - i) & 31 for i in range(6)])


@maker
class Bitcoin:
    name = "bitcoin-address"
    source = "Base58Check (Bitcoin wiki), BIP 173, BIP 350"
    labels = {"en": ["Bitcoin address", "BTC wallet", "wallet address", "send BTC to"],
              "fr": ["adresse Bitcoin", "portefeuille BTC", "adresse BTC", "portefeuille bitcoin"]}

    def value(self, r):
        k = r.random()
        if k < 0.35:
            return bech32(0, r.randbytes(20 if k < 0.25 else 32))
        if k < 0.5:
            return bech32(1, r.randbytes(32))
        raw = bytes([r.choice([0, 5])]) + r.randbytes(20)
        raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
        n, out = int.from_bytes(raw, "big"), ""
        while n:
            n, d = divmod(n, 58)
            out = B58[d] + out
        return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + out

    def forms(self, r):
        return [form(self.value(r), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        at = r.randint(5, len(s) - 2)
        alphabet = B32 if s.startswith("bc1") else B58
        return s[:at] + r.choice([c for c in alphabet if c != s[at]]) + s[at + 1:]


# --- France --------------------------------------------------------------------------------

@maker
class FrNir:
    name = "fr-nir"
    source = "Décret 82-103; INSEE: key = 97 - (13 digits mod 97), 2A as 19, 2B as 18"
    labels = {"en": ["social security number", "French social security number", "NIR", "patient"],
              "fr": ["n° de sécurité sociale", "numéro de sécurité sociale", "NIR", "n° sécu", "numéro INSEE",
                     "assuré social", "patient", "numéro SS", "immatriculation"]}

    def value(self, r):
        dep = r.choice(["%02d" % i for i in range(1, 96) if i != 20] + ["2A", "2B", "99", "97"])
        town = "%03d" % r.randint(1, 699)
        s = r.choice("12") + "%02d%02d" % (r.randint(0, 99), r.randint(1, 12)) + dep + town + "%03d" % r.randint(1, 999)
        return s + "%02d" % (97 - int(s.replace("2A", "19").replace("2B", "18")) % 97)

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 1, 2, 2, 2, 3, 3, 2), MEDIUM), form(group(s, 1, 2, 2, 2, 3, 3, 2), MEDIUM), form(s, MEDIUM),
                form(group(s, 13, 2), MEDIUM), form(group(s, 1, 2, 2, 2, 3, 3, 2, sep="."), MEDIUM),
                form(group(s, 1, 2, 2, 2, 3, 3, 2, sep="-"), MEDIUM)]

    def invalid(self, r):
        s = other_digit(r, self.value(r))
        return r.choice([s, group(s, 1, 2, 2, 2, 3, 3, 2)])


def siren(r):
    s = r.choice("3456789") + digits(r, 7)
    return s + luhn_digit(s)


@maker
class FrSiren:
    name = "fr-siren"
    source = "INSEE, SIRENE: nine digits, Luhn"
    labels = {"en": ["SIREN", "company number (SIREN)", "SIREN number", "RCS Paris"],
              "fr": ["SIREN", "n° SIREN", "numéro SIREN", "RCS Lyon", "R.C.S. Nanterre", "immatriculée au registre du commerce sous le numéro"]}

    def forms(self, r):
        s = siren(r)
        return [form(group(s, 3, 3, 3)), form(s), form(group(s, 3, 3, 3, sep="."))]

    def invalid(self, r):
        s = other_digit(r, siren(r))
        return r.choice([s, group(s, 3, 3, 3)])


@maker
class FrSiret:
    name = "fr-siret"
    source = "INSEE, SIRENE: SIREN and NIC, Luhn; La Poste (356 000 000): digit sum divides by 5"
    labels = {"en": ["SIRET", "SIRET number", "establishment number (SIRET)"],
              "fr": ["SIRET", "n° SIRET", "numéro SIRET", "N° de SIRET"]}

    def value(self, r):
        if r.random() < 0.03:
            return until(lambda: "356000000" + digits(r, 5), lambda v: sum(map(int, v)) % 5 == 0)
        s = siren(r) + "00" + digits(r, 2)
        return s + luhn_digit(s)

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 3, 3, 3, 5), MEDIUM), form(s), form(group(s, 9, 5), MEDIUM)]

    def invalid(self, r):
        s = until(lambda: other_digit(r, self.value(r)), lambda v: v[:9] != "356000000")
        return r.choice([s, group(s, 3, 3, 3, 5)])


@maker
class FrTva:
    name = "fr-tva"
    source = "BOI-TVA-DECLA-20-10-40; European Commission, VIES: key = (12 + 3 (SIREN mod 97)) mod 97"
    labels = {"en": ["VAT number", "VAT no.", "VAT ID", "EU VAT"],
              "fr": ["TVA intracommunautaire", "n° TVA", "numéro de TVA", "N° de TVA intracommunautaire", "TVA"]}

    def value(self, r):
        s = siren(r)
        return "FR%02d" % ((12 + 3 * (int(s) % 97)) % 97) + s

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(group(s, 2, 2, 3, 3, 3), MEDIUM), form(group(s, 4, 3, 3, 3), MEDIUM), form(group(s, 4, 9), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        return "FR%02d" % ((int(s[2:4]) + r.randint(1, 96)) % 97) + s[4:]


@maker
class FrSpi:
    name = "fr-spi"
    source = "DGFiP, numéro fiscal de référence: last three digits = first ten mod 511"
    labels = {"en": ["tax number", "French tax id", "tax identification number"],
              "fr": ["numéro fiscal", "n° fiscal", "identifiant fiscal", "numéro fiscal de référence", "SPI"]}

    def value(self, r):
        s = r.choice("0123") + digits(r, 9)
        return s + "%03d" % (int(s) % 511)

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 2, 2, 3, 3, 3), MEDIUM), form(s, LOW)]

    def invalid(self, r):
        return other_digit(r, self.value(r))


@maker
class FrRpps:
    name = "fr-rpps"
    source = "ANS (esante.gouv.fr), RPPS: eleven digits, 10 or 81 in front, Luhn"
    labels = {"en": ["RPPS", "health professional (RPPS)", "RPPS number"],
              "fr": ["RPPS", "n° RPPS", "numéro RPPS", "identifiant RPPS"]}

    def value(self, r):
        s = r.choice(["10", "810"]) 
        s = digits(r, 10, s)
        return s + luhn_digit(s)

    def forms(self, r):
        return [form(self.value(r))]

    def invalid(self, r):
        return other_digit(r, self.value(r))


@maker
class FrFiness:
    name = "fr-finess"
    source = "DREES, FINESS: department, serial, Luhn"
    labels = {"en": ["FINESS", "FINESS number", "health facility (FINESS)"],
              "fr": ["FINESS", "n° FINESS", "numéro FINESS", "FINESS géographique", "FINESS juridique"]}

    def value(self, r):
        s = "%02d" % r.choice([i for i in range(1, 96) if i != 20]) + r.choice(["0", "0", "0", "1", "8"]) + digits(r, 5)
        return s + luhn_digit(s)

    def forms(self, r):
        s = self.value(r)
        return [form(s), form(s), form(group(s, 2, 7))]

    def invalid(self, r):
        return other_digit(r, self.value(r))
