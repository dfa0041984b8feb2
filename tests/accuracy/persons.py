"""persons.py -- identity, tax and health numbers of other countries than France.

See makers.py for what a maker is.
"""
import string

from makers import (HIGH, LOW, MAKERS, MEDIUM, NONE, a_date, digits, form, group, luhn_digit, luhn_ok, maker,
                      other_digit, until)

UPPER = string.ascii_uppercase


def weigh(s, weights):
    return sum(int(c) * w for c, w in zip(s, weights))


class Digits:
    """A number of digits: value() and the groupings people use."""
    def invalid(self, r):
        s = other_digit(r, self.value(r))
        return r.choice([s, self.spaced(s)])


@maker
class UkNhs(Digits):
    name = "uk-nhs"
    source = "NHS Data Dictionary, NHS NUMBER: weights 10 to 2, 11 - (sum mod 11), 10 invalid"
    labels = {"en": ["NHS number", "NHS no.", "NHS No", "patient NHS number"], "fr": ["numéro NHS", "NHS"]}

    def value(self, r):
        while True:
            s = digits(r, 9, r.choice("467"))
            k = 11 - weigh(s, range(10, 1, -1)) % 11
            if k != 10:
                return s + str(k % 11)

    def spaced(self, s):
        return group(s, 3, 3, 4)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), LOW), form(s), form(group(s, 3, 3, 4, sep="-"), LOW)]


@maker
class UkNino:
    name = "uk-nino"
    source = "HMRC, National Insurance Manual NIM39110: unused prefixes, suffix A-D"
    labels = {"en": ["National Insurance number", "NI number", "NINO", "N.I. number", "NI no."],
              "fr": ["numéro d'assurance nationale", "National Insurance number"]}

    def value(self, r):
        while True:
            p = r.choice("ABCEGHJKLMNOPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
            if p not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
                return p + digits(r, 6) + r.choice("ABCD")

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 2, 2, 2, 2, 1), MEDIUM), form(s, LOW), form(s.lower(), LOW)]

    def invalid(self, r):
        return r.choice(["QQ", "BG", "GB", "DA", "FV", "UB", "IO"]) + digits(r, 6) + r.choice("ABCD")


@maker
class UsSsn(Digits):
    name = "us-ssn"
    source = "SSA, POMS RM 10201.030-035: no 000, 666, 9xx; no 00; no 0000"
    labels = {"en": ["SSN", "social security number", "Social Security No.", "SSN#", "social security"],
              "fr": ["numéro de sécurité sociale américaine", "SSN"]}

    def value(self, r):
        return until(lambda: "%03d%02d%04d" % (r.randint(1, 899), r.randint(1, 99), r.randint(1, 9999)),
                     lambda s: s[:3] != "666" and s != "123456789")

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 3, 2, 4, sep="-"), MEDIUM), form(group(s, 3, 2, 4, sep="-"), MEDIUM),
                form(s, NONE, MEDIUM), form(group(s, 3, 2, 4), LOW)]

    def invalid(self, r):
        return r.choice(["000-", "666-", "9%02d-" % r.randint(0, 99)]) + "%02d-" % r.randint(1, 49) + digits(r, 4)


@maker
class UsItin(Digits):
    name = "us-itin"
    source = "IRS, Publication 1915: 9xx, groups 50-65, 70-88, 90-92, 94-99"
    labels = {"en": ["ITIN", "individual taxpayer identification number", "taxpayer ID", "ITIN number"],
              "fr": ["numéro fiscal américain (ITIN)", "ITIN"]}

    def value(self, r):
        g = r.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
        return "9%02d%02d%04d" % (r.randint(0, 99), g, r.randint(1, 9999))

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 3, 2, 4, sep="-"), MEDIUM), form(s, NONE, MEDIUM)]

    def invalid(self, r):
        return "9%02d-%02d-%04d" % (r.randint(0, 99), r.choice([*range(0, 50), 66, 67, 68, 69, 89, 93]), r.randint(1, 9999))


@maker
class UsNpi(Digits):
    name = "us-npi"
    source = "CMS, NPI standard (45 CFR 162.406): Luhn over 80840 and the number"
    labels = {"en": ["NPI", "National Provider Identifier", "provider NPI", "NPI number"], "fr": ["NPI", "prescripteur (NPI)"]}

    def value(self, r):
        s = digits(r, 9, r.choice("12"))
        return s + luhn_digit("80840" + s)

    def spaced(self, s):
        return s

    def forms(self, r):
        return [form(self.value(r))]


