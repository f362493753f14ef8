"""Pictures as the jail opens them: decoded by what their bytes are, shrunk, and written anew without anything but pixels."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Final

from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    ImageSequence,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from webmail.jail.contract import Refuse, damage

MAX_PIXELS: Final = 40_000_000
"""Decoded at once; a JPEG may have five times as many, because it is decoded at a fraction of its size."""
MAX_JPEG_PIXELS: Final = 5 * MAX_PIXELS
MAX_FRAMES: Final = 100
MAX_ANIMATED_PIXELS: Final = 16_000_000
MAX_ANIMATED_BYTES: Final = 200_000
MAX_PROFILE: Final = 2 << 20

_ORIENTATION = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = frozenset((5, 6, 7, 8))

# The classes themselves: what JPEG's own factory would make of a file (MPO, with a TIFF parser before it) is not wanted.
_OPENERS: Final[dict[str, Callable[[BytesIO], ImageFile.ImageFile]]] = {
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/gif": GifImagePlugin.GifImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
    **({"image/avif": AvifImagePlugin.AvifImageFile} if AvifImagePlugin.SUPPORTED else {}),
}


def warm() -> None:
    """No other decoder than the five is ever loaded, and each of them does once what it will have to do behind the walls."""
    warnings.simplefilter("ignore")
    Image.preinit()
    Image._initialized = 2  # as `init` leaves it: every plugin that there will be is loaded
    for table in (Image.OPEN, Image.SAVE, Image.SAVE_ALL):
        for name in set(table) - {"JPEG", "PNG", "GIF", "WEBP", "AVIF"}:
            del table[name]
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # beyond twice of it, Pillow's own checks raise
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    assert TiffImagePlugin.PREFIXES  # what reads EXIF
    picture = Image.radial_gradient("L").convert("RGB")
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("JPEG", "PNG", "GIF", "WEBP"):
        out = BytesIO()
        picture.save(out, name, exif=exif.tobytes(), icc_profile=profile)
        probe(out.getvalue())
        shrink(out.getvalue(), width=32, height=32)


def probe(payload: bytes) -> bytes:
    """Type, width and height as shown, from the header alone; as JSON."""
    kind, image = _opened(payload)
    width, height = _shown_size(image, _orientation(image))
    return json.dumps({"type": kind, "width": width, "height": height}).encode()


def shrink(
    payload: bytes,
    *,
    width: int,
    height: int,
    qualities: tuple[int, ...] = (60, 40),
    enough: int = 0,
    animate: bool = True,
) -> bytes:
    """JSON of type, sizes and original sizes, a line end, then the picture as WebP in a box of `width` by `height`.

    The first of `qualities` that gives no more than the original's bytes (and than `enough`, unless 0) is taken, else the last.
    """
    try:
        kind, image = _opened(payload)
        turn = _orientation(image)
        original = _shown_size(image, turn)
        size = _fit(original, (width, height))
        enough = min(enough or len(payload), len(payload))
        content = _animated(image, size, len(payload), qualities[0]) if animate else None
        if content is None:
            image.seek(0)
            content = _still(image, size, turn, qualities, enough)
    except (Refuse, MemoryError, RecursionError):
        raise
    except Image.DecompressionBombError:
        raise Refuse("pixels") from None
    except Exception as error:
        raise damage(error) from None
    head = {"type": "image/webp", "width": size[0], "height": size[1]}
    head |= {"original": [kind, *original]}
    return json.dumps(head).encode() + b"\n" + content


def kind_of(payload: bytes) -> str:
    """The type that the first bytes say; "" for none that is known here."""
    if payload.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if payload.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if payload.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if payload.startswith(b"RIFF") and payload[8:12] == b"WEBP":
        return "image/webp"
    if payload[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"):
        return "image/avif"
    return ""


def _opened(payload: bytes) -> tuple[str, ImageFile.ImageFile]:
    kind = kind_of(payload)
    opener = _OPENERS.get(kind)
    if opener is None:
        raise Refuse("type")
    try:
        image = opener(BytesIO(payload))
    except MemoryError:
        raise
    except Image.DecompressionBombError:
        raise Refuse("pixels") from None
    except Exception as error:
        raise damage(error) from None
    if image.width * image.height > (MAX_JPEG_PIXELS if kind == "image/jpeg" else MAX_PIXELS):
        raise Refuse("pixels")
    return kind, image


def _orientation(image: Image.Image) -> int:
    data = image.info.get("exif")
    if not isinstance(data, bytes):
        return 1
    exif = Image.Exif()
    try:
        exif.load(data)
        turn = exif.get(_ORIENTATION, 1)
    except Exception:
        return 1
    return turn if turn in _TURNS else 1


def _shown_size(image: Image.Image, turn: int) -> tuple[int, int]:
    return (image.height, image.width) if turn in _SIDEWAYS else (image.width, image.height)


def _fit(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape inside `box`, never larger than `size`."""
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _still(
    image: ImageFile.ImageFile, size: tuple[int, int], turn: int, qualities: tuple[int, ...], enough: int
) -> bytes:
    raw = (size[1], size[0]) if turn in _SIDEWAYS else size
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (raw[0] * 3 // 2, raw[1] * 3 // 2))  # decodes a half, a quarter or an eighth
    if image.width * image.height > MAX_PIXELS:
        raise Refuse("pixels")
    profile = image.info.get("icc_profile")
    image.load()
    flat = _is_flat(image)
    small = _resized(image, raw, profile)
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
    return _encoded(small, flat, qualities, enough)


def _is_flat(image: Image.Image) -> bool:
    """Whether it has the few colours of a drawing. A photograph in grey has more than 64 greys."""
    return not image.mode.startswith("I") and image.getcolors(64 if image.mode == "L" else 256) is not None


def _resized(image: Image.Image, size: tuple[int, int], profile: Any) -> Image.Image:
    """Shrunk, then turned into sRGB (in that order: it is cheaper), with an alpha channel only if it is used."""
    image = _simple(image)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if isinstance(profile, bytes) and profile and len(profile) <= MAX_PROFILE:
        image = _in_srgb(image, profile)
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    return image


def _simple(image: Image.Image) -> Image.Image:
    """One of the modes L, RGB, RGBA and CMYK."""
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA" if image.mode != "P" or "transparency" in image.info else "RGB")
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode in ("L", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a profile of another colour space, or none at all: taken as sRGB


def _encoded(image: Image.Image, flat: bool, qualities: tuple[int, ...], enough: int) -> bytes:
    """Drawings and letters without loss where that costs little; else as a photograph."""
    image.info = {}
    content = b""
    for quality in qualities:
        content = _webp(image, quality=quality)
        if len(content) <= enough:
            break
    if flat or image.mode == "RGBA":
        exact = _webp(image, lossless=True, quality=70)
        if len(exact) <= max(len(content) * 5 // 4, min(600, enough)):
            return exact
    return content


def _webp(image: Image.Image, **how: Any) -> bytes:
    out = BytesIO()
    image.save(out, "WEBP", method=4, **how)
    return out.getvalue()


def _animated(image: ImageFile.ImageFile, size: tuple[int, int], octets: int, quality: int) -> bytes | None:
    """A small animation as one; None where a still picture will do."""
    if octets > MAX_ANIMATED_BYTES or not getattr(image, "is_animated", False):
        return None
    count = getattr(image, "n_frames", 1)
    if not 1 < count <= MAX_FRAMES or count * image.width * image.height > MAX_ANIMATED_PIXELS:
        return None
    loop = image.info.get("loop", 1 if image.format == "GIF" else 0)
    times: list[int] = []
    frames = [_resized(frame, size, None) for frame in _frames(image, times)]
    for frame in frames:
        frame.info = {}
    out = BytesIO()
    frames[0].save(
        out,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=loop,
        quality=quality,
        method=4,
    )
    return out.getvalue() if out.tell() <= MAX_ANIMATED_BYTES else None


def _frames(image: Image.Image, times: list[int]) -> Iterator[Image.Image]:
    """Each frame as it is shown; its time in ms goes to `times`, at a pace that browsers keep to."""
    for frame in ImageSequence.Iterator(image):
        frame.load()
        time = frame.info.get("duration", 0)
        times.append(min(int(time), 60_000) if isinstance(time, int | float) and time > 10 else 100)
        yield frame
