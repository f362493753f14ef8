"""Mail in other languages, scripts and character sets, from people Ann works with."""

from __future__ import annotations

from webmail.embedded.demo_mail import files
from webmail.embedded.demo_mail.cast import (
    ANN,
    ASHA,
    BEN,
    ELENA,
    IRINA,
    JONAS,
    KEN,
    LAYLA,
    MEI,
    NIKOS,
    NOA,
)
from webmail.embedded.demo_mail.story import Story
from webmail.embedded.demo_mail.wire import File

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def tell(story: Story) -> None:
    _spanish(story)
    _german(story)
    _east_asia(story)
    _right_to_left(story)
    _others(story)


def _spanish(story: Story) -> None:
    day = story.calendar.workday
    hello = story.mail(
        ELENA,
        [ANN],
        day(52, "09:30", -5),
        "¿Cuánta agua pierde su canal?",
        """
        Estimada Ann:

        Leí su informe sobre el valle de Marwa y me reconocí en cada página. Nosotros
        perdíamos el 40 % entre la toma y el último campo. Ahora perdemos el 12 %, y
        no fue con dinero: pusimos una regla pintada en cada compuerta y una niña de
        diez años que la lee todas las mañanas. Nadie se atreve a mentirle.

        Le mando la hoja que usamos. Si quiere, la adaptamos juntas.

        Un saludo cordial,
        Elena Prado
        """,
        files=[File("lectura_compuertas_año_nuevo.csv", "text/csv; charset=utf-8", _gates())],
    )
    thanks = story.mail(
        ANN,
        [ELENA],
        day(51, "14:02", 2),
        "Re: ¿Cuánta agua pierde su canal?",
        """
        Estimada Elena:

        ¡Qué idea tan buena! Aquí los niños pasan por la compuerta camino de la
        escuela, así que empezamos el lunes con dos reglas y mucha pintura amarilla.
        Perdone mis errores, escribo en español una vez al año.

        Ann
        """,
        answers=hello,
        quote="El {day}, {who} escribió:",
    )
    story.mail(
        ELENA,
        [ANN],
        day(47, "11:48", -5),
        "Re: ¿Cuánta agua pierde su canal?",
        """
        No hay nada que perdonar. Cuénteme en un mes cuánto subió el nivel en el último campo.
        ¡Y mándeme una foto de la pintura!

        Elena
        """,
        answers=thanks,
    )


def _gates() -> bytes:
    rows = ["compuerta;lunes;martes;miércoles", "La Peña;41;40;43", "El Álamo;37;37;36", "Cañada;22;25;24"]
    return ("\r\n".join(rows) + "\r\n").encode()


def _german(story: Story) -> None:
    day = story.calendar.workday
    parcel = story.mail(
        JONAS,
        [ANN],
        day(24, "08:15", 1),
        "Kupplungen sind unterwegs",
        """
        Liebe Ann,

        die Kupplungen haben heute früh den Hof verlassen: zwei Kisten, 84 kg, in
        Ölpapier gewickelt, weil die Überfahrt feucht wird. Der Zoll braucht die
        Liste im Anhang, bitte dreimal ausgedruckt und mit einem Stempel. Welcher
        Stempel, ist ihnen gleich, Hauptsache rund.

        Wie tief liegt das Rohr jetzt? Meine Wette: 70 cm, weil Bens Leute keine
        halben Sachen machen.

        Herzliche Grüße
        Jonas
        """,
        files=[
            File(
                "Packliste für den Zoll.docx",
                WORD,
                files.docx(["Packliste", "2 Kisten, 84 kg", "DN 150, 48 Stück, Stahl verzinkt"]),
                quoted_name=True,
            )
        ],
    )
    bet = story.mail(
        ANN,
        [JONAS],
        day(23, "17:33", 2),
        "Re: Kupplungen sind unterwegs",
        """
        Lieber Jonas,

        80 cm! Du schuldest Ben ein Getränk. Der runde Stempel ist der von der
        Schulbibliothek, er hat einen Frosch in der Mitte. Der Zoll war begeistert.

        Ann
        """,
        answers=parcel,
        cc=[BEN],
        quote="Am {day} schrieb {who}:",
    )
    story.mail(
        JONAS,
        [ANN],
        day(22, "07:20", 1),
        "AW: Kupplungen sind unterwegs",
        """
        Ich will den Frosch sehen. Das Getränk steht kalt.
        """,
        answers=bet,
        cc=[BEN],
    )


