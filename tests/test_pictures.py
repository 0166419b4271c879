"""Reading and writing pictures: what is converted, what is refused, and that nothing is lost."""

import os
import stat

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, PngImagePlugin

from irnas_lib.data.pictures import PictureError, check_size, read_picture, to_array, to_tensor, write_picture

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = RGB[..., :1]


def save(path, array, **options):
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, **options)
    return path


def error_of(path, mode="RGB"):
    """The message of the refusal: one line that begins with the file's name."""
    with pytest.raises(PictureError) as caught:
        read_picture(path, mode)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


def test_rgb_and_grey_keep_every_value(tmp_path):
    assert np.array_equal(read_picture(save(tmp_path / "a.png", RGB)), RGB)
    grey = read_picture(save(tmp_path / "b.png", GREY), "L")
    assert grey.shape == (20, 30, 1) and np.array_equal(grey, GREY)


def test_grey_becomes_rgb_by_repetition(tmp_path):
    assert np.array_equal(read_picture(save(tmp_path / "a.png", GREY)), GREY.repeat(3, axis=2))


def test_rgb_becomes_luma_by_itu_601(tmp_path):
    luma = RGB.astype(float) @ (0.299, 0.587, 0.114)
    read = read_picture(save(tmp_path / "a.png", RGB), "L")[..., 0]
    assert np.abs(read - luma).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_palette_is_as_good_as_its_colours(tmp_path, mode):
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "palette.png")
    palette.convert("RGB").save(tmp_path / "rgb.png")
    expected = read_picture(tmp_path / "rgb.png", mode)
    assert np.array_equal(read_picture(tmp_path / "palette.png", mode), expected)


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = GREY[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png", "L")[..., 0], bits * np.uint8(255))


@pytest.mark.parametrize("colours", [RGB, GREY], ids=["RGBA", "LA"])
def test_opaque_alpha_is_dropped_real_transparency_refused(tmp_path, colours):
    alpha = np.full((20, 30, 1), 255, dtype=np.uint8)
    path = save(tmp_path / "opaque.png", np.concatenate([colours, alpha], axis=2))
    mode = "RGB" if colours is RGB else "L"
    assert np.array_equal(read_picture(path, mode), colours)
    alpha[3, 4] = 254
    path = save(tmp_path / "seen_through.png", np.concatenate([colours, alpha], axis=2))
    assert "transparent" in error_of(path, mode)


def test_transparent_colour_of_palette_or_rgb_is_refused(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((5, 5)))
    assert "transparent" in error_of(tmp_path / "palette.png")
    Image.fromarray(RGB).save(tmp_path / "rgb.png", transparency=tuple(RGB[0, 0].tolist()))
    assert "transparent" in error_of(tmp_path / "rgb.png")


def png16_rgb(path):
    """A 16-bit RGB PNG, which PIL can read (as 8 bits) but not write: chunks by hand."""
    import zlib

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        header = (2).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
        PngImagePlugin.putchunk(file, b"IHDR", header)
        PngImagePlugin.putchunk(file, b"IDAT", zlib.compress((b"\0" + bytes(range(12))) * 2))
        PngImagePlugin.putchunk(file, b"IEND", b"")
    return path


def test_more_than_eight_bits_is_refused(tmp_path):
    with Image.open(png16_rgb(tmp_path / "rgb16.png")) as image:
        assert image.mode == "RGB"  # the trap
    assert "8 bits" in error_of(tmp_path / "rgb16.png")
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(tmp_path / "grey16.png")
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "float.tif")
    planes = np.full((3, 4, 4), 40000, np.uint16)
    tifffile.imwrite(tmp_path / "planar.tif", planes, photometric="rgb", planarconfig="separate")
    for name in ("grey16.png", "float.tif", "planar.tif"):
        assert "8 bits" in error_of(tmp_path / name)


def test_a_cameras_preview_is_no_second_frame(tmp_path):
    preview = [Image.fromarray(RGB[:8, :8])]
    Image.fromarray(RGB).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=preview)
    assert read_picture(tmp_path / "a.jpg").shape == RGB.shape


def test_cmyk_and_animations_are_refused(tmp_path):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert "CMYK" in error_of(tmp_path / "cmyk.jpg")
    frames = [Image.fromarray(GREY[..., 0]), Image.fromarray(255 - GREY[..., 0])]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    assert "2 frames" in error_of(tmp_path / "two.tif")


