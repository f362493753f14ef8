"""This month: brown water at Upper Senga, and the visit to Tolwe that everybody is invited to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from webmail.embedded.demo_mail import files, wire
from webmail.embedded.demo_mail.cast import ANN, BEN, GRACE, LUCIE
from webmail.embedded.demo_mail.story import Story, spoken
from webmail.embedded.demo_mail.wire import File

WROTE = "On {day}, {who} wrote:"


def tell(story: Story) -> None:
    _turbidity(story)
    _visit(story)


def _turbidity(story: Story) -> None:
    day = story.calendar.workday
    values = [1.2, 1.1, 1.4, 1.3, 2.0, 4.8, 6.1, 5.2, 3.4, 2.2]
    start = day(9, "06:00", 2)
    readings = "site;day;ntu;free_chlorine_mg_l\r\n" + "".join(
        f"Upper Senga;{number};{value};{0.62 - value / 20:.2f}\r\n"
        for number, value in enumerate(values, start=1)
    )
    chart = files.bar_chart(values, (54, 120, 168), limit=5)
    found = story.mail(
        BEN,
        [ANN, LUCIE],
        day(6, "17:20", 2),
        "Turbidity at Upper Senga",
        f"""
        The water at Upper Senga went brown after the storm on {spoken(start)}. Ten
        days of readings attached (semicolons, because the laptop at the station
        insists). Two of them are over the limit of 5 NTU.

        I told the clinic to boil. Lucie, do we have to close the tap?

        Ben
        """,
        files=[File("senga-turbidity.csv", "text/csv; charset=us-ascii", readings.encode())],
        folder="inbox",
    )
    lab = story.mail(
        LUCIE,
        [BEN],
        day(5, "10:45", 1),
        "Re: Turbidity at Upper Senga",
        """
        Cher Ben, chère Ann,

        Non, pas besoin de fermer. La turbidité seule n'est pas un danger, mais elle
        protège les bactéries contre le chlore : au-dessus de 5 NTU, il faut faire
        bouillir, et c'est exactement ce que tu as demandé. Bravo.

        Voici la courbe. Tu vois que le chlore libre tombe en même temps : 0,31 mg/l
        au plus bas. Montez le dosage d'un tiers jusqu'à la semaine prochaine, et
        envoyez-moi deux flacons dès que le bus passe.

        Amitiés
        Lucie
        """,
        cc=[ANN],
        answers=found,
        html="""
        <html><head><meta charset="utf-8"></head><body>
        <p>Cher Ben, chère Ann,</p>
        <p>Non, <b>pas besoin de fermer</b>. La turbidité seule n'est pas un danger, mais elle protège les
        bactéries contre le chlore&nbsp;: au-dessus de 5&nbsp;NTU, il faut faire bouillir, et c'est exactement
        ce que tu as demandé. Bravo.</p>
        <p><img src="cid:courbe@labo-eaux.example.org" width="192" height="120"
        alt="Turbidité sur dix jours"></p>
        <p>Le chlore libre tombe en même temps&nbsp;: 0,31&nbsp;mg/l au plus bas. Montez le dosage d'un tiers
        jusqu'à la semaine prochaine, et envoyez-moi deux flacons si le bus passe.</p>
        <p>Amitiés<br>Lucie</p>
        </body></html>
        """,
        files=[File("courbe.png", "image/png", chart, "courbe@labo-eaux.example.org")],
        folder="inbox",
    )
    plan = story.mail(
        ANN,
        [LUCIE, BEN],
        day(5, "14:30", 2),
        "Re: Turbidity at Upper Senga",
        """
        Merci Lucie, c'est très clair.

        Ben, please raise the dosing to 0.8 mg/l, write the two times into the book
        at the station, and put a paper on the clinic door with the date until which
        they should boil. In both languages. I will call the radio.

        Ann
        """,
        answers=lab,
        quote="Le {day}, {who} a écrit :",
    )
    done = story.mail(
        BEN,
        [ANN],
        day(4, "19:02", 2),
        "Re: Turbidity at Upper Senga",
        """
        Done, done and done. 0.8 since noon. Two bottles are on the morning bus in a
        cool box; the driver is Peter's cousin and has been told that they are not
        lemonade.

        The real trouble is the inlet: the grille is bent and the sand trap is full
        to the rim. Half a day for three people with spades, but somebody has to hold
        the gate open. Can we do it together with the Tolwe visit?

        Ben
        """,
        cc=[LUCIE],
        answers=plan,
        quote=WROTE,
        flowed=True,
        folder="inbox",
    )
    story.mail(
        LUCIE,
        [ANN],
        day(1, "15:10", 1),
        "Résultats : les deux flacons d'Upper Senga",
        """
        Les flacons sont arrivés froids, le cousin de Peter mérite une médaille.

        E. coli : zéro dans les deux. Coliformes totaux : 2 pour 100 ml dans le
        premier, zéro dans le second. Turbidité 2,1. Vous pouvez lever la consigne
        dès que vous avez trois jours sous 3 NTU. Le rapport signé est joint.

        Lucie
        """,
        cc=[BEN],
        answers=done,
        files=[
            File(
                "Rapport d'analyse n° 118 – Senga (été).pdf",
                "application/pdf",
                files.pdf(
                    [
                        "Labo Eaux - Rapport d'analyse 118",
                        "",
                        "Upper Senga, robinet de la clinique",
                        "E. coli: 0 / 100 ml    Coliformes totaux: 2 / 100 ml    Turbidité: 2,1 NTU",
                        "",
                        "Lucie Fontaine",
                    ]
                ),
            )
        ],
        folder="inbox",
        unread=True,
        starred=True,
    )


def _visit(story: Story) -> None:
    day = story.calendar.workday
    visit = story.calendar.next_weekday(3, "08:30", 3)
    invited = story.mail(
        GRACE,
        [ANN, BEN],
        day(3, "12:02", 3),
        "Invitation: site visit to Tolwe",
        "",
        folder="inbox",
        body=_invitation(story, visit),
    )
    agreed = story.mail(
        ANN,
        [GRACE],
        day(3, "13:40", 2),
        "Re: Invitation: site visit to Tolwe",
        f"""
        Dear Grace,

        {spoken(visit)} suits me, and Ben too if we leave from the depot at seven.
        We would like to clear the sand trap at Upper Senga on the way back: three
        people, half a day. Do you have room for spades in the county car?

        Ann
        """,
        cc=[BEN],
        answers=invited,
    )
    story.mail(
        GRACE,
        [ANN],
        story.calendar.ago(190, 3),
        "RE: Invitation: site visit to Tolwe",
        """
        There is always room for spades. Bring boots as well: the ford is knee deep
        and the county car is not a boat, whatever the driver says.

        Grace
        """,
        cc=[BEN],
        answers=agreed,
        quote="-----Original Message-----\nFrom: {who}\nSent: {day}\n",
        folder="inbox",
        unread=True,
    )


def _invitation(story: Story, visit: datetime) -> wire.Part:
    """Text, and the invitation as a part and as a file (RFC 6047 2.4)."""
    utc = "%Y%m%dT%H%M%SZ"
    start = visit.astimezone(UTC)
    attendees = "".join(
        f"ATTENDEE;CN={one.name};ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;\r\n"
        f" RSVP=TRUE:mailto:{story.address(one)}\r\n"
        for one in (ANN, BEN)
    )
    event = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Kestrel//Calendar 9.2//EN\r\nMETHOD:REQUEST\r\n"
        f"BEGIN:VEVENT\r\nUID:tolwe-{visit:%Y%m%d}@marwa-county.example.org\r\nSEQUENCE:0\r\n"
        f"DTSTAMP:{story.calendar.workday(3, '12:02').strftime(utc)}\r\n"
        f"DTSTART:{start.strftime(utc)}\r\nDTEND:{(start + timedelta(hours=6)).strftime(utc)}\r\n"
        "SUMMARY:Site visit to Tolwe\r\nLOCATION:County depot\\, Marwa\r\n"
        f"ORGANIZER;CN={GRACE.name}:mailto:{GRACE.address}\r\n{attendees}"
        "DESCRIPTION:Reservoir roof\\, new tap stands\\, talk with the committee.\\nBring boots.\r\n"
        "STATUS:CONFIRMED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    text = wire.text(
        wire.tidy(f"""
        You are invited to: Site visit to Tolwe

        When:  {spoken(visit)}, {visit:%H:%M} to {visit + timedelta(hours=6):%H:%M} (East Africa Time)
        Where: County depot, Marwa

        Reservoir roof, new tap stands, talk with the committee. Bring boots.
        """)
    )
    request = wire.text(event.replace("\r\n", "\n"), "calendar", params="; method=REQUEST")
    return wire.multipart(
        "mixed",
        [
            wire.multipart("alternative", [text, request]),
            wire.file_part(File("invite.ics", "application/ics", event.encode())),
        ],
    )
