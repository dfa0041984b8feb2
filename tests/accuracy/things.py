"""things.py -- devices, vehicles and travel documents; see makers.py for what a maker is."""
from makers import HIGH, LOW, MEDIUM, NONE, a_date, digits, form, group, luhn_digit, maker
from persons import Digits


@maker
class Imei(Digits):
    name = "imei"
    source = "3GPP TS 23.003 6.2.1; GSMA TS.06 (reporting body 35, 86, 01 …): Luhn"
    labels = {"en": ["IMEI", "IMEI number", "handset IMEI", "device IMEI"], "fr": ["IMEI", "n° IMEI", "numéro IMEI", "IMEI du téléphone"]}

    def value(self, r):
        s = digits(r, 14, r.choice(["35", "35", "86", "01", "99"]))
        return s + luhn_digit(s)

    def spaced(self, s):
        return group(s, 2, 6, 6, 1, sep="-")

    def forms(self, r):
        s = self.value(r)
        return [form(s), form(s), form(self.spaced(s), MEDIUM), form(group(s, 2, 6, 6, 1), MEDIUM)]


@maker
class Vin:
    name = "vin"
    source = "ISO 3779; 49 CFR 565.15 (check digit, North America)"
    labels = {"en": ["VIN", "VIN number", "chassis number", "vehicle identification number", "vehicle"],
              "fr": ["VIN", "n° de châssis", "numéro de série du véhicule", "numéro de châssis", "véhicule"],
              "de": ["FIN", "Fahrgestellnummer", "Fahrzeug-Identifizierungsnummer"]}
    VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9]))

    def american(self, r):
        s = r.choice(["1HG", "1FT", "1G1", "2T1", "3VW", "5YJ", "1C4", "4T1", "JTD", "KMH"]) + \
            "".join(r.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(5)) + "_" + r.choice("ABCDEFGHJKLMNPRSTVWXY123456789") + \
            r.choice("ABCDEFGHJKLMNPRSTUVWXYZ") + digits(r, 6)
        weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
        k = sum(w * (0 if c == "_" else int(c) if c.isdigit() else self.VALUES[c]) for w, c in zip(weights, s)) % 11
        return s.replace("_", "X" if k == 10 else str(k))

    def forms(self, r):
        s = r.choice(["VF1", "VF3", "VF7", "WVW", "WBA", "WDB", "ZFA", "VSS", "TMB", "SAJ"]) + \
            "".join(r.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(6)) + r.choice("ABCDEFGHJKLMNPRST123456789") + \
            r.choice("ABCDEFGHJKLMNP") + digits(r, 6)
        return [form(self.american(r), LOW), form(s, NONE, MEDIUM)]

    def invalid(self, r):
        s = self.american(r)
        return s[:5] + r.choice("IOQ") + s[6:]


def mrz_digit(s):
    """ICAO 9303-3, 4.9: 7 3 1, letters from 10 on, < is 0."""
    return str(sum((0 if c == "<" else int(c, 36)) * (7, 3, 1)[i % 3] for i, c in enumerate(s)) % 10)


@maker
class PassportMrz:
    name = "passport-mrz"
    source = "ICAO Doc 9303 parts 3 to 7: TD1, TD2, TD3, MRV-A, MRV-B; French identity card of 1995"
    labels = {"en": ["passport", "travel document", "passport scan"], "fr": ["passeport", "pièce d'identité", "carte d'identité"]}

    def people(self, r, n):
        last = r.choice(["MARTIN", "BERNARD", "SMITH", "ERIKSSON", "GARCIA", "ROSSI", "MUELLER", "DUBOIS<ROY"])
        first = r.choice(["ANNE", "JEAN<PAUL", "MARY<JANE", "LUIS", "EVA", "KARL<HEINZ"])
        return (last + "<<" + first + "<" * n)[:n]

    def parts(self, r):
        nat = r.choice(["FRA", "GBR", "D<<", "ESP", "ITA", "USA", "CAN", "BEL", "CHE", "NLD", "UTO"])
        number = "".join(r.choice("0123456789" * 2 + "CFGHJKLMNPRTVWXYZ") for _ in range(9))
        b, e = a_date(r), a_date(r, 2024, 2034)
        return nat, number, b.strftime("%y%m%d"), r.choice("MF<"), e.strftime("%y%m%d")

    def td3(self, r):
        nat, no, b, sex, e = self.parts(r)
        personal = r.choice(["<" * 14, (digits(r, 8) + "<" * 14)[:14]])
        check = mrz_digit(personal) if personal.strip("<") or r.random() < 0.5 else "<"
        line = no + mrz_digit(no) + nat + b + mrz_digit(b) + sex + e + mrz_digit(e) + personal + check
        line += mrz_digit(line[0:10] + line[13:20] + line[21:43])
        return "P<" + nat + self.people(r, 39) + "\n" + line

    def td2(self, r):
        nat, no, b, sex, e = self.parts(r)
        line = no + mrz_digit(no) + nat + b + mrz_digit(b) + sex + e + mrz_digit(e) + r.choice(["<" * 7, (digits(r, 5) + "<<")[:7]])
        line += mrz_digit(line[0:10] + line[13:20] + line[21:35])
        return "I<" + nat + self.people(r, 31) + "\n" + line

    def td1(self, r):
        nat, no, b, sex, e = self.parts(r)
        one = "I" + r.choice("<DR") + nat + no + mrz_digit(no) + "<" * 15
        two = b + mrz_digit(b) + sex + e + mrz_digit(e) + nat + "<" * 11
        two += mrz_digit(one[5:30] + two[0:7] + two[8:15] + two[18:29])
        return one + "\n" + two + "\n" + self.people(r, 30)

    def visa(self, r, n):
        nat, no, b, sex, e = self.parts(r)
        line = no + mrz_digit(no) + nat + b + mrz_digit(b) + sex + e + mrz_digit(e)
        return "V<" + nat + self.people(r, n - 5) + "\n" + line + "<" * (n - len(line))

    def french(self, r):
        """The card of 1995 to 2021: 36 characters, twice."""
        last = (r.choice(["MARTIN", "BERNARD", "DUBOIS", "PETIT"]) + "<" * 25)[:25]
        one = "IDFRA" + last + "%02d" % r.randint(1, 95) + "%04d" % r.randint(1, 9999)
        one = one[:36]
        no = "%02d%02d" % (r.randint(10, 20), r.randint(1, 12)) + digits(r, 3) + digits(r, 5)
        b = a_date(r).strftime("%y%m%d")
        first = (r.choice(["ANNE<<MARIE", "JEAN", "PAUL<<HENRI"]) + "<" * 14)[:14]
        two = no + mrz_digit(no) + first + b + mrz_digit(b) + r.choice("MF")
        return one + "\n" + two + mrz_digit(one + two)

    def forms(self, r):
        return [form(self.td3(r), HIGH), form(self.td3(r), HIGH), form(self.td2(r), HIGH), form(self.td1(r), HIGH),
                form(self.visa(r, 44), HIGH), form(self.visa(r, 36), HIGH), form(self.french(r), HIGH),
                form(self.td3(r).replace("\n", "\r\n"), HIGH)]

    def invalid(self, r):
        s = self.td3(r)
        at = len(s) - 44 + r.randint(0, 8)
        return s[:at] + r.choice([c for c in "0123456789" if mrz_digit(c) != mrz_digit(s[at])]) + s[at + 1:]
