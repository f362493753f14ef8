"""The people of the demo. All invented, all at reserved example domains."""

from __future__ import annotations

from webmail.embedded.demo_mail.story import Person

ANN = Person("Ann Whitfield", "ann@", 2)
BEN = Person("Ben Okello", "ben@", 2)
SAM = Person("Sam Lindgren", "sam@", 1)
SUE = Person("Sue Marchetti", "sue@", 1)
REX = Person("Rex Abara", "rex@", 1)
ADA = Person("Ada Novak", "ada@", 1)

GRACE = Person(
    "Grace Mwende", "grace.mwende@marwa-county.example.org", 3, program="X-Mailer: Kestrel Mail 9.2"
)
JONAS = Person(
    "Jonas Reuter", "j.reuter@pumpenbau-reuter.example.com", 1, program="User-Agent: Brieftaube/4.1"
)
LUCIE = Person(
    "Lucie Fontaine", "lucie.fontaine@labo-eaux.example.org", 1, program="User-Agent: Papyrus 115.3"
)
ELENA = Person("Elena Prado Núñez", "elena.prado@riegos-del-valle.example.net", -5)
KEN = Person("佐藤 健", "sato@kawabe-sensor.example.com", 9, charset="iso-2022-jp")
MEI = Person("李梅", "li.mei@qingyuan-filter.example.com", 8, charset="gb18030")
IRINA = Person("Ирина Соколова", "sokolova@gidrologia.example.org", 3, charset="koi8-r")
LAYLA = Person("ليلى حداد", "layla.haddad@almiyah.example.org", 3)
NOA = Person("נועה ברק", "noa.barak@mayim-shava.example.net", 2)
ASHA = Person("आशा वर्मा", "asha.verma@jalseva.example.org", 5.5)
NIKOS = Person("Νίκος Δημητρίου", "nikos@ydrofilos.example.org", 2, program="X-Mailer: Glaros 2.0")
PETER = Person("Peter Ololo", "p.ololo@tolwe-water.example.net", 3)

MUM = Person(
    "Margaret Whitfield", "margaret@whitfield-family.example.net", 0, program="X-Mailer: TabletMail 7"
)
TOM = Person("Tom Whitfield", "tom@whitfield-family.example.net", 0)
PRIYA = Person("Priya Nambiar", "priya.nambiar@brightpost.example.com", 1)
LANDLORD = Person("Hedda Sørlie", "hedda@lakeside-flats.example.com", 2)
CHOIR = Person("Tuesday Choir", "choir@lakeside-voices.example.org", 2)
