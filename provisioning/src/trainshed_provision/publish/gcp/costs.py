"""What is kept costs money: list prices in one place, with their date."""

# When the prices were last compared with cloud.google.com/compute/disks-image-pricing and cloud.google.com/storage/pricing.
READ = "2026-11"
DOLLARS_PER_GB_MONTH = {"image": 0.050, "archive": 0.026}  # custom image storage; Standard storage in a multi-region
GB = 10**9


def monthly(*, image: int, archive: int = 0) -> float:
    """Dollars a month for an image and an archive of so many bytes. Google charges an image by its packed size."""
    return (image * DOLLARS_PER_GB_MONTH["image"] + archive * DOLLARS_PER_GB_MONTH["archive"]) / GB


def line(*, image: int, archive: int = 0) -> str:
    """For a person who decides."""
    kept = f"image {image / GB:.2f} GB" + (f", archive {archive / GB:.2f} GB" if archive else "")
    return f"costs about ${monthly(image=image, archive=archive):.3f} a month ({kept}; list prices of {READ})"