@maker
class DeSteuerId(Digits):
    name = "de-steuer-id"
    source = "Bundeszentralamt für Steuern; AO § 139b; ISO 7064 MOD 11,10; one digit two or three times"
    labels = {"en": ["German tax ID", "tax identification number", "tax number"], "fr": ["numéro fiscal allemand", "numéro fiscal"],
              "de": ["Steuer-ID", "Steueridentifikationsnummer", "Identifikationsnummer", "IdNr.", "Steuer-Identifikationsnummer", "steuerliche Identifikationsnummer"]}

    def value(self, r):
        while True:
            ten = r.sample("0123456789", 9)
            again = r.choice(ten)
            ten.insert(r.randint(0, 9), again)
            s = "".join(ten)
            if s[0] != "0" and again * 3 not in s:
                break
        p = 10
        for c in s:
            m = (int(c) + p) % 10 or 10
            p = 2 * m % 11
        return s + str((11 - p) % 10)

    def spaced(self, s):
        return group(s, 2, 3, 3, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(s, LOW)]


@maker
class ChAhv(Digits):
    name = "ch-ahv"
    source = "ZAS/CdC, NAVS13: 756 and the EAN-13 check digit"
    labels = {"en": ["AHV number", "Swiss social security number", "OASI number"], "fr": ["n° AVS", "numéro AVS", "NAVS13", "AVS"],
              "de": ["AHV-Nr.", "AHV-Nummer", "Sozialversicherungsnummer"], "it": ["numero AVS", "AVS"]}

    def value(self, r):
        s = digits(r, 12, "756")
        return s + str(-weigh(s, (1, 3) * 6) % 10)

    def spaced(self, s):
        return group(s, 3, 4, 4, 2, sep=".")

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(self.spaced(s), MEDIUM), form(s, LOW)]


DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


@maker
class EsDni:
    name = "es-dni"
    source = "Ministerio del Interior, Real Decreto 1553/2005: letter = number mod 23"
    labels = {"en": ["DNI", "Spanish ID card", "national ID"], "fr": ["DNI", "carte d'identité espagnole", "pièce d'identité"],
              "es": ["DNI", "D.N.I.", "NIF", "documento nacional de identidad", "DNI/NIF", "DNI n.º"]}

    def value(self, r):
        s = digits(r, 8)
        return s + DNI[int(s) % 23]

    def forms(self, r):
        s = self.value(r)
        return [form(s, LOW), form(group(s, 8, 1, sep="-"), MEDIUM), form(group(s[:8], 2, 3, 3, sep=".") + "-" + s[8], MEDIUM),
                form(group(s, 8, 1), MEDIUM), form(s.lower(), LOW)]

    def invalid(self, r):
        s = self.value(r)
        return s[:8] + r.choice([c for c in DNI if c != s[8]])


@maker
class EsNie:
    name = "es-nie"
    source = "Ministerio del Interior, Orden INT/2058/2008: X, Y, Z as 0, 1, 2; letter mod 23"
    labels = {"en": ["NIE", "foreigner number (NIE)", "residence permit"], "fr": ["NIE", "numéro d'étranger (NIE)", "titre de séjour"],
              "es": ["NIE", "N.I.E.", "número de identidad de extranjero", "tarjeta de residencia"]}

    def value(self, r):
        x, s = r.randint(0, 2), digits(r, 7)
        return "XYZ"[x] + s + DNI[int(str(x) + s) % 23]

    def forms(self, r):
        s = self.value(r)
        return [form(s, LOW), form(group(s, 1, 7, 1, sep="-"), MEDIUM), form(s.lower(), LOW)]

    def invalid(self, r):
        s = self.value(r)
        return s[:8] + r.choice([c for c in DNI if c != s[8]])


