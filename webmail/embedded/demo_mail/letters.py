"""Family, friends and neighbours."""

from __future__ import annotations

from webmail.embedded.demo_mail import files, wire
from webmail.embedded.demo_mail.cast import ANN, BEN, CHOIR, LANDLORD, MUM, PRIYA, TOM
from webmail.embedded.demo_mail.story import Story
from webmail.embedded.demo_mail.wire import File

PHOTO = "image/png"


def tell(story: Story) -> None:
    _family(story)
    _friends(story)
    _house(story)
    _oddities(story)


def _family(story: Story) -> None:
    day = story.calendar.day
    asked = story.mail(
        MUM,
        [ANN],
        day(41, "18:30", 0),
        "Sunday, and the greenhouse",
        """
        Darling,

        Tom and the children came for lunch and we set a place for you by mistake,
        so we ate your pudding as well. The greenhouse survived the storm but for
        two panes. The picture is from the hill behind the house, your father took
        it with the new telephone and is unbearably proud.

        When are you home? The plums will not wait.

        Mum
        """,
        files=[File("the hill, evening.png", PHOTO, files.landscape())],
        starred=True,
    )
    plums = story.mail(
        ANN,
        [MUM],
        day(40, "21:05", 2),
        "Re: Sunday, and the greenhouse",
        """
        Dear Mum,

        tell Dad it is on my wall already. I cannot come before the pipe at Tolwe is
        in the ground, so make jam and hide two jars from Tom.

        I think of your greenhouse when I stand in the pump house: same damp, same
        smell of tomatoes, because the caretaker dries his there.

        Love, Ann
        """,
        answers=asked,
        quote="On {day}, {who} wrote:",
    )
    story.mail(
        MUM,
        [ANN],
        day(38, "09:12", 0),
        "Re: Sunday, and the greenhouse",
        """
        Eleven jars. Two are behind the flour, where he never looks.
        Mum
        """,
        answers=plums,
    )
    birthday = story.mail(
        TOM,
        [ANN],
        day(13, "20:44", 0),
        "Dad's 70th - the plan (do not reply to Mum!!)",
        """
        Sis,

        - boat from the landing stage at 11, all of us, blankets
        - Mum believes that it is a dentist appointment
        - the cake is 70 cm long because Lily (6) said it has to be
        - you on the screen at noon, whatever your connection says

        Can you write something I can read out, in case the line is bad?

        T.
        """,
        folder="inbox",
        starred=True,
    )
    story.mail(
        ANN,
        [TOM],
        day(12, "22:10", 2),
        "Re: Dad's 70th - the plan (do not reply to Mum!!)",
        """
        Read this out, slowly, he is a bit deaf on the left:

            Dad, you taught me that water always finds the lowest point
            and that a good engineer gets there first, with a bucket.
            I am there, with a bucket. Happy birthday.

        If I start to cry on the screen, say that it is the connection.

        A.
        """,
        answers=birthday,
    )


def _friends(story: Story) -> None:
    day = story.calendar.day
    party = story.mail(
        PRIYA,
        [ANN],
        day(20, "19:19", 1),
        "🎉 I got the job!! 🛰️🌍",
        """
        ANN. They said yes. I start on the first, rainfall from orbit, twenty metres
        a pixel, and your valley is IN the test area. 🌧️

        I will send you a picture of your own reservoir before your own sensor does.

        P. 💙
        """,
    )
    story.mail(
        ANN,
        [PRIYA],
        day(19, "07:55", 2),
        "Re: 🎉 I got the job!! 🛰️🌍",
        """
        Of course they said yes! Nobody else reads rain gauges for fun.

        Deal: you tell me when the storm comes, I tell you what the storm did. The
        first bottle of something is on me. 🥂

        Ann
        """,
        answers=party,
        quote="On {day}, {who} wrote:",
    )
    called = story.mail(
        CHOIR,
        [ANN],
        day(10, "08:00", 2),
        "Tuesday: bring a chair and the green book",
        """
        Dear voices,

        the hall is being painted, so we sing in the boat shed. Bring a chair, the
        green book and something warm. Altos: page 31, and please count to four
        before "lumen". We all know who starts at three.

        Your committee
        """,
        folder="inbox",
    )
    story.mail(
        ANN,
        [CHOIR],
        day(10, "08:32", 2),
        "Re: Tuesday: bring a chair and the green book",
        """
        It was me. I shall count to five to be safe. Two chairs come along.

        Ann (alto, page 31)
        """,
        answers=called,
    )


def _house(story: Story) -> None:
    day = story.calendar.workday
    meter = story.mail(
        LANDLORD,
        [ANN],
        day(28, "11:11", 2),
        "Water meter (yes, really)",
        """
        Hello Ann,

        the meter of your flat has not moved since spring. Either you have stopped
        washing or it is broken. May the plumber come in on a morning next week?

        I see the irony, and so does he.

        Hedda
        """,
    )
    story.mail(
        ANN,
        [LANDLORD],
        day(28, "12:40", 2),
        "Re: Water meter (yes, really)",
        """
        Hello Hedda,

        any morning before eight. I promise that I wash. Please do not tell anybody
        at work.

        Ann
        """,
        answers=meter,
        quote="On {day}, {who} wrote:",
    )
    story.mail(
        LANDLORD,
        [ANN],
        day(8, "16:00", 2),
        (
            "Painting the stairs: please read before the weekend, use the back door, keep the cat inside, "
            "do not lean the bicycles against the wall, and if you smell something strange on the second "
            "floor it is only the primer and not the pipes again (Hedda, for the house, all four floors and "
            "the attic)"
        ),
        """
        I think the subject says it all. The colour is called "Baltic morning", which
        is grey.

        Hedda
        """,
        folder="inbox",
        unread=True,
    )


def _oddities(story: Story) -> None:
    day = story.calendar.workday
    story.mail(
        BEN,
        [ANN],
        day(14, "13:05", 2),
        "",
        """
        forgot the subject, forgot the bread too. can you bring some? we are at the
        pump house till four
        """,
    )
    story.mail(
        TOM,
        [ANN],
        story.calendar.day(3, "14:21", 0),
        "IMG_0415",
        "",
        folder="inbox",
        unread=True,
        body=_only_a_picture(),
    )


def _only_a_picture() -> wire.Part:
    return wire.file_part(File("IMG_0415.png", PHOTO, files.landscape(200, 130)))