def test_only_the_formats_of_its_suffixes_are_opened(tmp_path):
    """PIL hands an EPS, whatever it is called, to Ghostscript."""
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")
    Image.fromarray(RGB).save(tmp_path / "a.gif")
    Image.fromarray(RGB[..., 0]).save(tmp_path / "b.sgi", bpc=2)  # of 16 bits
    (tmp_path / "b.sgi").rename(tmp_path / "b.png")
    for name in ("a.png", "a.gif", "b.png"):
        assert "not a picture" in error_of(tmp_path / name)


@pytest.mark.parametrize("suffix", ("tif", "png", "jpg", "bmp", "webp"))
def test_damage_of_any_kind_is_one_line(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / f"whole.{suffix}")
    whole, random = (tmp_path / f"whole.{suffix}").read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, min(len(whole), 400), 4):
            damaged[place] = random.integers(256)
        (tmp_path / f"damaged.{suffix}").write_bytes(damaged)
        try:
            assert read_picture(tmp_path / f"damaged.{suffix}").dtype == np.uint8
        except PictureError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_file_is_refused(tmp_path, suffix):
    content = save(tmp_path / f"whole.{suffix}", RGB).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for share in (0.4, 0.7, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        error_of(path)


def test_no_file_no_picture_a_folder(tmp_path):
    assert "no such file" in error_of(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    assert "not a picture" in error_of(tmp_path / "text.png")
    assert "not a picture" in error_of(tmp_path / "empty.png")
    error_of(tmp_path)


def test_exif_rotation_is_carried_out(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn a quarter clockwise to view
    path = save(tmp_path / "a.png", RGB, exif=exif)
    assert np.array_equal(read_picture(path), np.rot90(RGB, -1))


@pytest.mark.parametrize("array", [RGB, GREY], ids=["RGB", "grey"])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_what_is_written_is_read_back(tmp_path, array, suffix):
    path = tmp_path / f"a.{suffix}"
    write_picture(path, array)
    assert np.array_equal(read_picture(path, "RGB" if array is RGB else "L"), array)
    assert os.listdir(tmp_path) == [path.name]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_picture(path, RGB)
    before = path.read_bytes()

    def full_disk(self, file, **options):
        with open(file, "wb") as half:
            half.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(PictureError, match="No space left"):
        write_picture(path, 255 - RGB)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


def test_written_files_have_ordinary_permissions(tmp_path):
    write_picture(tmp_path / "a.png", RGB)
    (tmp_path / "b").touch()
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_write_refuses_what_it_cannot_keep(tmp_path):
    for array, name in (
        (RGB / 255, "float.png"),
        (RGB[..., 0], "flat.png"),
        (RGB[..., :2], "two.png"),
        (RGB, "a.xyz"),
        (RGB, "absent/a.png"),
    ):
        with pytest.raises(PictureError, match=name):
            write_picture(tmp_path / name, array)
    assert os.listdir(tmp_path) == []


def test_tensor_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    tensor = to_tensor(levels)
    assert tensor.shape == (1, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == 0 and tensor.max() == 1
    assert np.array_equal(to_array(tensor), levels)
    assert torch.equal(to_tensor(RGB)[2], torch.tensor(RGB[..., 2] / 255, dtype=torch.float32))
    beyond = torch.tensor([[[-0.5, 0.4999 / 255, 0.5001 / 255, 1.5]]])
    assert to_array(beyond).ravel().tolist() == [0, 0, 1, 255]


def test_size_against_crop():
    check_size(RGB, 20, "a.png")
    with pytest.raises(PictureError, match="a.png: 30x20 pixels, smaller than a crop of 21x21"):
        check_size(RGB, 21, "a.png")


@pytest.mark.parametrize(("name", "side"), (("wide.jpg", 65501), ("wide.webp", 16384)))
def test_a_picture_that_its_format_cannot_hold_is_said_in_a_line_and_leaves_nothing(tmp_path, capfd, name, side):
    with pytest.raises(PictureError, match="more than this format can hold"):
        write_picture(tmp_path / name, np.zeros((1, side, 1), np.uint8))
    assert not list(tmp_path.iterdir()) and not capfd.readouterr().err