@maker
class ItCf:
    name = "it-codice-fiscale"
    source = "Decreto 12/3/1974; Agenzia delle Entrate: odd and even tables, letter mod 26"
    labels = {"en": ["codice fiscale", "Italian tax code", "tax code", "fiscal code"], "fr": ["code fiscal", "code fiscal italien", "codice fiscale"],
              "it": ["codice fiscale", "C.F.", "cod. fisc.", "Codice Fiscale", "CF"]}
    ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                   [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]))

    def value(self, r):
        d = a_date(r)
        day = d.day + (40 if r.random() < 0.5 else 0)
        con = "BCDFGLMNPRSTVZ"
        s = "".join(r.choice(con) for _ in range(6)) + "%02d" % (d.year % 100) + "ABCDEHLMPRST"[d.month - 1] + "%02d" % day
        s += r.choice("ABCDEFGHIL") + "%03d" % r.randint(1, 999)
        return s + self.key(s)

    def key(self, s):
        total = sum(self.ODD[c] if i % 2 == 0 else int(c) if c.isdigit() else ord(c) - 65 for i, c in enumerate(s))
        return UPPER[total % 26]

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(s, MEDIUM), form(s.lower(), MEDIUM), form(group(s, 3, 3, 5, 5), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        return s[:15] + r.choice([c for c in UPPER if c != s[15]])


@maker
class BeNn(Digits):
    name = "be-nn"
    source = "Arrêté royal du 3 avril 1984; Registre national: 97 - (9 digits mod 97), 2 in front from 2000"
    labels = {"en": ["Belgian national number", "national register number", "national number"],
              "fr": ["numéro de registre national", "registre national", "n° national", "NISS", "numéro national"],
              "nl": ["rijksregisternummer", "rijksregisternr.", "INSZ", "INSZ-nummer"]}

    def value(self, r):
        d = a_date(r)
        s = d.strftime("%y%m%d") + "%03d" % r.randint(1, 997)
        n = int(("2" if d.year >= 2000 else "") + s)
        return s + "%02d" % (97 - n % 97)

    def spaced(self, s):
        return "%s.%s.%s-%s.%s" % (s[:2], s[2:4], s[4:6], s[6:9], s[9:])

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(s, LOW), form("%s %s %s" % (s[:6], s[6:9], s[9:]), MEDIUM),
                form(self.spaced(s), MEDIUM)]


@maker
class NlBsn(Digits):
    name = "nl-bsn"
    source = "Rijksdienst voor Identiteitsgegevens: elfproef with -1 for the last digit"
    labels = {"en": ["BSN", "citizen service number", "Dutch BSN"], "fr": ["BSN", "numéro de service citoyen"],
              "nl": ["BSN", "burgerservicenummer", "BSN-nummer", "sofinummer"]}

    def value(self, r):
        return until(lambda: digits(r, 9, r.choice("123456")), lambda s: (weigh(s[:8], range(9, 1, -1)) - int(s[8])) % 11 == 0)

    def spaced(self, s):
        return group(s, 4, 2, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(s), form(group(s, 4, 2, 3, sep=".")), form(group(s, 3, 3, 3))]


@maker
class PtNif(Digits):
    name = "pt-nif"
    source = "Portaria 41/2013, AT: weights 9 to 2, 11 - mod 11, above 9 is 0"
    labels = {"en": ["Portuguese tax number", "NIF"], "fr": ["NIF", "numéro fiscal portugais", "NIF portugais"],
              "pt": ["NIF", "número de contribuinte", "contribuinte n.º", "número fiscal", "N.I.F."]}

    def value(self, r):
        s = digits(r, 8, r.choice("12356"))
        k = 11 - weigh(s, range(9, 1, -1)) % 11
        return s + str(0 if k > 9 else k)

    def spaced(self, s):
        return group(s, 3, 3, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(s), form(self.spaced(s))]


