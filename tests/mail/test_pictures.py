"""Pictures come out of the jail upright, small, without a word about where they were taken; or a code does."""

import io
import os
import random
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageStat, PngImagePlugin

from webmail import jail
from webmail.mail.mime import parse, part_content
from webmail.mail.pictures import Picture, Refused, probe, shrink, thumbnail

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
SECRET = b"at 52.5200 N 13.4050 E by Erika"


@pytest.fixture(scope="module", autouse=True)
def _warm():
    jail.start()
    yield
    jail.stop()


def photo(width, height, seed=1):
    """Something with the detail of a photograph: soft shapes, gradients, a little grain."""
    rng = random.Random(seed)
    small = Image.frombytes("RGB", (48, 36), rng.randbytes(48 * 36 * 3)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = Image.effect_noise((width, height), 24).convert("RGB")
    return Image.blend(small, grain, 0.12).filter(ImageFilter.GaussianBlur(0.6))


def drawing(width=400, height=120):
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, width // 2, height - 20), fill="#0044cc")
    draw.ellipse((width // 2, 20, width - 10, height - 10), fill="#cc4400")
    return image.quantize(8)


def saved(image, kind="PNG", **how):
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def opened(picture):
    assert isinstance(picture, Picture), picture
    image = Image.open(io.BytesIO(picture.content))
    image.load()
    assert image.size == (picture.width, picture.height)
    return image


def quarters(size=(80, 40)):
    """Red, green, blue, white from the top left, row by row."""
    image = Image.new("RGB", size, "white")
    width, height = size[0] // 2, size[1] // 2
    image.paste("red", (0, 0, width, height))
    image.paste("lime", (width, 0, size[0], height))
    image.paste("blue", (0, height, width, size[1]))
    return image


def corners(image):
    width, height = image.size
    at = [
        (width // 4, height // 4),
        (3 * width // 4, height // 4),
        (width // 4, 3 * height // 4),
        (3 * width // 4, 3 * height // 4),
    ]
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    return "".join(
        names.get(tuple(int(v > 127) for v in image.convert("RGB").getpixel(xy)), "?") for xy in at
    )


# --- what comes out --------------------------------------------------------------------------------------------------


MODES = ("RGB", "L", "P", "1", "LA", "RGBA", "CMYK")
NO_SUCH_FILE = {("JPEG", "P"), ("JPEG", "LA"), ("JPEG", "RGBA"), ("PNG", "CMYK"), ("GIF", "CMYK")}
KINDS = [
    (kind, mode)
    for mode in MODES
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
    if (kind, mode) not in NO_SUCH_FILE
]


@pytest.mark.parametrize(("kind", "mode"), KINDS)
def test_every_kind_and_mode_becomes_a_small_webp(kind, mode):
    source = photo(400, 300).convert(mode)
    content = saved(source, kind)
    picture = shrink(content, 200)
    image = opened(picture)
    assert (picture.content_type, image.format, image.size) == ("image/webp", "WEBP", (200, 150))
    assert picture.original.content_type == f"image/{kind.lower()}"
    assert (picture.original.width, picture.original.height, picture.original.octets) == (
        400,
        300,
        len(content),
    )
    assert probe(content) == (f"image/{kind.lower()}", 400, 300)
    average = ImageStat.Stat(image.convert("RGB")).mean
    wanted = ImageStat.Stat(source.convert("RGB")).mean
    assert all(abs(a - b) < 14 for a, b in zip(average, wanted, strict=True))


def test_sixteen_bits_of_grey_become_eight():
    ramp = Image.linear_gradient("L")
    content = saved(ramp.convert("I").point(lambda value: value * 257).convert("I;16"))
    image = opened(shrink(content, 128)).convert("L")
    assert image.getpixel((64, 2)) < 12
    assert 110 < image.getpixel((64, 64)) < 145
    assert image.getpixel((64, 125)) > 243


@pytest.mark.parametrize(
    ("turn", "seen"),
    [(1, "rgbw"), (2, "grwb"), (3, "wbgr"), (4, "bwrg"), (5, "rbgw"), (6, "brwg"), (7, "wgbr"), (8, "gwrb")],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_picture_stands_upright(kind, turn, seen):
    exif = Image.Exif()
    exif[0x0112] = turn
    content = saved(quarters(), kind, exif=exif.tobytes())
    picture = shrink(content, 20)
    assert corners(opened(picture)) == seen
    upright = (40, 80) if turn >= 5 else (80, 40)
    assert (picture.original.width, picture.original.height) == upright
    assert probe(content) == (f"image/{kind.lower()}", *upright)
    assert (picture.width, picture.height) == ((20, 40) if turn >= 5 else (20, 10))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_nothing_but_pixels_comes_through(kind):
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = SECRET.decode()
    exif.get_ifd(0x8825)[1] = "N"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", SECRET.decode())
    notes.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    how = {
        "JPEG": {"exif": exif.tobytes(), "comment": SECRET, "xmp": SECRET},
        "PNG": {"exif": exif.tobytes(), "pnginfo": notes},
        "GIF": {"comment": SECRET},
        "WEBP": {"exif": exif.tobytes(), "xmp": SECRET},
    }[kind]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = saved(photo(64, 64), kind, **how, **({"icc_profile": profile} if kind != "GIF" else {}))
    assert SECRET in content
    for picture in (shrink(content + SECRET, 64), thumbnail(content)):
        image = opened(picture)
        assert SECRET not in picture.content
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)
        assert not any(name in picture.content for name in (b"EXIF", b"ICCP", b"XMP "))


def test_colours_of_another_space_are_turned_into_ours():
    """A profile that says that red is blue must change the numbers, since it is dropped."""
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = own.replace(b"rXYZ", b"----", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"----", b"bXYZ", 1)
    assert other != own
    for kind in ("PNG", "JPEG", "WEBP"):
        for mode in ("RGB", "RGBA"):
            red = Image.new(mode, (40, 40), "red").convert("RGB" if kind == "JPEG" else mode)
            seen = [
                opened(shrink(saved(red, kind, **how), 40)).convert("RGB").getpixel((20, 20))
                for how in ({}, {"icc_profile": own}, {"icc_profile": other})
            ]
            assert seen[0][0] > 240
            assert seen[1][0] > 240
            assert seen[2][2] > 240
            assert seen[2][0] < 20


@pytest.mark.parametrize("profile", [b"x", b"\0" * 128, b"\xff" * 4000])
def test_a_broken_profile_costs_only_itself(profile):
    picture = shrink(saved(Image.new("RGB", (30, 30), (10, 200, 30)), "JPEG", icc_profile=profile), 30)
    assert opened(picture).convert("RGB").getpixel((9, 9))[1] > 180


@pytest.mark.parametrize(
    ("size", "box", "wanted"),
    [
        ((100, 50), (640, 4000), (100, 50)),
        ((1280, 640), (640, 4000), (640, 320)),
        ((100, 1000), (640, 500), (50, 500)),
        ((3000, 1), (640, 4000), (640, 1)),
        ((1, 3000), (640, 40), (1, 40)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
def test_it_fits_its_box_and_is_never_enlarged(size, box, wanted):
    picture = shrink(saved(Image.new("RGB", size, "teal")), box[0], height=box[1])
    assert opened(picture).size == wanted


def test_a_box_without_room_is_the_callers_mistake():
    for box in ((0, 10), (10, 0), (-1, 5)):
        with pytest.raises(ValueError):
            shrink(saved(drawing()), box[0], height=box[1])


def test_drawings_stay_exact_and_transparency_stays():
    source = drawing()
    assert opened(shrink(saved(source), 640)).convert("RGB").tobytes() == source.convert("RGB").tobytes()
    glass = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    glass.paste((200, 0, 0, 255), (20, 20, 40, 40))
    image = opened(shrink(saved(glass), 60))
    assert image.getpixel((5, 5))[3] == 0
    assert image.getpixel((30, 30))[:4] == (200, 0, 0, 255)
    assert opened(shrink(saved(glass.convert("P"), "GIF", transparency=0), 60)).mode == "RGBA"


def test_what_hides_behind_transparency_is_dropped():
    hidden = photo(64, 64).convert("RGBA")
    hidden.putalpha(0)
    image = opened(shrink(saved(hidden), 64)).convert("RGBA")
    assert len(image.getcolors(5000)) == 1


def film(count=5, size=(60, 40), seed=0):
    frames = [quarters(size).rotate(37 * number + seed) for number in range(count)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)


def test_a_small_animation_moves_and_any_other_stands_still():
    moving = opened(shrink(film(), 30))
    assert (moving.is_animated, moving.n_frames, moving.size) == (True, 5, (30, 20))
    assert moving.info["loop"] == 0
    assert not opened(thumbnail(film())).is_animated
    assert not opened(shrink(film(150, (20, 20)), 30)).is_animated
    rng = random.Random(3)
    frames = [Image.frombytes("RGB", (200, 200), rng.randbytes(120_000)).quantize() for _ in range(6)]
    large = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert len(large) > 200_000
    assert not opened(shrink(large, 100)).is_animated


def test_the_same_bytes_give_the_same_picture():
    for content in (saved(photo(500, 300), "JPEG", quality=90), saved(drawing()), film()):
        assert shrink(content, 320) == shrink(content, 320)


def test_a_thumbnail_is_a_few_kilobytes():
    for source in (photo(800, 600), drawing(1200, 400), photo(100, 1200).convert("RGBA")):
        picture = thumbnail(saved(source, "PNG"))
        assert max(opened(picture).size) <= 192
        assert len(picture.content) <= 6000


def test_it_is_never_larger_than_what_came_by_much():
    content = saved(photo(640, 480), "JPEG", quality=12)
    assert len(shrink(content, 640).content) < 1.5 * len(content)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"\0\0\1\0\1\0" + bytes(40),
        b"RIFF\0\0\0\0WAVE" + bytes(40),
        b"\0\0\0\x18ftypmp42" + bytes(40),
        b"GIF88a" + bytes(40),
        b"P6 1 1 255 \0\0\0",
        b"8BPS" + bytes(60),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
)
def test_what_is_no_picture_of_ours_is_refused_by_its_bytes(content):
    assert shrink(content, 100) == Refused("type")
    assert thumbnail(content) == Refused("type")
    assert probe(content) is None


def test_bmp_tiff_and_ico_have_no_decoder():
    for kind in ("BMP", "TIFF", "ICO", "PPM", "TGA"):
        assert shrink(saved(drawing().convert("RGB"), kind), 100) == Refused("type")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height, data=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gif_claiming(width, height):
    return (
        b"GIF89a"
        + struct.pack("<HH", width, height)
        + b"\x80\0\0"
        + bytes(6)
        + b",\0\0\0\0"
        + struct.pack("<HH", width, height)
        + b"\0\x02\x02\x44\x01\0;"
    )


def webp_claiming(width, height):
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "png of 10 gigapixels": png_claiming(100_000, 100_000),
    "png of 49 megapixels": png_claiming(7000, 7000, zlib.compress(bytes(7000 * 21_001), 9)),
    "gif of 4 gigapixels": gif_claiming(65_535, 65_535),
    "webp of 268 megapixels": webp_claiming(16_383, 16_383),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name):
    began = time.monotonic()
    result = shrink(BOMBS[name], 100)
    assert result in (Refused("pixels"), Refused("damaged"), Refused("memory"))
    assert time.monotonic() - began < 5


def test_a_compressed_bomb_in_text_is_refused():
    bomb = zlib.compress(bytes(80_000_000), 9)
    text = chunk(b"zTXt", b"Comment\0\0" + bomb)
    plain = saved(drawing())
    assert isinstance(shrink(plain[:33] + text * 40 + plain[33:], 100), (Picture, Refused))


def test_too_many_octets_are_refused():
    assert shrink(b"\x89PNG\r\n\x1a\n" + bytes(33 << 20), 100) == Refused("large")
    assert probe(b"\x89PNG\r\n\x1a\n" + bytes(33 << 20)) is None


def test_a_million_empty_frames_are_bounded():
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    content = gif_claiming(1, 1)[:19] + frame * 400_000 + b";"
    began = time.monotonic()
    assert isinstance(shrink(content, 100), (Picture, Refused))
    assert isinstance(shrink(content[:199_990], 100), (Picture, Refused))
    assert time.monotonic() - began < 10


def test_half_a_picture_is_damaged():
    for kind in ("JPEG", "PNG", "WEBP"):
        content = saved(photo(300, 200), kind)
        assert shrink(content[: len(content) // 2], 100) == Refused("damaged")


@pytest.mark.parametrize("reply", [b"", b"{}", b"{}\nRIFF", b'{"type":1}\n', b'{"width":1,"height":1,"original":["x",1,1]}\n<html>',
                                   b'{"width":0,"height":1,"original":["x",1,1]}\nRIFF....WEBP'])  # fmt: skip
def test_an_answer_that_is_none_is_not_believed(monkeypatch, reply):
    monkeypatch.setattr(jail, "run", lambda *_given, **_options: reply)
    assert shrink(b"\xff\xd8\xff", 10) == Refused("crash")
    assert probe(b"\xff\xd8\xff") is None


SEEDS = {
    "JPEG": saved(photo(90, 60), "JPEG", quality=80, progressive=True),
    "PNG": saved(photo(40, 30).convert("RGBA")),
    "GIF": film(3, (30, 20)),
    "WEBP": saved(photo(90, 60), "WEBP"),
    "AVIF": saved(photo(90, 60), "AVIF"),
}


@pytest.mark.parametrize("kind", SEEDS)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_pictures_never_raise(kind, data):
    content = bytearray(SEEDS[kind])
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    began = time.monotonic()
    result = shrink(bytes(content[:end]), 32)
    assert isinstance(result, (Picture, Refused))
    assert time.monotonic() - began < 9.5
    if isinstance(result, Picture):
        opened(result)
    else:
        assert result.code in ("type", "damaged", "pixels", "memory")
    found = probe(bytes(content[:end]))
    assert found is None or found[0].startswith("image/")


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no test material in {CORPORA}")
def test_every_picture_of_the_corpora():
    seen: dict[bytes, object] = {}
    for folder in [*sorted(CORPORA.glob("mime-*")), CORPORA / "spam-phish", CORPORA / "tnef"]:
        for path in sorted(path for path in folder.glob("*") if path.is_file()):
            raw = path.read_bytes()
            if b"mage/" not in raw and b"octet-stream" not in raw:
                continue
            for part in parse(raw).parts:
                if part.content_type.startswith("image/") or part.content_type == "application/octet-stream":
                    content = part_content(raw, part)
                    if content not in seen:
                        seen[content] = shrink(content, 320)
    taken = [result for result in seen.values() if isinstance(result, Picture)]
    refused = {result.code for result in seen.values() if isinstance(result, Refused)}
    assert len(taken) > 10
    assert refused <= {"type", "damaged", "pixels"}
    for picture in taken:
        opened(picture)
