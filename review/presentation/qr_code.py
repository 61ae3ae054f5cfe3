"""A QR code as an image that a page carries in itself, so that its secret is asked of nobody."""

import base64

import qrcode
from qrcode.image.svg import SvgPathFillImage


def data_uri(text: str) -> str:
    drawn = qrcode.make(text, image_factory=SvgPathFillImage, border=2).to_string()
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"
