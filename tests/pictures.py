"""pictures.py -- text drawn into pictures, as people photograph and scan it; and PDFs of such scans."""
import io
import random
import zlib

from PIL import Image, ImageDraw, ImageFont

import documents as d

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def draw(text, angle=0, size=28, noise=0, width=900):
    """Black on white, in lines; angle in degrees; noise: pixels of any colour."""
    font = ImageFont.truetype(FONT, size)
    lines = text.split("\n")
    im = Image.new("RGB", (width, 120 + len(lines) * (size + 14)), "white")
    pen = ImageDraw.Draw(im)
    for i, line in enumerate(lines):
        pen.text((50, 50 + i * (size + 14)), line, fill=(20, 20, 20), font=font)
    if angle:
        im = im.rotate(angle, expand=True, fillcolor="white", resample=Image.BICUBIC)
    r, px = random.Random(4), im.load()
    for _ in range(noise):
        px[r.randrange(im.width), r.randrange(im.height)] = tuple(r.randrange(256) for _ in range(3))
    return im


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def pdf_of(attributes, data):
    """A page that shows one picture."""
    return d.pdf(b"q 500 0 0 300 50 400 cm /X1 Do Q", page="", fonts="/F1 5 0 R>>/XObject<</X1 10 0 R",
                 objects=[("/Type/XObject/Subtype/Image" + attributes, data)], packed=False)


def pdf_jpeg(im):
    return pdf_of("/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode" % im.size, saved(im, "JPEG", quality=70))


def pdf_rows(im):
    """Packed rows of pixels: grey, RGB, one bit."""
    mode = {"L": ("DeviceGray", 8), "RGB": ("DeviceRGB", 8), "CMYK": ("DeviceCMYK", 8), "1": ("DeviceGray", 1)}[im.mode]
    return pdf_of("/Width %d/Height %d/ColorSpace/%s/BitsPerComponent %d/Filter/FlateDecode" % (*im.size, *mode), zlib.compress(im.tobytes()))


def pdf_palette(im):
    im = im.quantize(16)
    colours = bytes(im.getpalette()[:48])
    return pdf_of("/Width %d/Height %d/ColorSpace[/Indexed/DeviceRGB 15<%s>]/BitsPerComponent 8/Filter/FlateDecode" % (
        *im.size, colours.hex()), zlib.compress(im.tobytes()))


def pdf_fax(im):
    """CCITT group 4, as scanners write it: the strip of a TIFF."""
    im = im.convert("1")
    tiff = Image.open(io.BytesIO(saved(im, "TIFF", compression="group4", tiffinfo={278: im.height})))
    raw, at = saved(im, "TIFF", compression="group4", tiffinfo={278: im.height}), tiff.tag_v2
    strip = raw[at[273][0]:at[273][0] + at[279][0]]
    return pdf_of("/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 1/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns %d/BlackIs1 %s>>" % (
        *im.size, im.width, "true" if at[262] == 1 else "false"), strip)