def _east_asia(story: Story) -> None:
    day = story.calendar.workday
    sensor = story.mail(
        KEN,
        [ANN],
        day(33, "17:05", 9),
        "水位センサーの件",
        """
        アン様

        いつもお世話になっております。河辺センサーの佐藤です。

        お送りいただいた水位計を調べました。故障ではなく、小さなカニが
        中に住んでいました。カニは元気でしたので、川に返しました。
        フィルターの網を細かいものに替えて、来週お返しします。費用は
        かかりません。

        雨の季節ですので、どうぞお体に気をつけてください。

        佐藤 健
        """,
    )
    story.mail(
        ANN,
        [KEN],
        day(32, "09:18", 2),
        "Re: 水位センサーの件",
        """
        Dear Mr Sato,

        my Japanese is enough for the word "crab" and for your kindness. Please thank
        everybody in the workshop. We will paint a crab on the station door.

        ありがとうございました。

        Ann
        """,
        answers=sensor,
    )
    story.mail(
        MEI,
        [ANN],
        day(18, "10:20", 8),
        "关于砂滤池的滤料级配",
        """
        Ann，您好：

        您问的问题很好。慢滤池不需要反冲洗，每两三个月刮掉表面一两厘米的沙子
        就可以了。刮下来的沙子洗净、晒干，可以再用。附件是我们推荐的粒径表，
        有效粒径 0.15 到 0.30 毫米，不均匀系数小于 3。

        一个小窍门：请村里的老人来摸沙子。他们的手比筛子还准。

        祝工作顺利！
        李梅
        """,
        files=[
            File(
                "滤料级配表.docx", WORD, files.docx(["慢滤池滤料", "有效粒径 0.15–0.30 mm", "不均匀系数 < 3"])
            )
        ],
    )


def _right_to_left(story: Story) -> None:
    day = story.calendar.workday
    story.mail(
        LAYLA,
        [ANN],
        day(11, "09:40", 3),
        "ورشة عمل عن حصاد مياه الأمطار",
        """
        عزيزتي آن،

        تحية طيبة وبعد،

        يسرّنا أن ندعوك إلى ورشة عمل عن حصاد مياه الأمطار في القرى الجبلية. سنزور
        ثلاثة صهاريج قديمة ما زالت تعمل منذ أربعمئة عام (نعم، 400!) وسنشرب الشاي
        بمائها. نرجو أن تحدثينا ثلاثين دقيقة عن محطة الضخ رقم 4.

        البرنامج في المرفق. أخبرينا إن كنت تأكلين كل شيء.

        مع خالص التحية،
        ليلى حداد
        """,
        files=[
            File("برنامج الورشة.docx", WORD, files.docx(["برنامج الورشة", "اليوم الأول: الصهاريج القديمة"]))
        ],
        folder="inbox",
        starred=True,
    )
    story.mail(
        NOA,
        [ANN],
        day(7, "13:15", 2),
        "טפטפות ומים אפורים: תוצאות ראשונות",
        """
        היי אן,

        אחרי שלושה חודשים: הטפטפות עם המים האפורים לא נסתמו, והעגבניות גדלו
        יפה. במגרש השני (מים רגילים) קטפנו 41 ק"ג, ובמגרש עם המים האפורים 44 ק"ג.
        ההפרש קטן, אבל לא השתמשנו שם באף טיפה של מי שתייה.

        הסוד הוא המסנן: חבית, חצץ, ועלים של קנה. אשלח שרטוט בשבוע הבא.

        נועה
        """,
        folder="inbox",
    )


def _others(story: Story) -> None:
    day = story.calendar.workday
    story.mail(
        IRINA,
        [ANN],
        day(44, "12:25", 3),
        "Данные по стоку реки за прошлый год",
        """
        Здравствуйте, Энн!

        Посылаю суточные расходы за прошлый год. В апреле прибор три дня стоял без
        питания: медведь перегрыз кабель. Эти дни мы восстановили по соседнему посту
        и отметили звёздочкой, чтобы никто не принял их за измерения.

        Медведь жив и здоров, кабель теперь в трубе.

        С уважением,
        Ирина Соколова
        """,
        files=[
            File("расходы_за_год.csv", "text/csv; charset=utf-8", "день;м3/с\r\n1;4,1\r\n2;4,3*\r\n".encode())
        ],
        cte="8bit",
    )
    story.mail(
        ASHA,
        [ANN],
        day(36, "11:00", 5.5),
        "महिला जल समिति की पहली बैठक",
        """
        प्रिय ऐन,

        कल हमारी महिला जल समिति की पहली बैठक हुई। तेईस महिलाएँ आईं, और सबसे पहला सवाल
        यह था: "नल की चाबी किसके पास रहेगी?" दो घंटे की बहस के बाद तय हुआ कि चाबी
        हर हफ़्ते दूसरे घर में रहेगी। इस तरह सबको मरम्मत भी सीखनी पड़ेगी!

        आपकी दी हुई चित्रों वाली किताब सबको बहुत पसंद आई। क्या दस प्रतियाँ और मिल सकती हैं?

        सस्नेह,
        आशा
        """,
        starred=True,
    )
    story.mail(
        NIKOS,
        [ANN],
        day(26, "18:50", 2),
        "Η παλιά δεξαμενή του χωριού",
        """
        Αγαπητή Ann,

        βρήκαμε το σχέδιο της παλιάς δεξαμενής! Ήταν στο καφενείο, πίσω από τον
        καθρέφτη, και γράφει «1927, έργο των κατοίκων». Χωράει 60 κυβικά και δεν έχει
        ούτε μία ρωγμή. Το καθάρισμα θέλει μόνο μια εβδομάδα και πολλά χέρια.

        Όταν έρθεις, θα σε κεράσω καφέ στο ίδιο τραπέζι.

        Νίκος
        """,
    )
