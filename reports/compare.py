"""Writes a comparison of two runs: ``comparison.html``, ``.md`` and ``.json`` and the plot, into a folder."""

from __future__ import annotations

from pathlib import Path

from flashbench.errors import UsageError
from reports.comparison.compared import Comparison
from reports.render import comparison as render


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write all forms into ``folder``, made if need be; the page's path. UsageError if it can't be written to."""
    picture = render.plot(comparison)
    page = folder / "comparison.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(render.page(comparison, picture))
        (folder / "comparison.md").write_text(render.markdown(comparison))
        (folder / "comparison.json").write_text(render.as_json(comparison))
        if picture is not None:
            (folder / f"{picture.name}.svg").write_text(picture.svg.replace("currentColor", "#333"))
            (folder / f"{picture.name}.png").write_bytes(picture.png)
    except OSError as error:
        raise UsageError(
            f"the comparison can't be written to {folder} ({error.strerror}): name another folder with --out."
        ) from error
    return page
