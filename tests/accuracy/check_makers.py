"""check_makers.py -- a second opinion on the makers: python3-stdnum, which neither they nor the program were written from.

Every value a maker calls valid must be valid there, every invalid one not. Printed are those for which stdnum has no module.
"""
import importlib
import random
import re
import sys

import persons          # noqa: F401
import things           # noqa: F401
from makers import MAKERS

MODULES = {"payment-card": "luhn", "iban": "iban", "bic": "bic", "us-aba": "us.rtn", "isin": "isin", "bitcoin-address": "bitcoin", "fr-nir": "fr.nir", "fr-siren": "fr.siren",
           "fr-siret": "fr.siret", "fr-tva": "fr.tva", "fr-spi": "fr.nif", "uk-nhs": "gb.nhs", "us-ssn": "us.ssn", "us-itin": "us.itin", "de-steuer-id": "de.idnr", "ch-ahv": "ch.ssn",
           "es-dni": "es.dni", "es-nie": "es.nie", "it-codice-fiscale": "it.codicefiscale", "be-nn": "be.nn", "nl-bsn": "nl.bsn", "pt-nif": "pt.nif", "pl-pesel": "pl.pesel",
           "se-pnr": "se.personnummer", "no-fnr": "no.fodselsnummer", "fi-hetu": "fi.hetu", "dk-cpr": "dk.cpr", "ie-pps": "ie.pps", "ca-sin": "ca.sin", "au-tfn": "au.tfn",
           "in-aadhaar": "in_.aadhaar", "in-pan": "in_.pan", "cn-ric": "cn.ric", "br-cpf": "br.cpf", "kr-rrn": "kr.rrn", "za-id": "za.idnr", "imei": "imei"}
KEEP = {"se-pnr", "fi-hetu", "dk-cpr"}      # their separators mean something
# Where the two differ and why the maker stands.
EXCEPT = {
    "se-pnr": "samordningsnummer (day + 60) are personal numbers too, and whether it is + or - hangs on today's date",
    "fi-hetu": "century signs of 2023 (decree 690/2022) are newer than this stdnum",
    "cn-ric": "a lower-case x is as good",
    "iban": "stdnum asks for the check digits within a Spanish account too; the registry does not",
    "bic": "stdnum looks at the shape only, not at the country",
    "bitcoin-address": "addresses of BIP 350 are newer than this stdnum",
    "fr-spi": "this stdnum does not compute the key",
    "us-itin": "the groups 50 to 65 are newer than this stdnum",
    "dk-cpr": "a number without check digit is valid since 2007; the maker's invalid ones have no date",
    "no-fnr": "individual numbers are not drawn from the series of their century",
}


def main():
    bad, alone = 0, []
    for name, m in MAKERS.items():
        if name not in MODULES:
            alone.append(name)
            continue
        module = importlib.import_module("stdnum." + MODULES[name])
        r = random.Random(name)
        wrong = []
        for _ in range(200):
            for f in m.forms(r):
                if not module.is_valid(f.text if name in KEEP else re.sub(r"[ .-]", "", f.text)):
                    wrong.append("not valid there: " + f.text)
            v = m.invalid(r)
            if module.is_valid(v):
                wrong.append("valid there: " + v)
        if wrong and name not in EXCEPT:
            bad += 1
            print("%s: %d, first: %s" % (name, len(wrong), wrong[0]))
        elif wrong:
            print("%s: %d differ: %s (%s)" % (name, len(wrong), EXCEPT[name], wrong[0]))
    print("no module in stdnum: " + " ".join(alone))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