@maker
class PlPesel(Digits):
    name = "pl-pesel"
    source = "Ustawa o ewidencji ludności art. 15; gov.pl: weights 1 3 7 9, century in the month"
    labels = {"en": ["PESEL", "Polish national ID (PESEL)", "PESEL number"], "fr": ["PESEL", "numéro PESEL"],
              "pl": ["PESEL", "nr PESEL", "numer PESEL", "PESEL-u"]}

    def value(self, r):
        d = a_date(r)
        s = "%02d%02d%02d" % (d.year % 100, d.month + (20 if d.year >= 2000 else 0), d.day) + digits(r, 4)
        return s + str(-weigh(s, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)

    def spaced(self, s):
        return s

    def forms(self, r):
        return [form(self.value(r), LOW)]


@maker
class SePnr(Digits):
    name = "se-pnr"
    source = "Folkbokföringslagen 18 §; Skatteverket SKV 704: Luhn over ten digits, + from 100 years on"
    labels = {"en": ["Swedish personal number", "personal identity number", "personnummer"], "fr": ["numéro personnel suédois", "personnummer"],
              "sv": ["personnummer", "pers.nr", "personnr", "samordningsnummer", "pnr"]}

    def value(self, r, long=None):
        d = a_date(r)
        day = d.day + (60 if r.random() < 0.05 else 0)
        s = "%02d%02d%02d" % (d.year % 100, d.month, day) + digits(r, 3)
        return str(d.year // 100) + s + luhn_digit(s)

    def spaced(self, s):
        return s[2:8] + "-" + s[8:]

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(self.spaced(s), MEDIUM), form(s[:8] + "-" + s[8:], MEDIUM), form(s, LOW), form(s[2:]),
                form(s[2:8] + "+" + s[8:], MEDIUM)]

    def invalid(self, r):
        s = other_digit(r, self.value(r))
        return r.choice([self.spaced(s), s])


@maker
class NoFnr(Digits):
    name = "no-fnr"
    source = "Skatteetaten; folkeregisterforskriften § 2-2-1: two digits mod 11, D-number day + 40"
    labels = {"en": ["Norwegian national identity number", "birth number", "national identity number"],
              "fr": ["numéro national norvégien", "fødselsnummer"], "no": ["fødselsnummer", "fnr.", "personnummer", "D-nummer", "fødselsnr."]}

    def value(self, r):
        while True:
            d = a_date(r)
            day = d.day + (40 if r.random() < 0.1 else 0)
            s = "%02d%02d%02d" % (day, d.month, d.year % 100) + digits(r, 3)
            a = -weigh(s, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
            b = -weigh(s + str(a), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 if a < 10 else 10
            if b < 10:
                return s + str(a) + str(b)

    def spaced(self, s):
        return group(s, 6, 5)

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(self.spaced(s), MEDIUM)]


@maker
class FiHetu:
    name = "fi-hetu"
    source = "Digi- ja väestötietovirasto: number mod 31; century signs of decree 690/2022"
    labels = {"en": ["Finnish personal identity code", "personal identity code", "HETU"], "fr": ["code d'identité finlandais", "hetu"],
              "fi": ["henkilötunnus", "hetu", "HETU", "henkilötunnuksesi", "henkilötunnuksen"], "sv": ["personbeteckning"]}

    def value(self, r, signs=None):
        d = a_date(r)
        sign = r.choice("-----YXWVU") if d.year < 2000 else r.choice("AAAAABCDEF")
        n = "%03d" % r.randint(2, 899)
        s = d.strftime("%d%m%y")
        return s + sign + n + "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(s + n) % 31]

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(s, MEDIUM), form(s.lower(), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        return s[:-1] + r.choice([c for c in "0123456789ABCDEFHJKLMNPRSTUVWXY" if c != s[-1]])


@maker
class DkCpr(Digits):
    name = "dk-cpr"
    source = "CPR-kontoret, Personnummeret i CPR: weights 4327654321 mod 11, not asked for since 2007"
    labels = {"en": ["CPR number", "Danish CPR", "civil registration number"], "fr": ["numéro CPR", "numéro personnel danois (CPR)"],
              "da": ["CPR-nr.", "CPR-nummer", "cpr", "personnummer", "CPR nr."]}

    def value(self, r):
        while True:
            s = a_date(r).strftime("%d%m%y") + digits(r, 3)
            k = -weigh(s, (4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
            if k < 10:
                return s + str(k)

    def forms(self, r):
        s = self.value(r)
        late = a_date(r, 2008, 2020).strftime("%d%m%y") + "-" + digits(r, 4)
        return [form(group(s, 6, 4, sep="-"), MEDIUM), form(group(s, 6, 4, sep="-"), MEDIUM), form(s), form(group(s, 6, 4), MEDIUM), form(late, LOW, MEDIUM)]

    def invalid(self, r):
        return "%02d%02d%02d-%s" % (r.choice([0, 32, 45, 77]), r.choice([0, 13, 30]), r.randint(0, 99), digits(r, 4))


@maker
class IePps:
    name = "ie-pps"
    source = "Department of Social Protection; Revenue: weights 8 to 2 and 9 for the second letter, mod 23"
    labels = {"en": ["PPS number", "PPSN", "PPS No.", "Personal Public Service number"], "fr": ["numéro PPS", "PPSN"]}

    def value(self, r):
        s, two = digits(r, 7), r.choice(["", "", "A", "A", "H"])
        total = weigh(s, range(8, 1, -1)) + (9 * (ord(two) - 64) if two else 0)
        return s + "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] + two

    def forms(self, r):
        s = self.value(r)
        return [form(s, LOW), form(s.lower(), LOW)]

    def invalid(self, r):
        s = self.value(r)
        return s[:7] + r.choice([c for c in "WABCDEFGHIJKLMNOPQRSTUV" if c != s[7]]) + s[8:]


@maker
class CaSin(Digits):
    name = "ca-sin"
    source = "Service Canada, Social Insurance Number regulations: Luhn"
    labels = {"en": ["SIN", "social insurance number", "SIN number", "Social Insurance No."],
              "fr": ["NAS", "numéro d'assurance sociale", "n° d'assurance sociale"]}

    def value(self, r):
        s = digits(r, 8, r.choice("1234567"))
        return s + luhn_digit(s)

    def spaced(self, s):
        return group(s, 3, 3, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), LOW), form(group(s, 3, 3, 3, sep="-"), LOW), form(s)]


@maker
class AuTfn(Digits):
    name = "au-tfn"
    source = "Australian Taxation Office: weights 1 4 3 7 5 8 6 9 10, mod 11"
    labels = {"en": ["TFN", "tax file number", "Tax File No.", "TFN number"], "fr": ["TFN", "numéro de dossier fiscal"]}

    def value(self, r):
        return until(lambda: digits(r, 9, r.choice("12345678")), lambda s: weigh(s, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0)

    def spaced(self, s):
        return group(s, 3, 3, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s)), form(s)]


@maker
class AuMedicare(Digits):
    name = "au-medicare"
    source = "Services Australia; METeOR 270101: weights 1 3 7 9 1 3 7 9, mod 10"
    labels = {"en": ["Medicare number", "Medicare card", "Medicare no.", "Medicare"], "fr": ["numéro Medicare", "carte Medicare"]}

    def value(self, r):
        s = digits(r, 8, r.choice("23456"))
        return s + str(weigh(s, (1, 3, 7, 9) * 2) % 10) + r.choice("123456789")

    def spaced(self, s):
        return group(s, 4, 5, 1)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(s), form(self.spaced(s) + "-" + r.choice("12345"), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        s = other_digit(r, s, 8)
        return r.choice([s, self.spaced(s)])


VERHOEFF_D = [[0] * 10 for _ in range(10)]
for _a in range(10):        # the dihedral group of the pentagon: rotations 0-4, reflections 5-9
    for _b in range(10):
        VERHOEFF_D[_a][_b] = ((_a + _b) % 5 if _a < 5 and _b < 5 else (_a + _b - 5) % 5 + 5 if _a < 5 else
                              (_a - 5 - _b) % 5 + 5 if _b < 5 else (_a - _b) % 5)


def verhoeff(s):
    """Verhoeff 1969; the permutation is (1 5 8 9 4 2 7 0)(3 6)."""
    c = 0
    for i, d in enumerate(reversed(s)):
        v = int(d)
        for _ in range(i % 8):
            v = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[v]
        c = VERHOEFF_D[c][v]
    return c


@maker
class InAadhaar(Digits):
    name = "in-aadhaar"
    source = "UIDAI, A UID numbering scheme (2010): Verhoeff, not beginning with 0 or 1"
    labels = {"en": ["Aadhaar number", "Aadhaar", "UIDAI number", "Aadhaar card no."], "fr": ["numéro Aadhaar", "Aadhaar"]}

    def value(self, r):
        s = digits(r, 11, r.choice("23456789"))
        return next(s + d for d in "0123456789" if verhoeff(s + d) == 0)

    def spaced(self, s):
        return group(s, 4, 4, 4)

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), LOW), form(s)]


