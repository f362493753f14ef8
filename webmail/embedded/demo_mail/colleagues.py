"""Ben's own mail, and the few messages of the four people who run the service."""

from __future__ import annotations

from webmail.embedded.demo_mail import files
from webmail.embedded.demo_mail.cast import ADA, BEN, JONAS, PETER, REX, SAM, SUE
from webmail.embedded.demo_mail.story import Story, spoken
from webmail.embedded.demo_mail.wire import File

WROTE = "On {day}, {who} wrote:"


def tell(story: Story) -> None:
    _ben(story)
    _rota(story)
    _support(story)
    _review(story)


def _ben(story: Story) -> None:
    day = story.calendar.workday
    owed = story.mail(
        JONAS,
        [BEN],
        day(21, "18:18", 1),
        "Ein Getränk / one drink",
        """
        Dear Ben,

        80 cm it is, I have seen the photograph and the frog. What do you drink? My
        daughter says that you can only pay a bet in person, so I shall have to come
        and look at my couplings.

        Jonas
        """,
        folder="inbox",
        starred=True,
    )
    story.mail(
        BEN,
        [JONAS],
        day(20, "06:40", 2),
        "Re: Ein Getränk / one drink",
        """
        Ginger, cold, in a glass bottle. Come when the road is dry, I show you the
        ridge we did not blast.

        Ben
        """,
        answers=owed,
        quote=WROTE,
    )
    story.mail(
        PETER,
        [BEN],
        day(2, "19:55", 3),
        "The gate at Senga",
        """
        Ben my brother,

        the gate is held open with a stone now, my stone, the one we sit on. Please
        bring it back when you have cleaned the sand.

        Peter
        """,
        folder="inbox",
        unread=True,
    )


def _rota(story: Story) -> None:
    day = story.calendar.workday
    plan = "week;first;second\r\n1;sam;sue\r\n2;sue;sam\r\n3;sam;rex\r\n"
    rota = story.mail(
        SUE,
        [SAM, REX, ADA],
        day(9, "09:30", 1),
        "Holiday rota, second try",
        """
        Dear all,

        this one has nobody on duty on their own birthday. Attached. Shout before the
        weekend, then it is carved in stone.

        Sue
        """,
        files=[File("rota.csv", "text/csv; charset=us-ascii", plan.encode())],
    )
    swap = story.mail(
        SAM,
        [SUE],
        day(9, "10:12", 1),
        "Re: Holiday rota, second try",
        """
        Week three is my sister's wedding. I can do two Sundays instead. Rex?

        Sam
        """,
        cc=[REX],
        answers=rota,
        quote=WROTE,
    )
    story.mail(
        REX,
        [SAM, SUE],
        day(8, "08:45", 1),
        "Re: Holiday rota, second try",
        """
        I take week three, Sam takes my next two Sundays. A wedding beats a queue.

        Rex
        """,
        answers=swap,
    )


def _support(story: Story) -> None:
    sunday = story.calendar.day(6, "15:00", 1)
    story.mail(
        SAM,
        [SUE],
        story.calendar.workday(4, "16:20", 1),
        "The mailbox that was 'empty'",
        f"""
        For the handbook: the caller of {spoken(sunday)} had an empty inbox because she
        looked at the search for "bread" and had forgotten it was a search. I did not
        need to look into anything, I only asked what was written above the list.

        Could the page say "no message matches bread" a bit louder?

        Sam
        """,
        unread=True,
        folder="inbox",
    )


def _review(story: Story) -> None:
    day = story.calendar.workday
    drops = files.bar_chart([6, 5, 5, 3, 2, 2], (80, 120, 90))
    figures = story.mail(
        REX,
        [ADA],
        day(3, "11:05", 1),
        "Quarterly review: who looked at what, and why",
        """
        Ada,

        all accesses of the quarter are reviewed, two of them came back to the people
        who asked for them with questions, both answered. The number falls since the
        "ask the owner first" step exists: 6, 5, 5, 3, 2, 2 a fortnight. Chart below.

        I would like the report to say so in words, not only in a chart.

        Rex
        """,
        cc=[SUE],
        files=[File("accesses.png", "image/png", drops)],
        folder="inbox",
    )
    story.mail(
        ADA,
        [REX],
        day(2, "09:15", 1),
        "Re: Quarterly review: who looked at what, and why",
        """
        Agreed, words first. You draft, I shorten, Sue says what we forgot.

        Ada
        """,
        cc=[SUE],
        answers=figures,
        quote=WROTE,
        folder="inbox",
        unread=True,
    )
