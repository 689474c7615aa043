"""The dice of the generator, and the texts that it writes: identities in every form, and what is none."""

import random
import string

from edges.cells import luhn

TACS = ["35209900", "86012345", "49015420", "99000086", "35693803", "01234567", "35316510", "86723104"]
MAKES = ["Nokia", "Samsung", "Apple", "Xiaomi", "Motorola"]
NEUTRAL_TITLES = ["make", "model", "operator", "place", "note", "case_number", "cell", "msisdn", "remark"]


def turned(text):
    """Digits as TBCD in hexadecimal."""
    padded = text + "F" * (16 - len(text) if len(text) > 14 else 0)
    return "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))


class Maker:
    """The dice, and texts of identities."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, values):
        return self.random.choice(sorted(values) if isinstance(values, set) else values)

    def digits(self, count):
        return "".join(self.random.choice(string.digits) for _ in range(count))

    def body(self):
        """14 digits that are no placeholder, and do not begin as swapped TBCD would."""
        return self.pick(TACS) + self.digits(6)

    def imei(self):
        body = self.body()
        return body + luhn(body)

    def wrong(self):
        """15 digits with a wrong check digit that is not 0."""
        body = self.body()
        return body + self.pick(sorted(set("123456789") - {luhn(body)}))

    def plain(self):
        """Bare digits, mostly 15."""
        roll = self.random.random()
        if roll < 0.8:
            return self.imei()
        if roll < 0.88:
            return self.genuine14()
        if roll < 0.94:
            return self.body() + self.digits(2)
        return self.wrong() if roll < 0.97 else self.body() + "0"

    def genuine14(self):
        """A body that is not suspect."""
        while True:
            body = self.body()
            if luhn("0" + body[:13]) != body[13]:
                return body

    def lost(self):
        """14 digits of an IMEI that lost its zero."""
        body = "0" + self.digits(13)
        while body[1] == "0" or body[:6] in ("001001",):
            body = "0" + self.digits(13)
        return (body + luhn(body))[1:]

    def separated(self):
        text = self.imei()
        return self.pick(["{}-{}-{}-{}", "{} {} {} {}"]).format(text[:2], text[2:8], text[8:14], text[14])

    def pei(self):
        prefix, text = self.pick([("imei-", self.imei()), ("imeisv-", self.body() + self.digits(2))])
        return self.pick([prefix, prefix.upper(), prefix.title()]) + text

    def filler(self):
        return self.pick([self.imei() + "F", self.imei() + "f", self.body() + "FF", self.body() + "ff"])

    def urn(self):
        text = self.imei()
        end = self.pick(["", ";svn=01", ";svn=42;vers=0"])
        return f"{self.pick(['urn:gsma:imei:', 'URN:GSMA:IMEI:'])}{text[:8]}-{text[8:14]}-{text[14]}{end}"

    def spreadsheet(self):
        return self.pick(['="{}"', "'{}"]).format(self.pick([self.imei(), self.body() + self.digits(2)]))

    def svn(self):
        return self.pick([self.body(), self.imei()]) + self.pick(["/", " / ", "/ "]) + self.digits(2)

    def bad(self):
        """A text that is not an IMEI, and that no option brings back but irregular ones."""
        return self.pick(
            [
                lambda: self.imei() + ".0",
                lambda: self.imei()[:13],
                lambda: self.imei() + "12",
                lambda: "+" + self.imei(),
                lambda: "n/a",
                lambda: self.body() + "F",
                lambda: self.imei() + "FF",
                lambda: "imei-" + self.body(),
                lambda: "imeisv-" + self.imei(),
                lambda: "3.52E+14",
                lambda: self.imei().translate({ord("0") + i: 0x660 + i for i in range(10)}),
                lambda: "62#222222222222",
                lambda: "DEAD*BEEF",
                lambda: self.body() + "#",
                lambda: self.imei() + "/1",
                lambda: "urn:gsma:imei:35209900-176148",
                lambda: f'="{self.imei()}.0"',
            ]
        )()

    def identity(self):
        roll = self.random.random()
        if roll < 0.85:
            return self.plain()
        return self.pick([self.separated, self.pei, self.filler, self.urn, self.spreadsheet, self.svn])()

    def neutral(self, title):
        """A cell of a column that nobody has to look at."""
        if title == "make":
            return self.pick(MAKES)
        if title == "msisdn":
            return "4917" + self.digits(8)
        if title in ("cell", "case_number"):
            return str(self.random.randint(100, 99999))
        return self.pick(["Lagos", "Lima", "shop, 2nd floor", 'a "large" phone', "x; y", "", "handed in"])

    def blanks(self, text):
        return self.pick(["{} ", " {}", "{}" + " " * 17, " {} ", "{}\t", "{}\v", "{}\f"]).format(text)