@maker
class InPan:
    name = "in-pan"
    source = "Income Tax Department, rule 114: AAAAA9999A, fourth letter the holder's status"
    labels = {"en": ["PAN", "PAN card", "PAN number", "Permanent Account Number", "PAN no."], "fr": ["numéro PAN", "carte PAN"]}

    def forms(self, r):
        s = "".join(r.choice(UPPER) for _ in range(3)) + r.choice("PPPPCHFATBLJG") + r.choice(UPPER) + \
            "%04d" % r.randint(1, 9999) + r.choice(UPPER)
        return [form(s, LOW)]

    def invalid(self, r):
        return "".join(r.choice(UPPER) for _ in range(3)) + r.choice("DIMNOQRSUVWXYZ") + r.choice(UPPER) + digits(r, 4) + r.choice(UPPER)


@maker
class CnRic:
    name = "cn-ric"
    source = "GB 11643-1999: ISO 7064 MOD 11-2"
    labels = {"en": ["Chinese ID number", "resident identity card", "ID card", "ID number"], "fr": ["carte d'identité chinoise", "carte d'identité"],
              "zh": ["身份证号码", "身份证号", "身份证"]}

    def value(self, r):
        s = r.choice(["110105", "310104", "440305", "330106", "510104", "320505", "420106", "370202"]) + a_date(r).strftime("%Y%m%d") + digits(r, 3)
        return s + "10X98765432"[sum(int(c) * pow(2, 17 - i, 11) for i, c in enumerate(s)) % 11]

    def forms(self, r):
        s = self.value(r)
        return [form(s, MEDIUM), form(s.lower(), MEDIUM)]

    def invalid(self, r):
        s = self.value(r)
        return s[:17] + r.choice([c for c in "0123456789X" if c != s[17]])


