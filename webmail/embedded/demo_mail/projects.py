"""The long thread about pumping station 4: the better part of a project, in eight messages."""

from __future__ import annotations

from webmail.embedded.demo_mail import files
from webmail.embedded.demo_mail.cast import ANN, BEN, GRACE, JONAS
from webmail.embedded.demo_mail.story import Story
from webmail.embedded.demo_mail.wire import File

WROTE = "On {day}, {who} wrote:"


def tell(story: Story) -> None:
    day = story.calendar.workday
    first = story.mail(
        ANN,
        [BEN],
        day(84, "09:12", 2),
        "Pumping station 4: second pump or wider pipe?",
        """
        Morning Ben,

        I went through the night readings again. Station 4 runs 19 hours a day since
        the school was connected, and the reservoir never gets above 60 per cent. If
        the dry season starts on time we will be carrying water to Kinabe by truck.

        I can see two ways out: a second pump beside the old one, or a DN 150 pipe
        for the last 1.4 km so that the one we have works against less. Jonas can
        price the pump. Could you walk the line and tell me how bad the ground is?

        Ann
        """,
        cc=[JONAS, GRACE],
    )
    offer = files.pdf(
        [
            "Pumpenbau Reuter - Angebot 2291/B",
            "",
            "1 x Tauchpumpe 7,5 kW, 32 m3/h bei 48 m                 4.180 EUR",
            "1 x Sanftanlauf mit Trockenlaufschutz                      612 EUR",
            "Fracht bis Hafen, versichert                               890 EUR",
            "",
            "Lieferzeit sechs Wochen. Angebot gültig 60 Tage.",
        ]
    )
    priced = story.mail(
        JONAS,
        [ANN],
        day(82, "16:40", 1),
        "AW: Pumping station 4: second pump or wider pipe?",
        """
        Dear Ann, dear all,

        attached is our offer for a 7.5 kW submersible with soft start. It is the
        same family as your old one, so Ben's spare seals fit both.

        One warning from experience: two pumps on that old DN 100 line will fight
        each other. You will pay for 32 cubic metres an hour and get perhaps 22.

        Kind regards from a wet Tuesday in the workshop
        Jonas
        """,
        cc=[BEN, GRACE],
        answers=first,
        files=[File("Angebot Förderpumpe Größe 80.pdf", "application/pdf", offer)],
    )
    walked = story.mail(
        BEN,
        [ANN],
        day(81, "18:05", 2),
        "Re: Pumping station 4: second pump or wider pipe?",
        """
        Walked it today with Peter from the committee. The first 900 m are soft, a
        digger does that in four days. Then there is the ridge: 300 m of rock just
        under the grass, and the old pipe lies on top of it in the sun. I would not
        blast so near the school.

        What if we change only the soft part? Jonas, how much does that give us?

        Ben
        (sent from the roof, only place with signal)
        """,
        cc=[JONAS, GRACE],
        answers=priced,
        quote=WROTE,
        flowed=True,
    )
    table = story.mail(
        ANN,
        [BEN, JONAS],
        day(80, "10:31", 2),
        "Re: Pumping station 4: second pump or wider pipe?",
        """
        Thank you both. I put the three variants side by side with Jonas's curve and
        Ben's lengths. Prices in euro, flows at the reservoir inlet:

        +----------------------------+---------+----------+-----------+----------+
        | variant                    |   price | m3/hour  | hours/day | weeks    |
        +----------------------------+---------+----------+-----------+----------+
        | A  second pump, old pipe   |   5,682 |     22.4 |      15.5 |        7 |
        | B  DN 150, all 1.4 km      |  21,300 |     24.9 |      14.0 |       12 |
        | C  DN 150, soft 900 m only |   9,450 |     23.1 |      15.0 |        3 |
        +----------------------------+---------+----------+-----------+----------+

        C costs more than A, but the power bill falls by a third, because one pump
        does the work. A pays us back never; C in about three years.

        Grace, may the county fund take pipe as well as machines?

        Ann
        """,
        cc=[GRACE],
        answers=walked,
        cte="7bit",
    )
    asked = story.mail(
        GRACE,
        [ANN],
        day(76, "14:22", 3),
        "RE: Pumping station 4: second pump or wider pipe?",
        """
        Good afternoon all,

        The fund may pay for "improvement of existing lines", so yes, pipe counts.
        It may not pay for digging by a company when the community can dig. Peter
        tells me forty people would come for a week if there is lunch.

        I need before the end of the month:

        1. the table above on one page, signed,
        2. a letter of the village committee,
        3. a drawing that shows where the pipe leaves the road.

        For the auditors: who decided against the second pump, and why? One sentence
        is enough.

        With regards
        Grace Mwende
        County Water Officer
        """,
        cc=[BEN, JONAS],
        answers=table,
        quote="-----Original Message-----\nFrom: {who}\nSent: {day}\n",
    )
    settled = story.mail(
        BEN,
        [ANN],
        day(75, "07:48", 2),
        "Re: Pumping station 4: second pump or wider pipe?",
        """
        I can draw (3) tonight. Lunch for forty for a week: 200 kg of maize, 60 kg of
        beans, and Peter's sister cooks. I asked; she laughed and said yes.

        Ben
        """,
        answers=asked,
    )
    decided = story.mail(
        ANN,
        [GRACE, BEN, JONAS],
        day(74, "11:15", 2),
        "Re: Pumping station 4: second pump or wider pipe?",
        """
        Dear Grace,

        here is the page, signed, as a document you can edit if the auditors want
        another order of columns. The sentence: "Ben Okello and I advised against the
        second pump because it would double the power bill for two more cubic metres
        an hour than the wider pipe gives."

        We start digging as soon as you say so. Jonas, thank you for talking us out
        of buying your pump. That does not happen often.

        Ann
        """,
        answers=settled,
        files=[
            File(
                "Station 4 - three variants.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                files.docx(
                    [
                        "Station 4: three variants",
                        "A: second pump on the old pipe, 5,682 EUR, 22.4 m3/h.",
                        "B: DN 150 for 1.4 km, 21,300 EUR, 24.9 m3/h.",
                        "C: DN 150 for the soft 900 m, 9,450 EUR, 23.1 m3/h. Recommended.",
                    ]
                ),
            )
        ],
    )
    story.mail(
        JONAS,
        [ANN],
        day(73, "09:03", 1),
        "AW: Pumping station 4: second pump or wider pipe?",
        """
        Dear Ann,

        an honest customer costs me one pump and brings me ten years of spare parts.
        I have put 150 m of DN 150 couplings aside for you at last year's price.

        Jonas
        """,
        answers=decided,
        starred=True,
    )