@maker
class BrCpf(Digits):
    name = "br-cpf"
    source = "Receita Federal, IN RFB 1548/2015: two digits mod 11"
    labels = {"en": ["CPF", "CPF number", "Brazilian taxpayer number (CPF)"], "fr": ["CPF", "numéro CPF"],
              "pt": ["CPF", "CPF n.º", "nº do CPF", "inscrito no CPF sob o nº"]}

    def value(self, r):
        s = digits(r, 9)
        for n in (10, 11):
            k = 11 - weigh(s, range(n, 1, -1)) % 11
            s += str(0 if k > 9 else k)
        return s

    def spaced(self, s):
        return group(s[:9], 3, 3, 3, sep=".") + "-" + s[9:]

    def forms(self, r):
        s = self.value(r)
        return [form(self.spaced(s), MEDIUM), form(self.spaced(s), MEDIUM), form(s, LOW)]


@maker
class KrRrn(Digits):
    name = "kr-rrn"
    source = "주민등록법 시행규칙 제2조: weights 2-9 2-5, mod 11; random behind the seventh digit since October 2020"
    labels = {"en": ["resident registration number", "RRN", "Korean ID"], "fr": ["numéro de résident coréen", "RRN"],
              "ko": ["주민등록번호", "주민번호"]}

    def value(self, r):
        d = a_date(r)
        s = d.strftime("%y%m%d") + str(r.choice((1, 2)) + (2 if d.year >= 2000 else 0)) + "%02d" % r.randint(0, 95) + digits(r, 3)
        return s + str((11 - weigh(s, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10)

    def forms(self, r):
        s = self.value(r)
        return [form(group(s, 6, 7, sep="-"), MEDIUM), form(group(s, 6, 7, sep="-"), MEDIUM), form(s, LOW)]

    def invalid(self, r):
        return "%02d%02d%02d-%s" % (r.randint(0, 99), r.choice([0, 13, 25]), r.choice([0, 32, 40]), digits(r, 7))


@maker
class ZaId(Digits):
    name = "za-id"
    source = "Department of Home Affairs, Identification Act 68 of 1997: date, sequence, citizenship, Luhn"
    labels = {"en": ["ID number", "South African ID", "SA ID number", "identity number", "RSA ID number"], "fr": ["numéro d'identité sud-africain", "numéro d'identité"]}

    def value(self, r):
        s = a_date(r).strftime("%y%m%d") + digits(r, 4) + r.choice("01") + r.choice("89")
        return s + luhn_digit(s)

    def spaced(self, s):
        return group(s, 6, 4, 3)

    def forms(self, r):
        s = self.value(r)
        return [form(s, LOW), form(group(s, 6, 4, 3), MEDIUM)]
